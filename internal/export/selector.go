package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Signals is a place where what chunks leave beside their footers is kept: their
// signals, and decisions.
type Signals interface {
	// Signals returns the content of the artifact that f lists at that place, in
	// one piece or in its parts. What it returns need not be checked: whoever asks does. An
	// error means that it has none, or cannot be reached.
	Signals(ctx context.Context, f footer.Footer, at int) ([][]byte, error)
}

// Bars gives the bars of the data set, in order and each once.
type Bars interface {
	Bars(ctx context.Context, r run.BarRange) iter.Seq2[bars.Bar, error]
}

// Selector selects the trades of a run from the signals of its chunks, in
// order of time, whenever a last export is written, and writes the files about
// them. It decides by bars, signals and the policy alone, so whoever selects
// from the same ones finds the same trades. Where a command makes trades by
// itself it joins them instead.
type Selector struct {
	Target layout.Run
	Policy policy.Policy // not needed for a command's own trades
	// Kept are asked one after the other for the signals of a chunk.
	Kept []Signals
	// Bars are those that signals are followed on with which a worker has left
	// open at the end of follow_bars. Nil: such signals stay open, and the
	// selection is not exact.
	Bars Bars
	// NoFiles: nothing is written; the selection names no trades file.
	NoFiles bool
	Config  Config
	Logger  *slog.Logger
}

// Select selects the trades of the run of r, whose chunks are merged with what
// its file holds. Signals that cannot be had, or are not what their footer
// says, leave their chunk's counts as they are, as trades without rows; that
// is logged. Files that cannot be written are logged as well and are not named.
// Without a plan or data set there is no selection, and no error. An error is
// ctx's, or one of the policy.
func (s *Selector) Select(ctx context.Context, r perf.Report, chunks []perf.Chunk) (perf.Selection, error) {
	if len(chunks) == 0 || r.Data.Bars == 0 {
		return perf.Selection{}, nil
	}
	switch leaves(r, chunks) {
	case "":
		return perf.Selection{}, nil
	case run.EmitsTrades:
		sel, err := s.joinOwn(ctx, chunks)
		if err == nil && !s.NoFiles && sel.Trades.File != "" {
			if bad := s.writeOwnFiles(ctx, r, sel, chunks); bad != nil {
				s.Logger.Error("the files about the trades could not be written", "error", bad)
			}
		}
		return sel, err
	}
	p, err := s.newPass(r, chunks)
	if err == nil {
		err = p.run(ctx)
	}
	if err != nil {
		return perf.Selection{}, fmt.Errorf("selecting the trades of run %s: %w", s.Target.RunID, err)
	}
	if s.NoFiles {
		return p.sel, nil
	}
	if p.sel.Trades.File, p.sel.Trades.SHA256, err = s.writeFiles(ctx, r, p); err != nil {
		if ctx.Err() != nil {
			return perf.Selection{}, fmt.Errorf("writing the trades of run %s: %w", s.Target.RunID, context.Cause(ctx))
		}
		p.sel.Trades.File, p.sel.Trades.SHA256 = "", ""
		s.Logger.Error("the trades files could not be written", "error", err)
	}
	if p.decisions {
		p.tryDecisions(ctx)
	}
	return p.sel, nil
}

// pass is one selection under way.
type pass struct {
	*Selector
	data   run.Data
	theirs bool // entries and exits are a command's
	// otherEngine: the signals were made by an engine of another version, whose
	// rules may be others.
	otherEngine bool
	chunks      []perf.Chunk
	rules       trade.Rules
	sessions    feature.SessionTable

	pass        *trade.Pass
	sel         perf.Selection
	trades      []trade.Signal // closed ones, in order
	attribution trade.Attribution
	openPnlBps  float64
	without     float64 // pnl of the chunks whose signals are not there
	unfinished  int     // signals whose end is needed and could not be had
	noEnd       error   // why, the first time

	fills fillCheck // of a command's own signals

	decisions bool          // there are some
	picks     []trade.Picks // of each chunk whose signals were there, if there are decisions
}

