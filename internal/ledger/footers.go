package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Bounds on what is looked at below a directory of footers. The run's own
// layouts are four directories deep at most, with the host's name on top.
const (
	maxCollectDepth   = 5
	maxCollectEntries = 8 << 20 // files and directories, of all directories
	maxBars           = 1 << 53 // a bar's index is exact as a JSON number
)

// MaxFooterFile bounds the file in which an attempt's directory, and a chunk's
// for readers, hold its footer.
const MaxFooterFile = 4 * footer.MaxEncodedBytes

// ReadFooter reads the footer in the file at path. Nothing but its form is
// checked.
func ReadFooter(path string) (footer.Footer, error) {
	b, err := safefile.Read(path, MaxFooterFile)
	if err != nil {
		return footer.Footer{}, err
	}
	return footer.DecodeJSON(b)
}

// found is what files contain of a chunk.
type found struct {
	line perf.Encoded
	last ending    // of the latest attempt that has ended, if one has
	at   time.Time // the latest report of an attempt that has ended
}

// ending is how an attempt has ended, short of ok.
type ending struct {
	attempt, seq int64
	at           time.Time
	status       footer.Status
	err, trace   string
}

// collector gathers footers of one run.
type collector struct {
	id run.ID
	// incarnation is that of the run, if isOnly, else that of the first footer;
	// mixed: there are others.
	incarnation   run.Incarnation
	isOnly, mixed bool
	met           bool // a footer

	known   []perf.Chunk
	knownAt time.Time
	places  []run.Chunk // of the plan; nil: footers are read for it alone

	votes   map[run.Plan]int // of footers without a plan, for those that they may be of
	unsized bool             // one of them does not name its plan's size
	found   map[run.Chunk]*found
	dirs    map[string]string // where artifacts lie, by their digests
	refused int
	entries int
}

func newCollector(id run.ID) *collector {
	return &collector{id: id, votes: map[run.Plan]int{}, found: map[run.Chunk]*found{}, dirs: map[string]string{}}
}

// errMixed: there is no telling which of several runs is meant.
var errMixed = errors.New("the footers are of several runs of this name (want those of one; name its own directory, <run_id>.<incarnation>)")

