package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/export"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// transport is the bus of a session and how workers reach it.
type transport struct {
	bus     *bus.Bus
	url     string
	keyFile string // empty if the bus is not embedded
	// workerKey and operatorKey are for other hosts, if the embedded bus is
	// reached by them.
	workerKey, operatorKey string
	open                   bool // strangers may stop the run
	// replicas of streams that have to be created again.
	replicas int
	warnings []string
	close    func()
}

// openBus connects to the bus, making its streams where they are missing; the
// embedded one is started for it.
func (s *Session) openBus(ctx context.Context, others *passer) (*transport, error) {
	log := s.cfg.Logger
	if x := s.cfg.NATS; x != nil {
		b, err := bus.Connect(ctx, bus.Config{Access: x.Access, Name: "gx1 coordinator", Logger: log})
		if err != nil {
			return nil, err
		}
		replicas, differences, err := s.ready(ctx, b, x.Replicas)
		if err != nil {
			b.Close()
			return nil, err
		}
		t := &transport{bus: b, url: x.URL, replicas: replicas, close: b.Close}
		for _, d := range differences {
			log.Warn("stream setting differs from the expected one; left unchanged", "difference", d.String())
			text := d.String()
			if d.Do != "" {
				text += ` (docs/security.md, "Moving an older bus": ` + d.Do + ")"
			}
			t.warnings = append(t.warnings, text)
		}
		if sign, err := b.SharedAccount(ctx); err != nil {
			log.Info("unknown whether each role has its own account", "error", err)
		} else if sign != "" {
			log.Warn(bus.RolesShareAnAccount, "sign", sign)
			t.warnings = append(t.warnings, bus.RolesShareAnAccount+` (docs/security.md, "Moving an older bus"): `+sign)
		}
		return t, nil
	}
	return s.openEmbedded(ctx, others)
}

// openEmbedded starts the embedded bus. One that an earlier session left and that
// does not open whole is set aside, and what can still be read of it is added to
// what earlier sessions have left.
func (s *Session) openEmbedded(ctx context.Context, others *passer) (*transport, error) {
	t, err := s.startEmbedded(ctx, others)
	bad := (*damaged)(nil)
	if !errors.As(err, &bad) {
		return t, err
	}
	text, err := setAside(s.target.StateDir(), bad, s.cfg.Logger)
	if err != nil {
		return nil, err
	}
	s.salvaged = true
	if bad.found != nil {
		if err := s.ledger.Add(*bad.found); err != nil {
			s.cfg.Logger.Warn("contents of the damaged bus ignored", "error", err)
		}
	}
	if t, err = s.startEmbedded(ctx, others); err == nil {
		t.warnings = append(t.warnings, text)
	}
	return t, err
}

// startEmbedded starts the embedded bus. Before its port opens there are its
// streams, and the listener for the stops of strangers. An error may be a *damaged.
func (s *Session) startEmbedded(ctx context.Context, others *passer) (*transport, error) {
	log := s.cfg.Logger
	t := &transport{replicas: 1}
	var ends []func()
	t.close = func() {
		for _, end := range slices.Backward(ends) {
			end()
		}
	}
	cfg := embedded.Config{
		Dir: s.target.StateDir(), Listen: s.cfg.Listen, Strangers: []string{bus.StopSubjects}, SyncAlways: s.cfg.SyncAlways,
		Examine: true, Broken: s.busBroken, Logger: log.With("part", "bus"),
	}
	if s.cfg.StopAuth {
		cfg.Strangers = nil
	}
	examined := embedded.Store(cfg.Dir) != ""
	cfg.Prepare = func(ctx context.Context, srv *embedded.Server) (err error) {
		if t.bus, err = connect(ctx, srv, log); err != nil {
			return err
		}
		ends = append(ends, t.bus.Close)
		if examined {
			err := examine(ctx, srv, t.bus, RecoverConfig{Target: s.target, Version: s.cfg.Version, Logger: log})
			if err != nil {
				return err
			}
		}
		if err := t.bus.MakeStreams(ctx, t.replicas); err != nil {
			return err
		}
		stop, err := t.bus.LastStop(ctx, s.cfg.RunID)
		if s.stopBefore = stop.Seq; err != nil || !srv.HasStrangers() {
			return err
		}
		end, err := s.serveStrangers(ctx, srv, t.bus, others)
		if err == nil {
			ends = append(ends, end)
		}
		return err
	}
	server, err := embedded.Start(ctx, cfg)
	if err != nil {
		t.close()
		return nil, fmt.Errorf("starting the embedded bus: %w", asDamage(err))
	}
	ends = slices.Insert(ends, 0, func() {
		if err := server.Close(); err != nil {
			log.Warn("closing the bus failed", "error", err)
		}
	})
	if _, err := server.WriteContext(s.target.StateDir(), string(s.cfg.RunID)); err != nil {
		log.Warn("writing the nats context failed", "error", err)
	}
	t.url, t.keyFile, t.open = server.URL(), server.KeyFile(), server.HasStrangers()
	t.workerKey, t.operatorKey = server.RoleKey(access.Worker), server.RoleKey(access.Operator)
	return t, nil
}

