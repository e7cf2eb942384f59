package coordinator

import (
	"context"
	"fmt"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
)

// Fate is what a session does with a chunk, and why.
type Fate struct {
	Idx    int
	Replay bool
	Why    string
}

// loaded is called when a session has read all that earlier ones have left.
func (s *Session) loaded(life *Life) {
	if life.Manifest.Session == 1 {
		return
	}
	if err := s.backup.Write(context.Background()); err != nil {
		s.cfg.Logger.Warn("writing the footer backup failed", "error", err)
	}
	s.cfg.Observer.Explain(life.board.fates())
}

// fates returns what is done with each chunk.
func (b *board) fates() []Fate {
	list := make([]Fate, len(b.chunks))
	for i := range b.chunks {
		c := b.chunks[i].Load()
		list[i] = Fate{Idx: i, Replay: !b.hasEnd(c), Why: b.why(i, c)}
	}
	return list
}

func (b *board) why(idx int, c *chunkState) string {
	status, text, _ := c.verdict(b.m.Session)
	f := c.line.Footer()
	bars := fmt.Sprintf("%d of %d bars", c.line.Bars(), b.m.Plan.Chunk(idx).Bars.Len())
	switch {
	case status == footer.StatusOK:
		return fmt.Sprintf("ok: %s, by attempt %d of %s", bars, f.Attempt, f.WorkerID)
	case status == footer.StatusFailed && !b.hasEnd(c):
		return "failed, retried because of --retry-failed: " + text
	case status == footer.StatusFailed:
		return "failed (--retry-failed retries it): " + text
	case c.rec != nil && c.rec.State == lease.StateFailed:
		return fmt.Sprintf("attempt %d failed: %s", c.rec.Attempt, text)
	case status == footer.StatusUnresponsive && c.rec != nil:
		return fmt.Sprintf("interrupted at %s: no final report from %s", bars, c.rec.Holder.WorkerID)
	case status == footer.StatusUnresponsive:
		return "interrupted at " + bars
	case status == footer.StatusMissing:
		return "not started"
	case status == footer.StatusParseError:
		return "only unreadable records received: " + text
	}
	return fmt.Sprintf("%s at %s", status, bars)
}
