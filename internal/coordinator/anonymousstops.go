package coordinator

import (
	"context"
	"log/slog"
	"net"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/run"
)

// onLoopback reports whether the session's bus is embedded and reached by processes
// of this machine alone.
func (s *Session) onLoopback() bool {
	if s.cfg.NATS != nil {
		return false
	}
	host, _, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return s.cfg.Listen == "" // no port
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// serveStrangers takes the stops of clients without credentials. They are in an
// account of their own, and this is the one way out of it: a stop of this run is
// stored on b as one by the subject, whatever else it contains, and a stop of another
// run is passed on.
func (s *Session) serveStrangers(ctx context.Context, srv *embedded.Server, b *bus.Bus, others *passer) (end func(), err error) {
	public, sign, err := srv.Gate()
	if err != nil {
		return nil, err
	}
	gate, err := bus.Connect(ctx, bus.Config{
		InProcess: srv, Name: "gx1 gate", Options: []nats.Option{nats.Nkey(public, sign)}, Logger: s.cfg.Logger.With(slog.String("part", "gate")),
	})
	if err != nil {
		return nil, err
	}
	cancel, err := gate.ServeStops(s.cfg.RunID, func(ctx context.Context, stop bus.StrangerStop) {
		if stop.RunID != s.cfg.RunID {
			others.pass(stop.RunID, stop.Reason, stop.MsgID, stop.Answer)
			return
		}
		ctx, cancel := context.WithTimeout(ctx, hearing)
		defer cancel()
		seq, err := b.StoreStop(ctx, stop.RunID, run.Stop{Source: run.SourceSubject, Reason: stop.Reason}, 0, stop.MsgID)
		if err != nil {
			s.lines.Warn("storing a stop failed", "error", err)
		}
		stop.Answer(seq, err)
	})
	if err != nil {
		gate.Close()
		return nil, err
	}
	return func() {
		cancel()
		others.wait()
		gate.Close()
	}, nil
}
