package perf

import (
	"encoding/json"
	"fmt"
	"math"

	"gx1replay/internal/footer"
)

// Selection is what the selection of trades over a run's signals has decided
// (engine.md §4). It is made of the footers that speak and holds as long as
// they do: with any other footer the counts of the chunks, which each chunk
// made as if nothing was open at its start, stand instead. The zero Selection
// was never made.
type Selection struct {
	Scope  Scope // run, stretches or command; zero is written as chunks
	Trades TradesFile
	// Signals names the file of the signals that trades were selected from.
	Signals SignalsFile
	// Estimate is what the run would give at its end; nil: it is there, or there is
	// no estimate.
	Estimate *Estimate
	// Exact (borders_exact): nothing in the trades depends on how the data set
	// was cut. Signals of every replayed bar were there, and those that were
	// taken were followed to their ends.
	Exact bool
	// Final: though they are not exact, nobody can know more of the trades,
	// because they are as a command has left them.
	Final bool
	// TotalPnlBps is the sum over closed trades in the order of the rows, one
	// after the other, so that it does not depend on the cut either.
	TotalPnlBps float64
	// NetPnlBps is the sum of the rows' net_pnl_bps in the same order, where the
	// policy has costs and no row is lost; else nil.
	NetPnlBps *float64
	// Chunks has one element for each chunk of the plan, in order.
	Chunks []ChunkTrades
	// Remarks are sentences about the trades for who reads them first. No file
	// has them but the summary.
	Remarks []string

	lines []Encoded // that it was made of
}

// ChunkTrades are the run's trades whose signals lie in one chunk.
type ChunkTrades struct {
	// Known: the chunk's signals were there. Else the footer's own counts
	// stand, and its closed trades are trades without rows.
	Known       bool
	Closed      int64
	PnlBps      float64 // of the closed ones
	Open        int64
	OpenPnlBps  float64 // marked to market where the replay ended
	DropReasons footer.Counts
}

// NewSelection makes a selection over chunks, every one of a plan, in order.
// The caller fills in the rest.
func NewSelection(chunks []Chunk) Selection {
	s := Selection{Chunks: make([]ChunkTrades, len(chunks)), lines: make([]Encoded, len(chunks))}
	for i, c := range chunks {
		s.lines[i] = c.Line
	}
	return s
}

// Settled says that the run's trades are known for good.
func (s Selection) Settled() bool { return s.Exact || s.Final }

// ScopeName is selection.scope.
func (s Selection) ScopeName() Scope {
	if s.Scope == "" {
		return ScopeChunks
	}
	return s.Scope
}

// Holds reports whether s was made of the footers that speak for chunks.
func (s Selection) Holds(chunks []Chunk) bool {
	if len(s.lines) == 0 || len(s.lines) != len(chunks) || len(s.Chunks) != len(chunks) {
		return false
	}
	for i, c := range chunks {
		if !s.lines[i].same(c.Line) {
			return false
		}
	}
	return true
}

// HoldingOf returns the first of candidates that holds for chunks, else the
// zero Selection.
func HoldingOf(chunks []Chunk, candidates ...Selection) Selection {
	for _, s := range candidates {
		if s.Holds(chunks) {
			return s
		}
	}
	return Selection{}
}

// ChunkTrades are the trades of chunk i as the file has them: Known where they
// were selected over the run.
func (f File) ChunkTrades(i int) ChunkTrades {
	t, _ := HoldingOf(f.Chunks, f.Report.Selection).trades(i, f.Chunks[i].Line.l)
	return t
}

// trades are the counts that the perf JSON has for chunk i: those of the
// selection, if there is one and it knew the chunk's signals.
func (s Selection) trades(i int, l *line) (t ChunkTrades, selected bool) {
	if l != nil && i < len(s.Chunks) && s.Chunks[i].Known {
		return s.Chunks[i], true
	}
	return l.trades(), false
}

// trades are the counts of the footer itself.
func (l *line) trades() ChunkTrades {
	if l == nil {
		return ChunkTrades{}
	}
	return ChunkTrades{Closed: l.closed, PnlBps: l.pnl, Open: l.open, OpenPnlBps: l.f.OpenPnlBps, DropReasons: l.f.DropReasons}
}

// tradesJSON is how the counts of a chunk's own signals stand in a chunk whose
// fields of these names were selected over the run.
type tradesJSON struct {
	Closed      int64         `json:"n_trades_closed"`
	PnlBps      float64       `json:"pnl_bps"`
	Open        int64         `json:"trades_open"`
	OpenPnlBps  float64       `json:"open_pnl_bps"`
	DropReasons footer.Counts `json:"drop_reasons"`
}

