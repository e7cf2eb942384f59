package coordinator

import (
	"context"
	"os"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/lease"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// The rule by which a coordinator lives: its heartbeat on the bus changes while
// it is watched. The server's clock is compared with itself, and clocks of two
// hosts are never compared.

// Alive reports whether the coordinator of m, a manifest as the bus has it,
// lives. It may watch the bus for two leases, and calls watching before it
// does. watching may be nil.
func Alive(ctx context.Context, b *bus.Bus, m run.Manifest, watching func(time.Duration)) (bool, error) {
	if lives, known := livesHere(m.Coordinator); known && !ended(m) {
		return lives, nil
	}
	patience := lease.TimingOf(m).BeatWatch()
	first, dead, err := pulse(ctx, b, m)
	if err != nil || dead {
		return false, err
	}
	if watching != nil {
		watching(patience - first.Age)
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	look := time.NewTicker(lease.TimingOf(m).LookForBeat())
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-end.C:
			return false, nil
		case <-look.C:
		}
		now, dead, err := pulse(ctx, b, m)
		if err != nil || dead {
			return false, err
		}
		if now.Revision != first.Revision {
			return true, nil
		}
	}
}

// Dead reports whether the coordinator of m is seen to be dead at once. One
// that is not may be dead as well: Alive watches it.
func Dead(ctx context.Context, b *bus.Bus, m run.Manifest) (bool, error) {
	if lives, known := livesHere(m.Coordinator); known && !ended(m) {
		return !lives, nil
	}
	_, dead, err := pulse(ctx, b, m)
	return dead, err
}

// pulse reads the last sign of life of m's coordinator. dead: it is too old, or
// the session has ended in order.
func pulse(ctx context.Context, b *bus.Bus, m run.Manifest) (p bus.Pulse, dead bool, err error) {
	p, err = b.Pulse(ctx, m.RunID)
	if err != nil {
		return p, false, err
	}
	return p, p.Age > lease.TimingOf(m).BeatWatch() || !p.Beats && ended(m), nil
}

// ended reports whether by the manifest the last session has ended.
func ended(m run.Manifest) bool {
	n := len(m.Sessions)
	return n > 0 && !m.Sessions[n-1].EndedAt.IsZero()
}

// livesHere reports whether c is a process that lives. known: c's processes and
// ours are those of one kernel and one PID namespace, so that this is seen from
// here. A host's name proves nothing: containers may share it.
func livesHere(c run.Coordinator) (lives, known bool) {
	host, err := os.Hostname()
	if err != nil || host != c.Host || c.BootID == "" || c.PIDNamespace == "" {
		return false, false
	}
	place, err := process.Here()
	if err != nil || place.BootID != c.BootID || place.PIDNamespace != c.PIDNamespace {
		return false, false
	}
	start, err := process.StartTime(c.PID)
	return err == nil && start == c.StartTime, true
}

// startBeats stores heartbeats until end is called, which waits for the last one
// and may be called again.
func (l *Life) startBeats(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.beat(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// beat stores heartbeats until ctx ends. The run continues without them. Losses of
// the bus are reported elsewhere.
func (l *Life) beat(ctx context.Context) {
	c := l.Manifest.Coordinator
	who := describeProcess(c)
	for {
		if err := l.Bus.Beat(ctx, l.Manifest.RunID, who); err != nil && ctx.Err() == nil {
			l.Logger.Debug("heartbeat failed", "error", err)
		}
		if !pause(ctx, lease.TimingOf(l.Manifest).Beat()) {
			return
		}
	}
}
