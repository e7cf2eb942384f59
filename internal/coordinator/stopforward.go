package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// SendStop stores a stop on the bus of a run in this host's run registry,
// trying until ctx ends. Retries of one stop share msgID. It returns the
// stop's sequence.
func SendStop(ctx context.Context, e process.Entry, s run.Stop, msgID string) (uint64, error) {
	b, err := ConnectTo(ctx, e)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	return b.StoreStop(ctx, e.RunID, s, 0, msgID)
}

const (
	// passPatience bounds how long a stop for another run is tried to be
	// passed on.
	passPatience = 5 * time.Second
	// passAtOnce bounds how many are under way: anyone may publish stops.
	passAtOnce = 4
)

// ErrNotPassed: a stop for another run is not passed on.
var ErrNotPassed = errors.New("no active run of this name on this machine accepts a stop without its key")

// passer passes stops on that were sent to this run's server and are meant
// for another run of this machine: a plain `nats pub` reaches whichever run
// has the default port.
//
// It does so with the other run's key. So it passes on only what the sender could
// have done without that key: a process that reaches a port of loopback can also
// reach the port of a run which takes stops from everybody on this machine.
type passer struct {
	register *process.Registry
	lines    *loglimit.Limiter
	slots    chan struct{}
	owned    sync.WaitGroup
}

// newPasser makes the passer of a session. Where others than processes of this
// machine may have sent the stop, it passes none on.
func (s *Session) newPasser() *passer {
	p := &passer{lines: s.lines, slots: make(chan struct{}, passAtOnce)}
	if s.onLoopback() {
		p.register = s.cfg.Registry
	}
	return p
}

// pass passes the stop of run id on and calls answer, which may be nil, with the
// sequence under which it is stored. It never blocks for longer than a look into
// a file; wait waits for what it began.
func (p *passer) pass(id run.ID, reason, msgID string, answer func(uint64, error)) {
	if answer == nil {
		answer = func(uint64, error) {}
	}
	e, err := p.find(id)
	if err != nil {
		answer(0, fmt.Errorf("run %s: %w", id, err))
		return
	}
	select {
	case p.slots <- struct{}{}:
	default:
		p.lines.Warn("too many stops for other runs at once, one was dropped", "for", id)
		answer(0, fmt.Errorf("run %s: too many stops for other runs at once; retry", id))
		return
	}
	p.owned.Go(func() {
		defer func() { <-p.slots }()
		ctx, cancel := context.WithTimeout(context.Background(), passPatience)
		defer cancel()
		seq, err := SendStop(ctx, e, run.Stop{Source: run.SourceSubject, Reason: reason}, msgID)
		if err != nil {
			p.lines.Warn("forwarding a stop for another run failed", "for", id, "error", err)
		} else {
			p.lines.Info("stop for another run forwarded", "for", id)
		}
		answer(seq, err)
	})
}

// find returns the entry of a run to which stops may be passed on.
func (p *passer) find(id run.ID) (process.Entry, error) {
	if p.register == nil {
		return process.Entry{}, ErrNotPassed
	}
	e, err := p.register.Get(id)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		p.lines.Warn("looking up another run to stop failed", "for", id, "error", err)
		return e, ErrNotPassed
	case err != nil || !e.Alive || !e.OpenToStrangers:
		return e, ErrNotPassed
	}
	return e, nil
}

func (p *passer) wait() { p.owned.Wait() }

// passHint passes on a stop that was received in the account of the streams, from
// a client that holds the run's key.
func (p *passer) passHint(h bus.HeardStop) { p.pass(h.RunID, h.Reason, bus.NewStopID(), nil) }