// localKey is the name of that object.
const localKey = "chunk_local"

// appendSelected appends the line's object with the counts t, and its own ones
// under chunk_local.
func (l *line) appendSelected(dst []byte, c *Chunk, t *ChunkTrades) ([]byte, error) {
	dst, err := l.append(dst, c, l.first, t)
	if err != nil {
		return dst, err
	}
	dst = append(dst[:len(dst)-1], `,"`+localKey+`":`...)
	own := l.trades()
	dst, err = appendJSON(dst, tradesJSON{own.Closed, own.PnlBps, own.Open, own.OpenPnlBps, orNoCounts(own.DropReasons)})
	return append(dst, '}'), err
}

// DecodeLine reads a chunk's object of a perf JSON, or a chunk_footer.json,
// as the footer that it was made of: with the counts of the chunk's own
// signals. What the run's selection made of them is the second value.
func DecodeLine(b []byte) (footer.Footer, ChunkTrades, error) {
	f, err := footer.DecodeJSON(b)
	if err != nil {
		return footer.Footer{}, ChunkTrades{}, err
	}
	var own struct {
		Local *tradesJSON `json:"chunk_local"`
	}
	if err := json.Unmarshal(b, &own); err != nil {
		return footer.Footer{}, ChunkTrades{}, fmt.Errorf("%s: %w", localKey, err)
	}
	l := own.Local
	if l == nil {
		return f, ChunkTrades{}, nil
	}
	t := ChunkTrades{
		Known: true, Closed: f.NTradesClosed, PnlBps: f.PnlBps, Open: f.TradesOpen, OpenPnlBps: f.OpenPnlBps, DropReasons: f.DropReasons,
	}
	f.NTradesClosed, f.PnlBps, f.TradesOpen, f.OpenPnlBps, f.DropReasons = l.Closed, l.PnlBps, l.Open, l.OpenPnlBps, l.DropReasons
	return f, t, nil
}

// verify says where the selection's own figures do not fit its chunks. The
// total is a sum in another order, so its last digits may differ.
func (s Selection) verify(chunks []Chunk) (diffs Differences) {
	var without int64
	sum, size := 0.0, 0.0
	for i, c := range chunks {
		t, selected := s.trades(i, c.Line.l)
		if !selected {
			without += t.Closed
		}
		sum += t.PnlBps
		size += math.Abs(t.PnlBps)
	}
	if s.Scope == ScopeCommand {
		return s.verifyOwn(chunks, without, sum)
	}
	if s.Trades.WithoutRows != without {
		diffs.Add("trades.without_rows", s.Trades.WithoutRows, without)
	}
	if d := math.Abs(s.TotalPnlBps - sum); !(d <= 1e-6*(1+size)) {
		diffs.Add("total_pnl_bps", s.TotalPnlBps, fmt.Sprintf("about %v, the sum over the chunks", sum))
	}
	if s.NetPnlBps != nil && without > 0 {
		diffs.Add("total_net_pnl_bps", *s.NetPnlBps, fmt.Sprintf("absent: %d trades have no rows", without))
	}
	if s.Scope != ScopeRun && s.Scope != ScopeStretches {
		diffs.Add("selection.scope", s.Scope, fmt.Sprintf("%s or %s: chunks have %s", ScopeRun, ScopeStretches, localKey))
	}
	return diffs
}

// verifyOwn is verify for a command's own trades: closed are all of them, and
// pnl is theirs, as the command says.
func (s Selection) verifyOwn(chunks []Chunk, closed int64, pnl float64) (diffs Differences) {
	for i := range chunks {
		if s.Chunks[i].Known {
			diffs.Add("selection.scope", s.Scope, fmt.Sprintf("%s or %s: chunks[%d] has %s", ScopeRun, ScopeStretches, i, localKey))
			break
		}
	}
	if n := s.Trades.WithoutRows; n < 0 || n > closed {
		diffs.Add("trades.without_rows", n, fmt.Sprintf("0 to %d, the trades of all chunks", closed))
	}
	if s.TotalPnlBps != finite(pnl) {
		diffs.Add("total_pnl_bps", s.TotalPnlBps, finite(pnl))
	}
	if s.Exact {
		diffs.Add("borders_exact", true, fmt.Sprintf("false: selection.scope is %s", ScopeCommand))
	}
	return diffs
}

func orNoCounts(c footer.Counts) footer.Counts {
	if c == nil {
		return footer.Counts{}
	}
	return c
}

// finite is x, or 0 where JSON has no word for it.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) || x == 0 {
		return 0
	}
	return x
}
