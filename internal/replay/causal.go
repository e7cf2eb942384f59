package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Change is something of the past that differs once the future is cut off:
// the first of its cut.
type Change struct {
	Cut       int64  `json:"cut"` // bars before this one were all that there was
	Bar       int64  `json:"bar"`
	What      string `json:"what"` // a feature, an input of the gate, or what of a signal
	Whole     string `json:"whole"`
	Truncated string `json:"truncated"`
}

// recording is one replay with a digest of what every bar showed.
type recording struct {
	rows       []uint64
	firstReady int64 // -1: none
	result     Result
}

// A row is what the policy looks at in a bar, as bits: these, then the
// features.
const (
	rowReady = iota
	rowSession
	rowSpread
	rowATR
	rowFeatures
)

// none stands in a row for a value that is not there. No arithmetic makes
// this NaN.
const none uint64 = 0x7FFF_6E6F_6E65_0001

// watch replays job and shows each of its bars' rows before the bar is
// counted. The row is reused. An error of see ends the replay.
func watch(ctx context.Context, job Job, src Source, see func(e *engine, row []uint64) error) (Result, error) {
	e, err := newEngine(ctx, job, nil)
	if err != nil {
		return Result{}, err
	}
	row := make([]uint64, rowFeatures+len(job.Policy.Features))
	e.job.OnBar = func(int64) error {
		e.row(row)
		return see(e, row)
	}
	err = e.replay(src)
	return e.result(), err
}

func (e *engine) row(row []uint64) {
	for i := range row {
		row[i] = none
	}
	row[rowSession] = uint64(e.set.Session())
	if v, ok := e.set.SpreadBps(); ok {
		row[rowSpread] = math.Float64bits(v)
	}
	if v, ok := e.set.ATRBps(); ok {
		row[rowATR] = math.Float64bits(v)
	}
	row[rowReady] = 0
	if e.set.Ready() && e.next >= e.job.Policy.WarmupBars {
		row[rowReady] = 1
		for i, v := range e.set.Values() {
			row[rowFeatures+i] = math.Float64bits(v)
		}
	}
}

// record replays job and keeps 8 bytes a bar.
func record(ctx context.Context, job Job, src Source) (*recording, error) {
	t := &recording{firstReady: -1}
	if n := job.Bars.Len(); n > 0 {
		t.rows = make([]uint64, 0, n)
	}
	var err error
	t.result, err = watch(ctx, job, src, func(e *engine, row []uint64) error {
		t.rows = append(t.rows, digest(row))
		if t.firstReady < 0 && row[rowReady] == 1 {
			t.firstReady = e.next
		}
		return nil
	})
	return t, err
}

// digest mixes a row's words (the finisher of splitmix64 over each).
func digest(row []uint64) uint64 {
	var h uint64
	for _, w := range row {
		h = h*0x9E3779B97F4A7C15 + w
		h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
		h = (h ^ h>>27) * 0x94D049BB133111EB
		h ^= h >> 31
	}
	return h
}

var errSeen = errors.New("seen enough")

// without replays job as if the data set ended before bar cut, and compares
// what there is up to there. nil: nothing changed.
func (t *recording) without(ctx context.Context, job Job, src Source, cut int64) (*Change, error) {
	part, short := job, until{src, cut}
	part.Bars.End, part.DataBars = cut, cut
	differs := int64(-1)
	res, err := watch(ctx, part, short, func(e *engine, row []uint64) error {
		if t.rows[e.next-job.Bars.First] != digest(row) {
			differs = e.next
			return errSeen
		}
		return nil
	})
	if err != nil && !errors.Is(err, errSeen) {
		return nil, err
	}
	end := cut
	if differs >= 0 {
		end = differs // signals before it come first
	}
	if c := compareSignals(t.result.Signals, res.Signals, end); c != nil || differs < 0 {
		if c != nil {
			c.Cut = cut
		}
		return c, nil
	}
	long, err := rowAt(ctx, job, src, differs)
	if err != nil {
		return nil, err
	}
	small, err := rowAt(ctx, part, short, differs)
	if err != nil {
		return nil, err
	}
	c := &Change{Cut: cut, Bar: differs, What: "a replay of the same bars", Whole: "one result", Truncated: "another the next time"}
	for i := range long {
		if long[i] != small[i] {
			c.What, c.Whole, c.Truncated = rowName(job, i), rowValue(i, long[i]), rowValue(i, small[i])
			break
		}
	}
	return c, nil
}