func (s *Selector) newPass(r perf.Report, chunks []perf.Chunk) (*pass, error) {
	p := &pass{Selector: s, data: r.Data, theirs: leaves(r, chunks) == run.EmitsSignals, chunks: chunks, pass: trade.NewPass(s.Policy.Risk), sel: perf.NewSelection(chunks)}
	p.otherEngine = !replay.Serves(r.EngineVersion)
	pol := s.Policy
	var err error
	if !p.otherEngine {
		if pol, err = replay.ForVersion(r.EngineVersion, pol, r.Data.BarLength); err != nil {
			return nil, err
		}
	}
	if p.rules, err = trade.NewRules(pol, r.Data.BarLength); err != nil {
		return nil, err
	}
	if p.sessions, err = feature.NewSessionTable(s.Policy.Sessions); err != nil {
		return nil, err
	}
	p.attribution = trade.NewAttribution()
	if p.decisions = slices.ContainsFunc(chunks, listsDecisions); p.decisions {
		p.pass.KeepReasons = true
		p.picks = make([]trade.Picks, len(chunks))
	}
	return p, nil
}

func (p *pass) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	whole := true
	for i, got := range readAhead(ctx, p.chunks, p.read) {
		c := p.chunks[i]
		whole = whole && c.Line.IsOK()
		if c.Line.IsZero() {
			continue
		}
		f := c.Line.Footer()
		p.attribution.Count(f)
		if got.err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			p.Logger.Warn("the signals of a chunk are not there; its trades keep the chunk's own counts", "chunk_idx", i, "error", got.err)
			p.sel.Trades.WithoutRows += f.NTradesClosed
			p.without += f.PnlBps
			continue
		}
		if err := p.chunk(ctx, i, got.content); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if p.noEnd != nil {
		p.Logger.Warn("trades stay open before the data's end", "trades", p.unfinished, "error", p.noEnd)
	}
	p.sel.Scope = perf.ScopeStretches
	known := true
	for i, c := range p.chunks {
		known = known && (c.Line.IsZero() || p.sel.Chunks[i].Known)
	}
	if whole && known {
		p.sel.Scope = perf.ScopeRun
	}
	p.sel.Exact = known && p.unfinished == 0
	p.sel.Final = known && p.theirs
	for i := range p.trades {
		p.sel.TotalPnlBps += p.trades[i].PnlBps()
	}
	p.sel.TotalPnlBps += p.without
	if costs := p.Policy.Costs; costs != nil && p.sel.Trades.WithoutRows == 0 {
		net := 0.0
		for i := range p.trades {
			net += trade.Charge(costs, &p.trades[i]).NetPnlBps
		}
		p.sel.NetPnlBps = &net
	}
	p.sel.Remarks = p.remarks()
	return nil
}

// remarks are what a reader of the trades must know first.
func (p *pass) remarks() []string {
	var out []string
	if text := trade.ManyExpired(p.attribution.DropReasons[trade.DropExpired], p.attribution.NSignals); text != "" {
		out = append(out, text)
	}
	if text := p.fills.remark(); text != "" {
		out = append(out, text)
	}
	for _, text := range out {
		p.Logger.Warn("trades need a look", "what", text)
	}
	return out
}

// chunk selects among the signals of chunk i. What an attempt has not brought
// to its end because the run was stopped stays open: it is marked at the last
// bar replayed.
func (p *pass) chunk(ctx context.Context, i int, signals []trade.Signal) error {
	var finish func(*trade.Signal) error
	if p.chunks[i].Line.IsOK() {
		finish = func(s *trade.Signal) error { return p.finish(ctx, s) }
	}
	picks, drops, err := p.pass.Next(signals, finish)
	if err != nil {
		return err
	}
	if p.theirs && p.Bars != nil {
		for k := range picks.All() {
			if err := p.fills.check(ctx, &signals[k], p.Bars); err != nil {
				return err
			}
		}
	}
	if p.decisions {
		p.picks[i] = picks
	}
	t := perf.ChunkTrades{Known: true, DropReasons: footer.Counts{}}
	for k := range picks.All() {
		s := &signals[k]
		if s.Closed() {
			t.Closed++
			t.PnlBps += s.PnlBps()
			p.trades = append(p.trades, *s)
			continue
		}
		t.Open++
		t.OpenPnlBps += s.PnlBps()
	}
	for _, d := range drops {
		t.DropReasons[d.Reason] += d.N
	}
	p.openPnlBps += t.OpenPnlBps
	p.attribution.Add(trade.Attribute(signals, picks, drops))
	p.sel.Chunks[i] = t
	return nil
}