// errBroken: the embedded bus cannot write its files.
var errBroken = errors.New("the embedded bus cannot write its files (a full disk, or a limit of file sizes)")

// busBroken takes what the embedded bus reports of a file that it cannot write. A
// run that has not begun ends by it.
func (s *Session) busBroken(why string) {
	err := fmt.Errorf("%w: %s", errBroken, why)
	select {
	case s.broken <- err:
		s.notice("%v", err)
	default: // already reported
	}
}

// ready makes an external bus ready, and gives one that is lost meanwhile a
// while to come back.
func (s *Session) ready(ctx context.Context, b *bus.Bus, asked int) (replicas int, differences []bus.Difference, err error) {
	told := false
	for begun := time.Now(); ; {
		replicas, differences, err = b.Ready(ctx, asked)
		if bus.NobodyAnswers(err) && time.Since(begun) > answerPatience {
			return 0, nil, bus.WithoutJetStream(err)
		}
		if err == nil || !bus.Transient(err) || s.stopping() || time.Since(begun) > readyPatience || !pause(ctx, beginEvery) {
			return replicas, differences, err
		}
		s.cfg.Logger.Warn("bus not ready yet, retrying", "error", err)
		if !told {
			s.notice("the bus is not ready yet, retrying: %v", err)
			told = true
		}
	}
}

// answerPatience is how long a server without JetStream is taken for one of a
// cluster whose servers with JetStream are just away.
const answerPatience = 4 * time.Second

// readyPatience is what a cluster may need to choose its leaders.
const readyPatience = 30 * time.Second

func connect(ctx context.Context, srv *embedded.Server, log *slog.Logger) (*bus.Bus, error) {
	public, sign, err := srv.Nkey()
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.Config{
		InProcess: srv, Name: "gx1 coordinator", Options: []nats.Option{nats.Nkey(public, sign)}, Logger: log,
	})
}

// finishCleaning does what is left of the end of a run whose perf JSON leaves
// nothing to do, should a crash have come after the export: files for readers,
// and the cleaning of a complete run.
func (s *Session) finishCleaning(ctx context.Context, exporter *export.Exporter) {
	if s.exported().Totals.Outcome != perf.OutcomeComplete || clean(s.target) {
		return
	}
	s.publishFiles(exporter)
	if s.cfg.KeepBus {
		return
	}
	if r := s.cfg.Registry; r != nil {
		if e, err := r.Get(s.cfg.RunID); err == nil && !e.Alive {
			if err := r.Remove(s.cfg.RunID, e.PID); err != nil {
				s.cfg.Logger.Warn("cleanup failed", "error", err)
			}
		}
	}
	if s.cfg.NATS == nil {
		s.removeState()
		return
	}
	t, err := s.openBus(ctx, nil)
	if err != nil {
		s.cfg.Logger.Warn("cleanup failed", "error", err)
		return
	}
	defer t.close()
	ctx, cancel := context.WithTimeout(ctx, patienceStopped/2)
	defer cancel()
	m, rev, err := t.bus.Manifest(ctx, s.cfg.RunID)
	if err == nil && m.Incarnation != s.exported().Report.Incarnation {
		s.cfg.Logger.Info("another run of this name on the bus left unchanged", "incarnation", m.Incarnation)
		return
	}
	if err == nil && m.State != run.StateExported {
		m.State, m.ExportFile, m.ExportSHA256, m.ExportHost = run.StateExported, s.target.Perf(), exporter.SHA256(), hostName()
		_, err = t.bus.StoreManifest(ctx, m, rev)
	}
	if err != nil && !errors.Is(err, bus.ErrNoRun) {
		s.cfg.Logger.Warn("cleanup failed", "error", err)
		return
	}
	s.cleanBus(t.bus)
	s.removeState()
}

// cleanBus removes a complete run from the bus.
func (s *Session) cleanBus(b *bus.Bus) {
	if s.cfg.NATS == nil {
		return // its files go
	}
	ctx, cancel := context.WithTimeout(context.Background(), patienceStopped/2)
	defer cancel()
	if err := b.Clean(ctx, s.cfg.RunID); err != nil {
		s.cfg.Logger.Warn("cleanup on the bus failed", "error", err)
	}
}
