package selection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// pass is one selection under way.
type pass struct {
	*Selector
	artifacts
	policy   policy.Policy
	data     run.Data
	chunks   []perf.Chunk
	rules    trade.Rules
	sessions feature.SessionTable
	theirs   bool // entries and exits are a command's
	// staysOpen is why signals are not followed on to their end; nil: they are.
	staysOpen error

	pass        *trade.Pass
	sel         perf.Selection
	trades      []trade.Signal // closed ones, in order
	attribution trade.Attribution
	openPnlBps  float64
	without     float64 // pnl of the chunks whose signals are not there
	unfinished  int     // signals whose end is needed and could not be found
	noEnd       error   // why, the first time
	fills       fillCheck
	picks       []trade.Picks // of each chunk whose signals were there; nil: no chunk has decisions
	kept        *keptSignals  // for the file of signals; nil: none is written
}

var (
	errNoBars      = errors.New("the data set is not at hand")
	errOtherEngine = errors.New("the run was replayed by another engine version (export it with the release that began it)")
	errTheirs      = errors.New("the command gave them no exit, and only it knows its rules (--exec-tail-bars gives it more bars)")
)

// selectSignals selects from the chunks' signals; theirs: a command made them by
// rules of its own.
func (s *Selector) selectSignals(ctx context.Context, r perf.Report, chunks []perf.Chunk, theirs bool) (perf.Selection, error) {
	p, err := s.newPass(ctx, r, chunks, theirs)
	if err == nil {
		err = p.run(ctx)
	}
	if err != nil || s.NoFiles {
		return p.sel, err
	}
	if err := p.writeFiles(ctx, r); err != nil {
		if ctx.Err() != nil {
			return p.sel, fmt.Errorf("writing the files: %w", context.Cause(ctx))
		}
		s.Logger.Error("writing the trades files failed", "error", err)
	}
	if p.kept != nil {
		p.sel.Estimate = p.estimate(r.Plan, r.Wall)
		p.trySignals(ctx, r)
	}
	if p.picks != nil {
		p.tryDecisions(ctx)
	}
	return p.sel, nil
}

func (s *Selector) newPass(ctx context.Context, r perf.Report, chunks []perf.Chunk, theirs bool) (*pass, error) {
	p := &pass{Selector: s, artifacts: newArtifacts(ctx, s.Artifacts), data: r.Data, chunks: chunks, theirs: theirs, sel: perf.NewSelection(chunks), attribution: trade.NewAttribution()}
	var err error
	if p.policy, err = s.Policy(); err != nil {
		return p, fmt.Errorf("the run's policy is not at hand: %w", err)
	}
	rules := p.policy
	switch {
	case !replay.Serves(r.EngineVersion):
		p.staysOpen = errOtherEngine // whose rules may be others
	default:
		if rules, err = replay.ForVersion(r.EngineVersion, rules, r.Data.BarLength); err != nil {
			return p, err
		}
		if s.Bars == nil {
			p.staysOpen = errNoBars
		}
	}
	if theirs {
		p.staysOpen = errTheirs
	}
	if p.rules, err = trade.NewRules(rules, r.Data.BarLength); err != nil {
		return p, err
	}
	p.sessions = feature.NewSessionTable(p.policy.Sessions)
	p.pass = trade.NewPass(p.policy.Risk)
	if slices.ContainsFunc(chunks, func(c perf.Chunk) bool { return lists(c, trade.DecisionsName) >= 0 }) {
		p.picks = make([]trade.Picks, len(chunks))
	}
	if !s.NoSignals && !s.NoFiles {
		p.kept = &keptSignals{}
	}
	p.pass.KeepReasons = p.picks != nil || p.kept != nil
	return p, nil
}

func (p *pass) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	whole, known := true, true
	for i, got := range readAhead(ctx, p.chunks, p.readSignals) {
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
			p.Logger.Warn("signals of a chunk missing, its own counts are kept", "chunk_idx", i, "error", got.err)
			p.sel.Trades.WithoutRows += f.NTradesClosed
			p.without += f.PnlBps
			known = false
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
	if whole && known {
		p.sel.Scope = perf.ScopeRun
	}
	p.sel.Exact = known && p.unfinished == 0
	p.sel.Final = known && p.theirs
	p.total()
	for _, text := range []string{
		trade.ManyExpired(p.attribution.DropReasons[trade.DropExpired], *p.attribution.NSignals), p.fills.remark(),
	} {
		if text != "" {
			p.Logger.Warn("trades need a review", "what", text)
			p.sel.Remarks = append(p.sel.Remarks, text)
		}
	}
	return nil
}

// total adds up the trades in the order of the rows, one after the other.
func (p *pass) total() {
	for i := range p.trades {
		p.sel.TotalPnlBps += p.trades[i].PnlBps()
	}
	p.sel.TotalPnlBps += p.without
	if costs := p.policy.Costs; costs != nil && p.sel.Trades.WithoutRows == 0 {
		net := 0.0
		for i := range p.trades {
			net += trade.Charge(costs, &p.trades[i]).NetPnlBps
		}
		p.sel.NetPnlBps = &net
	}
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
	if p.picks != nil {
		p.picks[i] = picks
	}
	if err := p.keep(ctx, i, signals, picks); err != nil {
		return err
	}
	t := perf.ChunkTrades{Known: true, DropReasons: drops}
	for k := range picks.All() {
		s := &signals[k]
		if p.theirs && p.Bars != nil {
			if err := p.fills.check(ctx, s, p.Bars); err != nil {
				return err
			}
		}
		if s.Closed() {
			t.Closed++
			t.PnlBps += s.PnlBps()
			p.attribution.AddTrade(s.ExitReason)
			p.trades = append(p.trades, *s)
			continue
		}
		t.Open++
		t.OpenPnlBps += s.PnlBps()
	}
	p.openPnlBps += t.OpenPnlBps
	p.attribution.AddSignals(int64(len(signals)), t.Open, drops)
	p.sel.Chunks[i] = t
	return nil
}

// finish follows s on to its end.
func (p *pass) finish(ctx context.Context, s *trade.Signal) error {
	if s.Next() >= p.data.Bars {
		return nil
	}
	err := p.staysOpen
	if err == nil {
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

// readSignals finds the signals of chunk c and holds them against its footer.
func (p *pass) readSignals(ctx context.Context, c perf.Chunk) ([]trade.Signal, error) {
	f := c.Line.Footer()
	if f.BarsProcessed > 0 && slices.Contains(f.Unreported, "n_signals") {
		return nil, errors.New("its command ended before it left them")
	}
	if f.NSignals == 0 {
		return nil, nil
	}
	return find(ctx, p.artifacts, c, trade.ArtifactName, func(a footer.Artifact, parts [][]byte) ([]trade.Signal, error) {
		list, err := trade.DecodeSignals(a, parts)
		if err == nil {
			err = p.check(f, list)
		}
		return list, err
	})
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