// finish follows s on to its end.
func (p *pass) finish(ctx context.Context, s *trade.Signal) error {
	if s.Next() >= p.data.Bars {
		return nil
	}
	err := errNoBars
	if p.theirs {
		err = errTheirs
	} else if p.otherEngine {
		err = errOtherEngine
	} else if p.Bars != nil {
		err = trade.Finish(&p.rules, s, p.data.Bars, p.Bars.Bars(ctx, run.BarRange{First: s.Next(), End: p.data.Bars}))
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.unfinished++
	if p.noEnd == nil {
		p.noEnd = err
	}
	return nil
}

var (
	errNoBars      = errors.New("the data set is not at hand")
	errOtherEngine = errors.New("the run was replayed by another engine version (export it with the release that began it)")
	errTheirs      = errors.New("the command gave them no exit, and only it knows its rules (--exec-tail-bars gives it more bars)")
)

// read is what a chunk has left, or why it is not there.
type read[T any] struct {
	content T
	err     error
}

// ahead is how many chunks are read while one is being worked on.
const ahead = 16

// readAhead yields what each of chunks has left, in order; nothing where there
// is no footer.
func readAhead[T any](ctx context.Context, chunks []perf.Chunk, one func(context.Context, perf.Chunk) (T, error)) iter.Seq2[int, read[T]] {
	return func(yield func(int, read[T]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		waiting := make(chan chan read[T], ahead)
		defer func() {
			cancel()
			for c := range waiting { // each reader has its room, and ends with ctx
				<-c
			}
		}()
		go func() {
			defer close(waiting)
			for _, c := range chunks {
				got := make(chan read[T], 1)
				select {
				case waiting <- got:
				case <-ctx.Done():
					return
				}
				if c.Line.IsZero() {
					got <- read[T]{}
					continue
				}
				go func() {
					var r read[T]
					r.content, r.err = one(ctx, c)
					got <- r
				}()
			}
		}()
		i := 0
		for got := range waiting {
			if !yield(i, <-got) {
				return
			}
			i++
		}
	}
}

// read finds the signals of chunk c and holds them against its footer.
func (p *pass) read(ctx context.Context, c perf.Chunk) ([]trade.Signal, error) {
	f := c.Line.Footer()
	if f.BarsProcessed > 0 && slices.Contains(f.Unreported, "n_signals") {
		return nil, errors.New("its command has not come to leave them")
	}
	if f.NSignals == 0 {
		return nil, nil
	}
	return readKept(ctx, p.Kept, f, trade.ArtifactName, func(a footer.Artifact, parts [][]byte) ([]trade.Signal, error) {
		list, err := trade.DecodeSignals(a, parts)
		if err == nil {
			err = p.check(f, list)
		}
		return list, err
	})
}

// HasSignals reports whether some of chunks have left signals to select trades
// from.
func HasSignals(chunks []perf.Chunk) bool {
	return slices.ContainsFunc(chunks, func(c perf.Chunk) bool {
		return slices.ContainsFunc(c.Line.Footer().Artifacts, func(a footer.Artifact) bool { return a.Name == trade.ArtifactName })
	})
}

// readKept asks one place after the other for the artifact of that name that f
// lists, until decode takes what is there.
func readKept[T any](ctx context.Context, kept []Signals, f footer.Footer, name string, decode func(footer.Artifact, [][]byte) (T, error)) (T, error) {
	var none T
	at := slices.IndexFunc(f.Artifacts, func(a footer.Artifact) bool { return a.Name == name })
	if at < 0 {
		return none, fmt.Errorf("its footer lists no %s", name)
	}
	err := fmt.Errorf("nobody keeps %s", name)
	for _, from := range kept {
		var parts [][]byte
		if parts, err = from.Signals(ctx, f, at); err != nil {
			continue
		}
		var got T
		if got, err = decode(f.Artifacts[at], parts); err == nil {
			return got, nil
		}
	}
	return none, err
}

// check holds signals, which came from elsewhere, against the footer that
// counts them.
func (p *pass) check(f footer.Footer, list []trade.Signal) error {
	replayed := run.BarRange{First: f.FirstBar, End: f.FirstBar + f.BarsProcessed}
	if err := trade.ValidateSignals(list, replayed, p.data.Bars); err != nil {
		return err
	}
	if n := int64(len(list)); n != f.NSignals {
		return fmt.Errorf("there are %d signals (the footer counts %d)", n, f.NSignals)
	}
	sum := 0.0
	for i := range list {
		sum += math.Abs(list[i].PnlBps())
	}
	if math.IsInf(sum, 0) {
		return errors.New("the sum of their pnl is not finite")
	}
	return nil
}
