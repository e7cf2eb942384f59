package ledger

import (
	"context"
	"fmt"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// Source is where an account of a run comes from.
type Source string

const (
	PerfFile Source = "perf file"
	Backup   Source = "footer backup"
	Bus      Source = "bus"
)

// Ledger is what is known of one run. Its methods are for one goroutine at a
// time; what they return must not be changed.
type Ledger struct {
	id       run.ID
	file     perf.File // what all accounts hold together
	accounts map[Source]perf.File
	at       time.Time // time of the last sign of life in the latest of them

	known     bool
	refused   int
	artifacts map[string]string
}

// New is the ledger of run id before anything is known of it.
func New(id run.ID) *Ledger {
	return &Ledger{id: id, accounts: map[Source]perf.File{}, artifacts: map[string]string{}}
}

// Account is what one source holds of a run.
type Account struct {
	From Source
	File perf.File
	// HeardAt is the time of the run's last sign of life in the source; zero: when the file was
	// written.
	HeardAt time.Time
}

// Add merges an account of the run. The later one decides what is not added up,
// the statuses included. An account of another run is a perf.ErrOtherRun, and
// leaves the ledger as it is.
func (l *Ledger) Add(a Account) error {
	merged := a.File
	if l.known {
		var err error
		if merged, err = perf.MergeFiles(l.file, a.File); err != nil {
			return fmt.Errorf("the %s of run %s: %w", a.From, l.id, err)
		}
	}
	if a.HeardAt.IsZero() {
		a.HeardAt = a.File.Report.Timestamp
	}
	if !l.known || !a.File.Report.Timestamp.Before(l.file.Report.Timestamp) {
		l.at = a.HeardAt
	}
	l.file, l.known, l.accounts[a.From] = merged, true, a.File
	return nil
}

// AddFooters merges the footers in the chunk_footer.json files below dirs: a
// worker's work directory, a readers' directory of the run, or several of them
// in one. What is known of the run fixes its plan and its incarnation; where
// nothing is, the footers do, which have to be of one incarnation.
//
// Files are not trusted. One that is none of this run's footers, is too large,
// or does not fit the plan is counted in Refused; footers of other runs are
// passed over. Links are not followed.
//
// An error that is a *PartlyRead means that something could not be read (a
// directory that is missing, too many files); the ledger holds all that was.
// With any other one it is unchanged.
func (l *Ledger) AddFooters(ctx context.Context, dirs []string) error {
	c := newCollector(l.id)
	c.knownAt = l.at
	if l.file.Measured() {
		c.incarnation, c.isOnly = l.file.Report.Incarnation, true
	}
	planned := len(l.file.Chunks) > 0 && !l.file.Guessed()
	if planned {
		c.setPlan(l.file.Chunks)
	} else if err := l.findPlan(ctx, c, dirs); err != nil {
		return fmt.Errorf("reading the footers of run %s: %w", l.id, err)
	}
	errRead := c.walk(ctx, dirs)
	chunks, err := c.chunks()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("reading the footers of run %s: %w", l.id, err)
	}
	l.refused += c.refused
	for sha, dir := range c.dirs {
		l.artifacts[sha] = dir
	}
	r := &l.file.Report
	if len(chunks) > 0 && !planned {
		l.known, r.RunID = true, l.id
		r.Data.Bars = c.places[len(c.places)-1].Bars.End
	}
	if c.met && !c.isOnly {
		r.Incarnation = c.incarnation
	}
	l.file.Chunks, l.file.Totals = chunks, r.Count(chunks)
	if errRead != nil {
		return fmt.Errorf("reading the footers of run %s: %w", l.id, &PartlyRead{errRead})
	}
	return nil
}

