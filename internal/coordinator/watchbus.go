package coordinator

import (
	"context"
	"time"

	"gx1replay/internal/bus"
)

// A bus that does not answer is shown within two seconds: a link that was cut
// reports nothing, and the connection itself takes longer to find out.
const (
	askEvery = 300 * time.Millisecond
	// answerWithin is long for a bus far away, and leaves time to draw a line.
	answerWithin = 1400 * time.Millisecond
)

// watchBus notes whether the external bus answers, until ctx ends.
func (s *Session) watchBus(ctx context.Context, b *bus.Bus) {
	var since time.Time
	for pause(ctx, askEvery) {
		asked, cancel := context.WithTimeout(ctx, answerWithin)
		answers := b.Answers(asked)
		cancel()
		if ctx.Err() != nil {
			return
		}
		switch {
		case !answers && since.IsZero():
			since = time.Now()
			s.cfg.Logger.Warn("bus does not answer, retrying")
		case answers && !since.IsZero():
			s.cfg.Logger.Info("bus answers again", "after", time.Since(since).Round(time.Millisecond))
			since = time.Time{}
		}
		s.silent.Store(!answers)
		if !answers {
			pause(ctx, askEvery) // a closed connection fails at once
		}
	}
}