// rowAt is the row of one bar of job, which src need not end with.
func rowAt(ctx context.Context, job Job, src Source, bar int64) ([]uint64, error) {
	var kept []uint64
	_, err := watch(ctx, job, src, func(e *engine, row []uint64) error {
		if e.next < bar {
			return nil
		}
		kept = append(kept, row...)
		return errSeen
	})
	if !errors.Is(err, errSeen) {
		return nil, fmt.Errorf("looking at bar %d again: %w", bar, err)
	}
	return kept, nil
}

func rowName(job Job, i int) string {
	switch i {
	case rowReady:
		return "whether features are ready"
	case rowSession:
		return "the market session"
	case rowSpread:
		return "the gate's spread_bps"
	case rowATR:
		return "the gate's atr_bps"
	}
	return job.Policy.Features[i-rowFeatures]
}

func rowValue(i int, bits uint64) string {
	switch {
	case bits == none:
		return "none"
	case i == rowReady:
		return strconv.FormatBool(bits == 1)
	case i == rowSession:
		return strconv.FormatUint(bits, 10)
	}
	return exact(math.Float64frombits(bits))
}

func exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// compareSignals gives the first signal of a bar before end that differs
// between a whole replay and one that saw the bars before end alone: that it
// was made, its side and score, and what became of it, where that was known
// before end. Its Cut is for the caller to fill.
func compareSignals(whole, short []trade.Signal, end int64) *Change {
	for i := 0; ; i++ {
		a, b := signalAt(whole, i, end), signalAt(short, i, end)
		switch {
		case a == nil && b == nil:
			return nil
		case a != nil && b != nil && *a == *b:
			continue
		}
		bar := end
		for _, s := range []*trade.Signal{a, b} {
			if s != nil {
				bar = min(bar, s.Bar)
			}
		}
		known := len(signalNames)
		if a != nil && !settled(a, end) {
			known = signalKnown // what the cut leaves open may end otherwise
		}
		wa, wb := signalWords(a, bar), signalWords(b, bar)
		for k := range known {
			if wa[k] != wb[k] {
				return &Change{Bar: bar, What: signalNames[k], Whole: wa[k], Truncated: wb[k]}
			}
		}
	}
}

// signalAt is signal i if its bar is before end.
func signalAt(list []trade.Signal, i int, end int64) *trade.Signal {
	if i >= len(list) || list[i].Bar >= end {
		return nil
	}
	return &list[i]
}

// settled says that a signal came to its end by bars before end.
func settled(s *trade.Signal, end int64) bool {
	return s.Closed() && s.ExitBar < end || s.Expired && s.Bar+1 < end
}

// signalKnown is how many of signalNames are known at the signal's bar.
const signalKnown = 3

var signalNames = [...]string{
	"the signal", "the signal's time", "the signal's score",
	"the signal's expiry", "the entry bar", "the entry price", "the exit bar", "the exit price", "the exit reason", "bars held", "mae_bps", "mfe_bps",
}

// signalWords are what signalNames name of s, if it is a signal of bar.
func signalWords(s *trade.Signal, bar int64) [len(signalNames)]string {
	if s == nil || s.Bar != bar {
		return [len(signalNames)]string{"none"}
	}
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return [len(signalNames)]string{
		s.Side.String(), n(s.TimeNS), exact(s.Score),
		strconv.FormatBool(s.Expired), n(s.EntryBar), exact(s.EntryPrice),
		n(s.ExitBar), exact(s.ExitPrice), s.ExitReason, n(s.BarsHeld), exact(s.MAEBps), exact(s.MFEBps),
	}
}

// until is a source whose data end before a bar.
type until struct {
	src Source
	end int64
}

func (u until) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	if r.End > u.end {
		return func(yield func([]bars.Bar, error) bool) {
			yield(nil, fmt.Errorf("bars [%d, %d) of a data set that ends at %d", r.First, r.End, u.end))
		}
	}
	return u.src.Blocks(ctx, r)
}