// findPlan finds the plan of a run of which no account names it: by the footers
// below dirs, and by those of a file that was exported from footers.
func (l *Ledger) findPlan(ctx context.Context, c *collector, dirs []string) error {
	for _, k := range l.file.Chunks {
		if !k.Line.IsZero() {
			if err := c.take(k.Line.Footer()); err != nil {
				return fmt.Errorf("chunk %d of the existing export: %w", k.Idx, err)
			}
		}
	}
	_ = c.walk(ctx, dirs) // what cannot be read is found out again
	p, ok := c.plan()
	switch {
	case c.mixed:
		return errMixed
	case ok:
		c.setPlan(perf.Refit(blank(p), l.file.Chunks))
	case len(l.file.Chunks) > 0:
		c.setPlan(l.file.Chunks)
	case c.unsized:
		return ErrNoPlan
	default:
		c.setPlan(nil)
	}
	c.refused, c.entries = 0, 0
	return nil
}

// PartlyRead: not all files could be read, and what could be was used.
type PartlyRead struct{ Err error }

func (e *PartlyRead) Error() string { return e.Err.Error() }
func (e *PartlyRead) Unwrap() error { return e.Err }

// File is what all accounts and footers hold together; the zero File if nothing
// is known.
func (l *Ledger) File() perf.File { return l.file }

// Of is what one source holds of the run, and whether that was added.
func (l *Ledger) Of(from Source) (perf.File, bool) {
	f, ok := l.accounts[from]
	return f, ok
}

// Known reports whether there is an account of the run, or a footer.
func (l *Ledger) Known() bool { return l.known }

// FootersOnly reports that all that is known of the run comes from footers, be
// it by a file that was exported from them: they name of the data set only its
// length and times, and of the policy nothing.
func (l *Ledger) FootersOnly() bool { return l.file.Guessed() }

// HeardAt is the time of the last sign of life in the latest account.
func (l *Ledger) HeardAt() time.Time { return l.at }

// Refused is how many footer files were refused.
func (l *Ledger) Refused() int { return l.refused }

// Artifacts are the directories on this host in which artifacts lie, by the
// artifact's SHA-256.
func (l *Ledger) Artifacts() map[string]string { return l.artifacts }

// Chunks is what is known of the chunks of plan.
func (l *Ledger) Chunks(plan run.Plan) []perf.Chunk {
	if !l.file.Guessed() {
		return l.file.Chunks
	}
	return perf.Refit(blank(plan), l.file.Chunks)
}

// Plan is the plan of the chunks that are known, and whether one is.
func (l *Ledger) Plan(order run.Order) (p run.Plan, known bool, err error) {
	if len(l.file.Chunks) == 0 || l.file.Guessed() {
		return run.Plan{}, false, nil
	}
	if p, err = PlanOf(l.file.Chunks, order); err != nil {
		return p, false, fmt.Errorf("run %s: %w", l.id, err)
	}
	return p, true, nil
}

// BarTime is the time of a bar of a data set, by its index.
type BarTime func(bar int64) time.Time

// FitsData returns an error if a footer cannot be of a data set of so many bars
// with these times: each names the time of its chunk's first bar and, but for
// those of earlier releases, the length of the whole.
func (l *Ledger) FitsData(bars int64, at BarTime) error {
	for _, c := range l.file.Chunks {
		f := c.Line.Footer()
		if c.Line.IsZero() || f.StartTS == "" {
			continue
		}
		if f.ChunksTotal != 0 && f.DataBars != bars {
			return fmt.Errorf("a footer of chunk %d is of a data set of %d bars (expected %d)", c.Idx, f.DataBars, bars)
		}
		if f.EndBar > bars {
			return fmt.Errorf("a footer of chunk %d ends at bar %d, and the data set has %d", c.Idx, f.EndBar, bars)
		}
		began, err := time.Parse(time.RFC3339Nano, f.StartTS)
		if want := at(f.FirstBar); err != nil || began.Unix() != want.Unix() {
			return fmt.Errorf("a footer of chunk %d begins at %s, and the chunk at %s in the data set", c.Idx, f.StartTS, want.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// ReplayedBars is how many bars are known to be replayed.
func (l *Ledger) ReplayedBars() (bars int64) {
	for _, c := range l.file.Chunks {
		bars += c.Line.Bars()
	}
	return bars
}

// failedChunks reports whether an account holds a failed chunk.
func (l *Ledger) failedChunks() bool {
	for _, f := range l.accounts {
		if f.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks > 0 {
			return true
		}
	}
	return false
}
