package export

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

const (
	// selectShare is the part of what is left of a stop's patience that the
	// selection of trades may take: the last export is more than its trades.
	selectShare = 2
	// selectPatience is for a run that ended by itself: nothing waits for it but
	// for its trades.
	selectPatience = 10 * time.Minute
	// selectQuick is how long a selection may take before what is known is
	// exported without it.
	selectQuick = 200 * time.Millisecond
)

// selectTrades selects the trades of the last export, for which there is
// patience after a stop. A stop, the time-box or a signal meanwhile shortens the
// selection of a run that ended by itself. A second signal ends it.
func (s *watch) selectTrades(lifeErr error, patience time.Duration) {
	if s.cfg.Selector == nil {
		return
	}
	limit := selectPatience
	if !s.stop.IsZero() || lifeErr != nil {
		limit = patience / selectShare
	}
	// The selection sees by its deadline what there is time for.
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	over := time.NewTimer(limit)
	defer over.Stop()
	quick := time.NewTimer(selectQuick)
	defer quick.Stop()
	done := s.startSelecting(ctx, lifeErr)
	// A stop of a run that ended by itself: its trades have as long as those of
	// a run that was stopped.
	hurried := false
	hurry := func(why run.Source) {
		if s.stop.IsZero() && !hurried {
			hurried = true
			s.cfg.Logger.Info("stop received, selection of trades shortened", "source", why)
			over.Reset(s.cfg.Drain / selectShare)
		}
	}
	for {
		select {
		case stop := <-s.stops:
			if !s.stop.IsZero() {
				s.stop.Seq = max(s.stop.Seq, stop.Seq)
			}
			hurry(stop.Source)
		case <-s.timeBox:
			hurry(run.SourceTimeout)
		case s.sel = <-done:
			if s.sel.Scope == "" && ctx.Err() != nil {
				s.cfg.Logger.Warn("no time left for the selection of trades", "limit", limit)
				return
			}
			// A final report that came meanwhile counts more than the time to
			// select once more.
			if s.stillHolds(lifeErr) {
				return
			}
			done = s.startSelecting(ctx, lifeErr)
		case <-quick.C:
			if s.running == nil && s.stop.IsZero() {
				s.start(false, lifeErr)
			}
		case e := <-s.running:
			s.settle(e)
		case <-s.cfg.Signals:
			first := s.signal.IsZero()
			switch {
			case s.hurries(), first && !s.stop.IsZero():
				s.cfg.Logger.Warn("selection of trades cancelled by a signal")
				return
			case first:
				over.Reset(s.cfg.Drain / selectShare)
			}
		case <-over.C:
			s.cfg.Logger.Warn("no time left for the selection of trades", "limit", limit)
			return
		}
	}
}

// startSelecting selects in the background, from what is known now. The
// goroutine may outlive the watch, should what it waits for hang.
func (s *watch) startSelecting(ctx context.Context, lifeErr error) <-chan perf.Selection {
	r, chunks := s.report(lifeErr, true)
	done := make(chan perf.Selection, 1)
	go func() {
		var sel perf.Selection
		var err error
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("it panicked: %v\n%s", p, debug.Stack())
			}
			if err != nil && ctx.Err() == nil {
				s.cfg.Logger.Error("selection of trades failed, each chunk keeps its own counts", "error", err)
			}
			done <- sel
		}()
		if chunks, err = s.cfg.Exporter.Merged(r, chunks); err == nil {
			sel, err = s.cfg.Selector.Select(ctx, r, chunks)
		}
	}()
	return done
}

// stillHolds reports whether the selection is of what would be exported now,
// or there is none.
func (s *watch) stillHolds(lifeErr error) bool {
	if s.sel.Scope == "" {
		return true
	}
	chunks, err := s.cfg.Exporter.Merged(s.report(lifeErr, true))
	return err != nil || s.sel.Holds(chunks)
}
