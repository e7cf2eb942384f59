package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// SendStop stores a stop on the bus of a run of this machine's register,
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

// passer passes stops on that were sent to this run's server and are meant
// for another run of this machine: a plain `nats pub` reaches whichever run
// has the default port.
type passer struct {
	s     *Session
	slots chan struct{}
	owned sync.WaitGroup
}

func newPasser(s *Session) *passer { return &passer{s: s, slots: make(chan struct{}, passAtOnce)} }

// pass never blocks; wait waits for what it began.
func (p *passer) pass(h bus.HeardStop) {
	if p.s.cfg.Register == nil {
		return
	}
	select {
	case p.slots <- struct{}{}:
	default:
		p.s.cfg.Logger.Warn("too many stops for other runs at once; one is not passed on", "for", h.RunID)
		return
	}
	p.owned.Go(func() {
		defer func() { <-p.slots }()
		log := p.s.cfg.Logger.With("for", h.RunID)
		e, err := p.s.cfg.Register.Get(h.RunID)
		if err != nil || !e.Alive {
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				log.Warn("looking up another run that is to be stopped", "error", err)
			}
			return // no run of this machine
		}
		ctx, cancel := context.WithTimeout(context.Background(), passPatience)
		defer cancel()
		id := fmt.Sprintf("passed.%s.%d", p.s.cfg.RunID, h.At.UnixNano())
		if _, err := SendStop(ctx, e, run.Stop{Source: h.Source, Reason: h.Reason}, id); err != nil {
			log.Warn("passing on a stop for another run", "error", err)
			return
		}
		log.Info("a stop for another run is passed on")
	})
}

func (p *passer) wait() { p.owned.Wait() }
