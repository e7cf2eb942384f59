package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Bounds on what is looked at below a directory of footers. The run's own
// layouts are four directories deep at most, with the host's name on top.
const (
	maxCollectDepth   = 5
	maxCollectEntries = 8 << 20 // files and directories, of all directories
	maxFooterFile     = 4 * footer.MaxEncodedBytes
	footerFile        = "chunk_footer.json"
	maxBars           = 1 << 53 // a bar's index is exact as a JSON number
)

// Collect returns what is known of each chunk of run id, from known, which an
// export or a backup of knownAt has said, and from the chunk_footer.json files
// below dirs: a worker's work directory, a readers' directory of the run, or
// several of them in one. known fixes the plan; where it is empty the plan is
// inferred from the footers, as infer says.
//
// Footers of other incarnations than of are passed over; nil: all must be of
// one, whichever it is.
//
// Files are not trusted. One that is none of this run's footers, is too large,
// or does not fit the plan is counted in refused; footers of other runs are
// passed over. Links are not followed. Neither the order of dirs nor that in
// them changes the result.
//
// An error means that something could not be looked at (a directory that is
// missing or cannot be read, too many files); the chunks hold all that was.
func Collect(ctx context.Context, id run.ID, of *run.Incarnation, dirs []string, known []perf.Chunk, knownAt time.Time) (chunks []perf.Chunk, refused int, err error) {
	c := newCollector(id, known, knownAt)
	c.planned = len(known) > 0
	if of != nil {
		c.only(*of)
	}
	err = c.walk(ctx, dirs)
	chunks, err2 := c.chunks()
	if err := errors.Join(err, err2); err != nil {
		return chunks, c.refused, fmt.Errorf("collecting the footers of run %s: %w", id, err)
	}
	return chunks, c.refused, nil
}

// place is the place of a chunk in the data set: bars [first, end).
type place struct {
	idx, first, end int64
}

// found is what files say of a chunk.
type found struct {
	line perf.Encoded
	last ending    // of the latest attempt that has ended, if one has
	at   time.Time // the latest word of an attempt that has ended
}

// ending is how an attempt has ended, short of ok.
type ending struct {
	attempt, seq int64
	at           time.Time
	status       footer.Status
	err, trace   string
}

// collector gathers footers.
type collector struct {
	id run.ID
	// incarnation is that of the run, if isOnly, else that of the first footer;
	// mixed says that there are others.
	incarnation   run.Incarnation
	isOnly, mixed bool
	met           bool // a footer

	known   []perf.Chunk
	knownAt time.Time
	planned bool // known is the plan; false: it is inferred
	places  []place
	// dataBars is the size of the data set where the plan is inferred and
	// footers say it; else 0.
	dataBars int64

	found   map[place]*found
	dirs    map[string]string // where artifacts lie, by their digests
	refused int
	entries int
}

func newCollector(id run.ID, known []perf.Chunk, knownAt time.Time) *collector {
	c := &collector{id: id, known: known, knownAt: knownAt, found: map[place]*found{}, dirs: map[string]string{}}
	first := int64(0)
	for _, k := range known {
		c.places = append(c.places, place{int64(k.Idx), first, first + k.Planned})
		first += k.Planned
	}
	return c
}

// only has the collector take footers of that incarnation alone.
func (c *collector) only(of run.Incarnation) { c.incarnation, c.isOnly = of, true }

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
			case e.Name() == footerFile:
				err := c.file(name)
				if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EIO) {
					errs = append(errs, err) // says nothing about the file
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
	n, isAttempt := strings.CutPrefix(name, "attempt_")
	i, isChunk := strings.CutPrefix(filepath.Base(dir), "chunk_")
	if !c.planned || !isAttempt || !isChunk {
		return false
	}
	attempt, err := strconv.ParseInt(n, 10, 64)
	idx, err2 := strconv.Atoi(i)
	if err != nil || err2 != nil || idx < 0 || idx >= len(c.known) {
		return false
	}
	k := c.known[idx]
	return k.Line.IsOK() && k.Line.Bars() == k.Planned && attempt <= k.Line.Footer().Attempt
}

// file takes in the footer in the file at path; an error refuses it.
func (c *collector) file(path string) error {
	b, err := safefile.Read(path, maxFooterFile)
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
		if isKept(a.Name) {
			c.dirs[a.SHA256] = filepath.Dir(path)
		}
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
	p := place{f.ChunkIdx, f.FirstBar, f.EndBar}
	if err := c.fits(f, p); err != nil {
		return err
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

// fits says whether f, which claims the place p, can be one of the run's.
func (c *collector) fits(f footer.Footer, p place) error {
	if p.idx < 0 || p.idx >= run.MaxChunks {
		return fmt.Errorf("chunk_idx %d (want 0 to %d)", p.idx, run.MaxChunks-1)
	}
	if c.planned && (p.idx >= int64(len(c.places)) || c.places[p.idx] != p) {
		return fmt.Errorf("chunk %d with bars [%d, %d) is not of the plan", p.idx, p.first, p.end)
	}
	if p.first < p.idx || p.end <= p.first || p.end > maxBars || p.idx == 0 && p.first != 0 {
		return fmt.Errorf("chunk %d cannot have bars [%d, %d)", p.idx, p.first, p.end)
	}
	// The rest does not depend on where the chunk lies, so it is held against
	// a run of this chunk alone. The footer says whether the gate was on.
	if s := scaleOf(f); s != (scale{}) && !s.possible() {
		return fmt.Errorf("chunk %d of %d chunks and %d bars (want 1 to %d chunks, and at least a bar for each)", p.idx, s.chunks, s.bars, run.MaxChunks)
	}
	if f.ChunksTotal != 0 && c.planned && (f.ChunksTotal != int64(len(c.places)) || f.DataBars != c.places[len(c.places)-1].end) {
		return fmt.Errorf("chunk %d of %d chunks and %d bars is not of the plan", p.idx, f.ChunksTotal, f.DataBars)
	}
	alone := run.Manifest{
		EngineVersion: int(f.EngineVersion),
		RunID:         c.id, Incarnation: run.Incarnation(f.Incarnation), Plan: run.Plan{Bars: p.end - p.first, Chunks: 1}, Engine: f.Engine,
		PregateEnabled: f.PregateSkips+f.PregatePasses > 0,
	}
	f.ChunkIdx, f.ChunkID, f.FirstBar, f.EndBar, f.ChunksTotal = 0, "0", 0, p.end-p.first, 0
	return f.Check(alone)
}

// after orders endings, whatever the order of files.
func (e ending) after(o ending) bool {
	return cmp.Or(cmp.Compare(e.attempt, o.attempt), cmp.Compare(e.seq, o.seq), e.at.Compare(o.at),
		cmp.Compare(e.status, o.status), cmp.Compare(e.err, o.err), cmp.Compare(e.trace, o.trace)) > 0
}