// walk reads all footers below dirs.
func (c *collector) walk(ctx context.Context, dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		if err := c.dir(ctx, dir, 0); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

var errTooMany = fmt.Errorf("more than %d files and directories (name the run's own directory)", maxCollectEntries)

// dir reads the footers in and below path.
func (c *collector) dir(ctx context.Context, path string, depth int) error {
	// A directory that became something else is none: neither a link nor a
	// pipe may hold up a recovery. The roots are the caller's choice.
	how := os.O_RDONLY | syscall.O_DIRECTORY | syscall.O_NONBLOCK
	if depth > 0 {
		how |= syscall.O_NOFOLLOW
	}
	d, err := os.OpenFile(path, how, 0)
	if err != nil {
		if depth > 0 && errors.Is(err, os.ErrNotExist) {
			return nil // cleaned up meanwhile
		}
		return err
	}
	defer d.Close()
	var errs []error
	for {
		if err := context.Cause(ctx); err != nil {
			return errors.Join(append(errs, err)...)
		}
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			if c.entries++; c.entries > maxCollectEntries {
				return errors.Join(append(errs, errTooMany)...)
			}
			name := filepath.Join(path, e.Name())
			switch {
			case e.Name() == layout.FooterFile:
				err := c.file(name)
				if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EIO) {
					errs = append(errs, err) // proves nothing about the file
				} else if err != nil {
					c.refused++
				}
			case !e.IsDir() || depth == maxCollectDepth || strings.HasPrefix(e.Name(), ".") || c.outranked(path, e.Name()):
			default:
				if err := c.dir(ctx, name, depth+1); err != nil {
					errs = append(errs, err)
					if errors.Is(err, errTooMany) || ctx.Err() != nil {
						return errors.Join(errs...)
					}
				}
			}
		}
		if err == io.EOF {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
}

// outranked reports whether the directory name in dir is that of an attempt
// which an ok footer that is known outranks, of that attempt or a later one.
// In a run of many chunks that is nearly every attempt.
func (c *collector) outranked(dir, name string) bool {
	attempt, isAttempt := layout.ParseAttemptDir(name)
	idx, isChunk := layout.ParseChunkDir(filepath.Base(dir))
	if c.places == nil || !isAttempt || !isChunk || idx >= len(c.known) {
		return false
	}
	k := c.known[idx]
	return k.Line.IsOK() && k.Line.Bars() == k.Planned && int64(attempt) <= k.Line.Footer().Attempt
}

// file takes in the footer in the file at path; an error refuses it.
func (c *collector) file(path string) error {
	b, err := safefile.Read(path, MaxFooterFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil // cleaned up meanwhile
	}
	if err != nil {
		return err
	}
	ft, _, err := perf.DecodeLine(b)
	if err != nil {
		return err
	}
	if err := c.take(ft); err != nil {
		return err
	}
	for _, a := range ft.Artifacts {
		c.dirs[a.SHA256] = filepath.Dir(path)
	}
	return nil
}

// take takes in one footer; an error refuses it.
func (c *collector) take(f footer.Footer) error {
	if f.RunID != string(c.id) {
		if _, err := run.ParseID(f.RunID); err != nil {
			return err
		}
		return nil // of another run
	}
	if of := run.Incarnation(f.Incarnation); of != c.incarnation || !c.met && !c.isOnly {
		if c.isOnly {
			return nil // of another run of that name
		}
		c.mixed = c.mixed || c.met
		c.incarnation = of
	}
	c.met = true
	switch f.Status {
	case footer.StatusUnresponsive, footer.StatusMissing, footer.StatusParseError:
		// A chunk's status in a readers' directory. What was measured counts;
		// its attempt has not ended.
		f.Status = footer.StatusPartial
	}
	if f.Attempt == 0 && f.BarsProcessed == 0 {
		return nil // there too: nothing was measured
	}
	p := run.Chunk{Idx: int(f.ChunkIdx), Bars: run.BarRange{First: f.FirstBar, End: f.EndBar}}
	if err := c.fits(f, p); err != nil {
		return err
	}
	if c.places == nil {
		c.vote(p, f)
		return nil
	}
	end := ending{f.Attempt, f.Seq, time.Time{}, f.Status, f.Error, f.ErrorTraceback}
	if at, err := time.Parse(time.RFC3339, f.Timestamp); err == nil {
		end.at = at
	}
	// As it will be written: the rule is over what was measured.
	if f.Status != footer.StatusOK {
		f.Status = footer.StatusPartial
	}
	f.Error, f.ErrorTraceback = "", ""
	h := c.found[p]
	if h == nil || h.line.IsZero() || footer.Outranks(f, h.line.Footer()) {
		line, err := perf.EncodeChunk(f)
		if err != nil {
			return err
		}
		if h == nil {
			h = &found{}
			c.found[p] = h
		}
		h.line = line
	}
	if end.status == footer.StatusStopped || end.status == footer.StatusFailed {
		if h.last.status == "" || end.after(h.last) {
			h.last = end
		}
		if end.at.After(h.at) {
			h.at = end.at
		}
	}
	return nil
}

// fits reports whether f, which claims the place p, can be one of the run's.
func (c *collector) fits(f footer.Footer, p run.Chunk) error {
	if f.ChunkIdx < 0 || f.ChunkIdx >= run.MaxChunks {
		return fmt.Errorf("chunk_idx %d (want 0 to %d)", f.ChunkIdx, run.MaxChunks-1)
	}
	first, end := p.Bars.First, p.Bars.End
	if c.places != nil && (p.Idx >= len(c.places) || c.places[p.Idx] != p) {
		return fmt.Errorf("chunk %d with bars [%d, %d) is not of the plan", p.Idx, first, end)
	}
	if first < int64(p.Idx) || end <= first || end > maxBars || p.Idx == 0 && first != 0 {
		return fmt.Errorf("chunk %d cannot have bars [%d, %d)", p.Idx, first, end)
	}
	// The rest does not depend on where the chunk lies, so it is held against
	// a run of this chunk alone. The footer records whether the gate was on.
	if sized := f.ChunksTotal != 0 || f.DataBars != 0; sized {
		if f.ChunksTotal < 1 || f.ChunksTotal > run.MaxChunks || f.DataBars < f.ChunksTotal || f.DataBars > maxBars {
			return fmt.Errorf("chunk %d of %d chunks and %d bars (want 1 to %d chunks, and at least a bar for each)", p.Idx, f.ChunksTotal, f.DataBars, run.MaxChunks)
		}
		if n := len(c.places); n > 0 && (f.ChunksTotal != int64(n) || f.DataBars != c.places[n-1].Bars.End) {
			return fmt.Errorf("chunk %d of %d chunks and %d bars is not of the plan", p.Idx, f.ChunksTotal, f.DataBars)
		}
	}
	alone := run.Manifest{
		EngineVersion: int(f.EngineVersion),
		RunID:         c.id, Incarnation: run.Incarnation(f.Incarnation), Plan: run.Plan{Bars: p.Bars.Len(), Chunks: 1}, Engine: f.Engine,
		PregateEnabled: f.PregateSkips+f.PregatePasses > 0,
	}
	f.ChunkIdx, f.ChunkID, f.FirstBar, f.EndBar, f.ChunksTotal = 0, "0", 0, p.Bars.Len(), 0
	return f.Check(alone)
}

// after orders endings, whatever the order of files.
func (e ending) after(o ending) bool {
	return cmp.Or(cmp.Compare(e.attempt, o.attempt), cmp.Compare(e.seq, o.seq), e.at.Compare(o.at),
		cmp.Compare(e.status, o.status), cmp.Compare(e.err, o.err), cmp.Compare(e.trace, o.trace)) > 0
}

// chunks is what is known of each chunk of the plan, now that all files were
// read.
func (c *collector) chunks() ([]perf.Chunk, error) {
	seen := make([]perf.Chunk, len(c.places))
	for i, p := range c.places {
		seen[i] = c.known[i]
		if h := c.found[p]; h != nil {
			seen[i] = h.chunk(c.known[i], c.knownAt)
		}
	}
	return perf.Merge(c.known, seen) // has the authoritative footers stand
}

// setPlan has the plan be that of chunks, which are known.
func (c *collector) setPlan(chunks []perf.Chunk) {
	c.known = chunks
	c.places = make([]run.Chunk, len(chunks))
	first := int64(0)
	for i, k := range chunks {
		c.places[i] = run.Chunk{Idx: i, Bars: run.BarRange{First: first, End: first + k.Planned}}
		first += k.Planned
	}
}

// chunk is the chunk that was known as k at the given time, now that files
// were found.
func (h *found) chunk(k perf.Chunk, knownAt time.Time) perf.Chunk {
	c := k
	c.Line = h.line
	switch {
	case h.line.IsOK():
		c.Status, c.Error, c.Trace = footer.StatusOK, "", ""
	case k.Status == footer.StatusFailed:
		// No attempts are left; only an ok footer outranks that.
	case h.last.status != "" && (h.at.After(knownAt) || k.Status != footer.StatusUnresponsive):
		if k.Status != footer.StatusStopped || h.at.After(knownAt) {
			c.Error, c.Trace = h.last.err, h.last.trace
		}
		c.Status = footer.StatusStopped
	case k.Status == footer.StatusMissing, k.Status == footer.StatusParseError:
		// Bars, and no final report: it was claimed.
		c.Status, c.Error, c.Trace = footer.StatusUnresponsive, "", ""
	}
	return c
}
