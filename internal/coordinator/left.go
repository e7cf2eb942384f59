package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// left is what earlier sessions of a run have left in files.
type left struct {
	known    bool
	file     perf.File // of the perf file, the backup and workers' footers
	exported perf.File // of the perf file alone; zero if there is none
	at       time.Time // when the latest of them was written
	// inferred: nothing but workers' footers is left, which name of the data set
	// only its length and times, and of the policy nothing.
	inferred bool
}

// readLeft reads it. A backup that is damaged is told and passed over: what
// else there is is no less true for that.
func (s *Session) readLeft(exporter *export.Exporter) (left, error) {
	var l left
	if l.file, l.known = exporter.Last(); l.known {
		l.exported = l.file
		l.at = l.file.Report.Timestamp
	}
	backup, found, err := export.ReadBackup(s.target)
	switch {
	case err != nil:
		s.cfg.Logger.Warn("footer backup unusable", "error", err)
	case found && l.known && perf.SameRun(l.file.Report, backup.Report) != nil:
		s.cfg.Logger.Warn("footer backup of another run ignored", "path", s.target.Backup())
	case found:
		if err := l.add(backup); err != nil {
			return l, fmt.Errorf("run %s: its footer backup: %w", s.cfg.RunID, err)
		}
	}
	if _, err := os.Stat(s.target.WorkDir()); err != nil {
		return l, nil // no local worker has begun
	}
	if !l.known {
		return s.inferLeft()
	}
	known := l.file.Chunks
	if l.file.Guessed() {
		known = nil // its borders hold only where there is a footer
	}
	var of *run.Incarnation
	if l.file.Measured() {
		of = &l.file.Report.Incarnation
	}
	footers, refused, err := export.Collect(context.Background(), s.cfg.RunID, of, []string{s.target.WorkDir()}, known, l.at)
	if err != nil {
		return l, fmt.Errorf("run %s: %w", s.cfg.RunID, err)
	}
	if refused > 0 {
		s.cfg.Logger.Warn("unusable footers on disk skipped", "count", refused)
	}
	if l.file.Chunks, err = perf.MergeInto(l.file, perf.Report{}, footers); err != nil {
		return l, fmt.Errorf("run %s: %w", s.cfg.RunID, err)
	}
	return l, nil
}

// inferLeft is what workers' footers tell of a run of which nothing else is
// left. Whether they are of this run's data set is seen when that is read.
func (s *Session) inferLeft() (left, error) {
	chunks, refused, err := export.Collect(context.Background(), s.cfg.RunID, nil, []string{s.target.WorkDir()}, nil, time.Time{})
	if err != nil {
		s.cfg.Logger.Warn("footers in work directories ignored", "error", err)
		return left{}, nil
	}
	if refused > 0 {
		s.cfg.Logger.Warn("unusable footers on disk skipped", "count", refused)
	}
	r := perf.Report{RunID: s.cfg.RunID}
	measured := int64(0)
	for _, c := range chunks {
		if !c.Line.IsZero() {
			r.Incarnation = run.Incarnation(c.Line.Footer().Incarnation) // of all the same
			measured += c.Line.Bars()
		}
	}
	if measured == 0 {
		return left{}, nil
	}
	s.cfg.Logger.Warn("only footers in work directories are left of earlier epochs", "bars", measured)
	return left{known: true, inferred: true, file: perf.File{Report: r, Totals: perf.Count(perf.OutcomeStopped, chunks), Chunks: chunks}}, nil
}

// fitsData reports footers that cannot be of this data set: each names the time
// of its chunk's first bar and, but for those of earlier versions, the length of
// the whole.
func (l *left) fitsData(list []bars.Bar) error {
	for _, c := range l.file.Chunks {
		f := c.Line.Footer()
		if c.Line.IsZero() || f.StartTS == "" {
			continue
		}
		if f.ChunksTotal != 0 && f.DataBars != int64(len(list)) {
			return fmt.Errorf("a footer of chunk %d is of a data set of %d bars (expected %d)", c.Idx, f.DataBars, len(list))
		}
		if f.EndBar > int64(len(list)) {
			return fmt.Errorf("a footer of chunk %d ends at bar %d, and the data set has %d", c.Idx, f.EndBar, len(list))
		}
		at, err := time.Parse(time.RFC3339Nano, f.StartTS)
		if want := time.Unix(0, list[f.FirstBar].TimeNS); err != nil || at.Unix() != want.Unix() {
			return fmt.Errorf("chunk %d begins at %s in a footer on disk, but at %s in the data set", c.Idx, f.StartTS, want.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// add merges another file of the same run.
func (l *left) add(f perf.File) (err error) {
	l.at = latest(l.at, f.Report.Timestamp)
	if !l.known {
		l.known, l.file = true, f
		return nil
	}
	l.file, err = perf.MergeFiles(l.file, f)
	return err
}

// chunks is what is known of the chunks of plan.
func (l *left) chunks(plan run.Plan) []perf.Chunk {
	if !l.file.Guessed() {
		return l.file.Chunks
	}
	blank := make([]perf.Chunk, plan.Chunks)
	for i := range blank {
		blank[i] = perf.Chunk{Idx: i, Planned: plan.Chunk(i).Bars.Len()}
	}
	return perf.Refit(blank, l.file.Chunks)
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
func takeLock(t export.Target, log *slog.Logger) (*export.Lock, error) {
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
	if s.cfg.Explain != nil {
		s.cfg.Explain(life.board.fates())
	}
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
