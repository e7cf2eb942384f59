package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/lease"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
)

// readLedger reads what earlier sessions have left in files. A backup that is
// damaged, or of another run, is logged and passed over: the rest is no less true.
func (s *Session) readLedger(exporter *export.Exporter) (*ledger.Ledger, error) {
	log, l := s.cfg.Logger, ledger.New(s.cfg.RunID)
	if f, ok := exporter.Last(); ok {
		if err := l.Add(ledger.Account{From: ledger.PerfFile, File: f}); err != nil {
			return l, err
		}
	}
	if err := l.AddFile(ledger.Backup, s.target.Backup()); err != nil {
		log.Warn("footer backup ignored", "path", s.target.Backup(), "error", err)
	}
	work := s.target.WorkDir()
	if _, err := os.Stat(work); err != nil {
		return l, nil // no local worker has begun
	}
	known := l.Known()
	if err := l.AddFooters(context.Background(), []string{work}); err != nil {
		if known {
			return l, err
		}
		log.Warn("footers in work directories ignored", "error", err)
		return ledger.New(s.cfg.RunID), nil
	}
	if n := l.Refused(); n > 0 {
		log.Warn("unusable footers on disk skipped", "count", n)
	}
	if !known {
		bars := l.ReplayedBars()
		if bars == 0 {
			return ledger.New(s.cfg.RunID), nil
		}
		log.Warn("only footers in work directories are left of earlier epochs", "bars", bars)
	}
	return l, nil
}

// exported is what the perf file alone holds; the zero File if there is none.
func (s *Session) exported() perf.File {
	f, _ := s.ledger.Of(ledger.PerfFile)
	return f
}

const (
	// lockPatience bounds the wait for a lock that is held for one export.
	lockPatience = 15 * time.Second
	// lockSettles is how long a coordinator's lock may outlive it, while the
	// kernel ends the process.
	lockSettles = 500 * time.Millisecond
	lockAgain   = 20 * time.Millisecond
)

// takeLock takes the run's lock. Another coordinator has it as long as it
// lives; a guardian and an export have it for a moment.
func takeLock(t layout.Run, log *slog.Logger) (*export.Lock, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	begun := time.Now()
	for told := false; ; {
		l, err := export.TryAcquire(t, export.RoleCoordinator)
		held := (*export.HeldError)(nil)
		if err == nil || !errors.As(err, &held) || held.Role == export.RoleCoordinator && time.Since(begun) > lockSettles {
			return l, err
		}
		if !told && held.Role != "" {
			log.Info("waiting for the run's lock", "role", held.Role, "pid", held.PID)
			told = true
		}
		if !pause(ctx, lockAgain) {
			return nil, err
		}
	}
}

// Fate says what a session does with a chunk, and why.
type Fate struct {
	Idx    int
	Replay bool
	Why    string
}

// loaded is called when a session knows all that earlier ones have left.
func (s *Session) loaded(life *Life) {
	if life.Manifest.Session == 1 {
		return
	}
	if err := s.backup.Write(context.Background()); err != nil {
		s.cfg.Logger.Warn("writing the footer backup failed", "error", err)
	}
	s.cfg.Observer.Explain(life.board.fates())
}

// fates says what is done with each chunk.
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
