package execcheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/execengine"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Config says what is replayed, and by which command.
type Config struct {
	Engine *execengine.Engine
	// Manifest has RunID, Data, Policy, PregateEnabled and Command; the rest
	// is not looked at.
	Manifest      run.Manifest
	Policy        policy.Policy
	PolicyContent []byte
	Files         map[string]string // shipped files' paths, by their names
	Set           bars.Set
	Range         run.BarRange // what is replayed
	Cuts          []int        // into how many pieces, each 2 or more
	Ignore        []string     // columns of trades that are not compared
	// Tolerance is how far values may be from each other: see apart. Entries and
	// exits have none. 0: they are the same to the last bit.
	Tolerance float64
	Dir       string // a directory for the attempts
	Keep      bool   // leave them there
	// Began, if not nil, is told what is replayed next.
	Began func(Piece)
	// Kill, if not nil, ends the command at once when it is closed.
	Kill <-chan struct{}
}

// Piece is one replay: piece Idx of Pieces; the whole range is 0 of 1.
type Piece struct {
	Idx, Pieces int
	Bars        run.BarRange
}

// MaxPieces bounds a cut.
const MaxPieces = 1000

// FailedError says that the command did not do a piece, so that there is
// nothing to compare.
type FailedError struct {
	Piece Piece
	Dir   string // the attempt's directory, which is kept
	Trace string // the command's last words
	Err   error
}

func (e *FailedError) Error() string {
	what := "the whole range"
	if e.Piece.Pieces > 1 {
		what = fmt.Sprintf("piece %d of %d", e.Piece.Idx+1, e.Piece.Pieces)
	}
	return fmt.Sprintf("replaying %s, bars [%d, %d): %v", what, e.Piece.Bars.First, e.Piece.Bars.End, e.Err)
}

func (e *FailedError) Unwrap() error { return e.Err }

// Run replays the range whole and cut, one piece after the other, and compares.
// A command that fails ends it with a *FailedError; when ctx ends it ends with
// the cause.
func Run(ctx context.Context, cfg Config) (Report, error) {
	c := checker{Config: cfg, memory: execengine.Memory{Set: cfg.Set}}
	if err := c.validate(); err != nil {
		return Report{}, err
	}
	for _, b := range cfg.Set.Bars {
		c.times = append(c.times, b.TimeNS)
	}
	c.dataFile = c.memory.DataFile(cfg.Dir, cfg.Manifest.Command)
	defer cfg.Engine.Close()

	whole, err := c.replay(ctx, Piece{0, 1, cfg.Range})
	if err != nil {
		return Report{}, err
	}
	r := c.report()
	if whole.nothing {
		return r, fmt.Errorf("the command wrote no trades to {out_dir}, so there is nothing to compare (want trades.csv or trades.parquet there, or --exec-emits scores or signals)")
	}
	for _, n := range cfg.Cuts {
		var parts []left
		for i, at := range cut(cfg.Range, n) {
			part, err := c.replay(ctx, Piece{i, n, at})
			if err != nil {
				return r, err
			}
			parts = append(parts, part)
		}
		found, err := c.compare(whole, parts)
		if err != nil {
			return r, err
		}
		r.Findings = append(r.Findings, found...)
		r.Borders += n - 1
	}
	r.NotCompared = c.notCompared
	r.Tolerance, r.DriftRows, r.Drift = c.Tolerance, c.drift.rows, c.drift.most
	r.judge()
	return r, nil
}

type checker struct {
	Config
	memory      execengine.Memory
	times       []int64 // opening times of all bars
	dataFile    func(context.Context) (string, error)
	notCompared []string
	drift       drift
}

func (c *checker) validate() error {
	n := c.Manifest.Data.Bars
	if c.Range.First < 0 || c.Range.End > n || c.Range.Len() < 2 {
		return fmt.Errorf("bars [%d, %d) of a data set of %d (want two bars of it or more)", c.Range.First, c.Range.End, n)
	}
	if len(c.Cuts) == 0 {
		return errors.New("no cuts (want numbers of pieces, as 2,3,7)")
	}
	for _, n := range c.Cuts {
		if n < 2 || n > MaxPieces || int64(n) > c.Range.Len() {
			return fmt.Errorf("a cut into %d pieces (want 2 to %d, and no more than the %d bars)", n, MaxPieces, c.Range.Len())
		}
	}
	if err := CheckTolerance(c.Tolerance); err != nil {
		return err
	}
	return execengine.CheckEmits(c.Manifest.Command.Emits, c.Policy, c.Manifest.Data)
}

