package coordinator

import (
	"context"
	"os"

	"gx1replay/internal/bus"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// enter puts the run into the run registry of this host; leave takes it out.
func (s *Session) enter(t *transport, m run.Manifest) (leave func()) {
	if s.cfg.Registry == nil {
		return func() {}
	}
	pid := os.Getpid()
	start, err := process.StartTime(pid)
	if err == nil {
		e := process.Entry{
			RunID: m.RunID, PID: pid, StartTime: start, URL: t.url, KeyFile: t.keyFile,
			OutputDir: s.cfg.OutputDir, StartedAt: s.started, Session: m.Session, State: string(m.State),
			OpenToStrangers: t.open,
		}
		if x := s.cfg.NATS; x != nil {
			e.Context, e.KeyFile, e.CredsFile, e.TLSCA, e.TLSCert, e.TLSKey = x.Context, x.NKey, x.Creds, x.TLSCA, x.TLSCert, x.TLSKey
		}
		err = s.cfg.Registry.Put(e)
	}
	if err != nil {
		s.cfg.Logger.Warn("run missing from the run registry: `coordinator stop` cannot find it", "error", err)
		return func() {}
	}
	return func() {
		if err := s.cfg.Registry.Remove(m.RunID, pid); err != nil {
			s.cfg.Logger.Warn("leaving the run registry failed", "error", err)
		}
	}
}

// ConnectTo connects to the bus of a run of this machine's register.
func ConnectTo(ctx context.Context, e process.Entry) (*bus.Bus, error) {
	return bus.Connect(ctx, bus.Config{Name: "gx1 operator", Access: AccessTo(e)})
}

// AccessTo is how the bus of a run of the register is reached.
func AccessTo(e process.Entry) bus.Access {
	return bus.Access{
		URL: e.URL, Context: e.Context, NKey: e.KeyFile, Creds: e.CredsFile, TLSCA: e.TLSCA, TLSCert: e.TLSCert, TLSKey: e.TLSKey,
	}
}