// cut cuts r into n pieces as a run of n chunks is cut.
func cut(r run.BarRange, n int) []run.BarRange {
	plan := run.Plan{Bars: r.Len(), Chunks: n, Order: run.OrderTime}
	var list []run.BarRange
	for i := range n {
		at := plan.Chunk(i).Bars
		list = append(list, run.BarRange{First: r.First + at.First, End: r.First + at.End})
	}
	return list
}

// replay has the command replay one piece and reads what it left.
func (c *checker) replay(ctx context.Context, p Piece) (left, error) {
	if ctx.Err() != nil {
		return left{}, context.Cause(ctx)
	}
	if c.Began != nil {
		c.Began(p)
	}
	dir := filepath.Join(c.Dir, "whole")
	if p.Pieces > 1 {
		dir = filepath.Join(c.Dir, "cut_"+strconv.Itoa(p.Pieces), "chunk_"+strconv.Itoa(p.Idx))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return left{}, fmt.Errorf("making a directory for the command: %w", err)
	}
	m := c.Manifest
	m.Plan = run.Plan{Bars: c.Range.Len(), Chunks: p.Pieces, Order: run.OrderTime}
	res, err := c.Engine.Replay(ctx, execengine.Job{
		Manifest: m, Chunk: run.Chunk{Idx: p.Idx, Bars: p.Bars}, Attempt: 1, Dir: dir,
		Policy: c.Policy, PolicyContent: c.PolicyContent, PolicyFiles: c.Policy.Files, Source: c.memory, Files: c.Files, DataFile: c.dataFile,
		Grace: func(error) time.Duration { return c.Engine.Spec.Grace }, Kill: c.Kill,
	}, nil)
	if err == nil && res.Footer.BarsProcessed != p.Bars.Len() {
		err = fmt.Errorf("it reports that it is done, with %d of %d bars", res.Footer.BarsProcessed, p.Bars.Len())
	}
	var l left
	if err == nil {
		l, err = c.read(p, dir)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return l, context.Cause(ctx)
	case err != nil:
		return l, &FailedError{Piece: p, Dir: dir, Trace: res.Trace, Err: err}
	}
	if !c.Keep {
		if err := os.RemoveAll(dir); err != nil {
			return l, fmt.Errorf("removing the command's output: %w", err)
		}
	}
	return l, nil
}

// left is what the command left of a piece.
type left struct {
	piece   Piece
	table   table
	scores  scores
	nothing bool // no file of trades; a piece without trades may have none
}

func (c *checker) read(p Piece, dir string) (left, error) {
	l := left{piece: p}
	out, err := safefile.OpenDir(execengine.OutDir(dir))
	if err != nil {
		return l, err
	}
	defer out.Close() // it was read only
	m := c.Manifest
	slice := execengine.SliceRange(p.Bars, m.Data.Bars, c.Policy.WarmupBars, m.Command.TailBars)
	switch m.Command.Emits {
	case run.EmitsScores:
		list, err := execengine.ReadScores(out, c.times[p.Bars.First:p.Bars.End], false)
		l.scores = scores{list.PLong, list.PShort}
		return l, err
	case run.EmitsSignals:
		list, err := execengine.ReadSignals(out, c.times[slice.First:slice.End], slice.First, p.Bars, false)
		l.table = signalTable(list)
		return l, err
	}
	t, err := execengine.ReadTrades(out, false)
	if err != nil {
		return l, err
	}
	if t == nil || len(t.Content) == 0 {
		l.nothing = true
		return l, nil
	}
	l.table, err = readTable(t.Content)
	return l, err
}

// compare finds what differs between the whole range and its parts.
func (c *checker) compare(whole left, parts []left) ([]Finding, error) {
	if c.Manifest.Command.Emits == run.EmitsScores {
		return c.compareScores(whole, parts), nil
	}
	return c.compareTables(whole, parts)
}

func (c *checker) report() Report {
	return Report{
		Emits: c.Manifest.Command.Emits, FirstBar: c.Range.First, EndBar: c.Range.End,
		FirstTS: c.stamp(c.Range.First), LastTS: c.stamp(c.Range.End - 1),
		WarmupBars: c.Policy.WarmupBars, TailBars: c.Manifest.Command.TailBars,
		Cuts: c.Cuts, Findings: []Finding{}, NotCompared: []string{},
	}
}

// stamp is the opening time of a bar.
func (c *checker) stamp(bar int64) string {
	return time.Unix(0, c.times[bar]).UTC().Format(time.RFC3339)
}
