package execengine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// Emit is what a command was asked to leave of a chunk, and where.
type Emit struct {
	Kind  string        // run.EmitsTrades, EmitsScores or EmitsSignals
	Dir   *safefile.Dir // the command's output directory
	Chunk run.BarRange
	Data  run.Data
	// Policy needs no model and no features. Trades need none of it.
	Policy policy.Policy
	// Source gives the bars of the data set.
	Source replay.Source
	// Times are the opening times of the slice's rows, of which the first is
	// bar FirstRow of the data set. All own bars are among them.
	Times    []int64
	FirstRow int64
	// Partial: the command did not do the whole chunk. What is missing at the
	// end of what it left, or torn, is no error.
	Partial bool
	// Bars is how many bars it replayed, as far as is known otherwise.
	Bars int64
}

// Emission is what became of what a command left.
type Emission struct {
	// Bars is bars_processed. Scores prove it by their rows; what else is
	// known does not count.
	Bars int64
	// Given are the names of the footer's fields that fill sets.
	Given []string
	// Artifacts go with the footer: signals, as the built-in engine's, or the
	// command's own trades.
	Artifacts []Artifact

	footer footer.Footer
}

// Emitted reads what a command has left of a chunk and makes of it what the
// built-in engine would have left. With scores that is a replay of the bars
// that have one; with signals only the count of trades is made; trades go as
// they are.
//
// An end of ctx ends it. It is not for the context of an attempt that was
// stopped: what the command flushed last counts. An error says what is wrong
// with a file, by name, line and column, or is one of Source. Of a partial
// attempt there may be no file, and then there are no bars with scores.
func Emitted(ctx context.Context, e Emit) (Emission, error) {
	if e.Bars < 0 || e.Bars > e.Chunk.Len() {
		return Emission{}, fmt.Errorf("%d bars of a chunk of %d", e.Bars, e.Chunk.Len())
	}
	switch e.Kind {
	case run.EmitsScores:
		return e.scores(ctx)
	case run.EmitsSignals:
		return e.signals(ctx)
	case run.EmitsTrades:
		return e.trades()
	}
	return Emission{}, fmt.Errorf("--exec-emits %q is unknown (want %s, %s or %s)", e.Kind, run.EmitsTrades, run.EmitsScores, run.EmitsSignals)
}

// CheckEmits says whether the policy is fit for what a command emits, before
// it has emitted anything.
func CheckEmits(kind string, p policy.Policy, data run.Data) error {
	if kind != run.EmitsScores && kind != run.EmitsSignals {
		return nil
	}
	if len(p.MissingIncludes) > 0 {
		return fmt.Errorf("policy %s: %s is not there (--exec-emits %s goes by its rules)", p.Name, p.MissingIncludes[0], kind)
	}
	// A replay that has no scores makes its rules and reads nothing.
	one := run.BarRange{First: 0, End: 1}
	_, err := replay.Run(context.Background(), replay.Job{Bars: one, DataBars: 1, BarLength: data.BarLength, Policy: p, Scores: &replay.Scores{}}, replay.InMemory(nil), nil)
	if errors.Is(err, replay.ErrScoresEnd) {
		return nil
	}
	return fmt.Errorf("policy %s: %w", p.Name, err)
}

// tradeFields are the names of what a chunk's own signals come to.
var tradeFields = [...]string{"n_signals", "n_trades_closed", "pnl_bps", "trades_open", "open_pnl_bps", "drop_reasons"}

// scoreFields are the names of what a replay of scores measures besides.
var scoreFields = [...]string{
	"bars_skipped_warmup", "pregate_skips", "pregate_passes", "pregate_missing_inputs", "t_pregate_total_sec", "t_policy_total_sec",
	"skip_reasons",
}

// fill sets the fields of f that are Given.
func (e *Emission) fill(f *footer.Footer) {
	for _, d := range reported {
		if slices.Contains(e.Given, d.Name) {
			d.Copy(f, &e.footer)
		}
	}
}

// ownTimes are the opening times of the chunk's bars.
func (e *Emit) ownTimes() ([]int64, error) {
	from, to := e.Chunk.First-e.FirstRow, e.Chunk.End-e.FirstRow
	if from < 0 || to > int64(len(e.Times)) || from >= to {
		return nil, fmt.Errorf("a slice of %d rows from bar %d on does not hold bars [%d, %d)", len(e.Times), e.FirstRow, e.Chunk.First, e.Chunk.End)
	}
	return e.Times[from:to], nil
}

// scores replays the chunk's bars with the command's probabilities.
func (e *Emit) scores(ctx context.Context) (Emission, error) {
	own, err := e.ownTimes()
	if err != nil {
		return Emission{}, err
	}
	scores, err := ReadScores(e.Dir, own, e.Partial)
	if err != nil {
		return Emission{}, err
	}
	scores.First = e.Chunk.First
	e.Policy.WarmupBars = max(e.Policy.WarmupBars, e.Data.BeforeBars)
	job := replay.Job{
		Bars: e.Chunk, DataBars: e.Data.Bars, BarLength: e.Data.BarLength,
		Policy: e.Policy, Scores: &scores,
	}
	res, err := replay.Run(ctx, job, e.Source, nil)
	if err != nil && !errors.Is(err, replay.ErrScoresEnd) {
		return Emission{}, fmt.Errorf("replaying the command's scores: %w", err)
	}
	out := Emission{Bars: res.Footer.BarsProcessed, Given: slices.Concat(tradeFields[:], scoreFields[:]), footer: res.Footer}
	return out, out.leaveSignals(res.Signals)
}

func (e *Emission) leaveSignals(list []trade.Signal) error {
	if len(list) == 0 {
		return nil
	}
	a, content, err := trade.EncodeSignals(trade.ArtifactName, list)
	if err != nil {
		return err
	}
	e.Artifacts = append(e.Artifacts, Artifact{a, content})
	return nil
}

// signals takes the command's signals of the bars that it has replayed.
func (e *Emit) signals(ctx context.Context) (Emission, error) {
	list, err := ReadSignals(e.Dir, e.Times, e.FirstRow, e.Chunk, e.Partial)
	if err != nil {
		return Emission{}, err
	}
	end := e.Chunk.First + e.Bars
	// A signal may be written before the bar is told of.
	if n := slices.IndexFunc(list, func(s trade.Signal) bool { return s.Bar >= end }); n >= 0 {
		list = list[:n]
	}
	last := e.FirstRow + int64(len(e.Times)) - 1
	if e.Partial {
		last = min(last, end-1)
	}
	if err := MarkOpen(ctx, list, last, e.Source); err != nil {
		return Emission{}, err
	}
	out := Emission{Bars: e.Bars, Given: slices.Clone(tradeFields[:])}
	replay.CountTrades(&out.footer, list, e.Policy.Risk)
	return out, out.leaveSignals(list)
}

// MarkOpen marks the open ones of list, as ReadSignals gives them, at the close
// of bar last, or of their entry bar if that is later: a long at the bid, a
// short at the ask.
func MarkOpen(ctx context.Context, list []trade.Signal, last int64, src replay.Source) error {
	for i := range list {
		s := &list[i]
		if !s.Open {
			continue
		}
		bar := max(last, s.EntryBar)
		at, err := replay.BarAt(ctx, src, bar)
		if err != nil {
			return fmt.Errorf("reading bar %d, at which trades are open: %w", bar, err)
		}
		s.MarkBar, s.MarkPrice = bar, at.BidClose
		if s.Side == trade.Short {
			s.MarkPrice = at.AskClose
		}
		s.BarsHeld = bar - s.EntryBar
		if s.EntryBar != s.Bar {
			s.BarsHeld++
		}
		widen(s)
	}
	return nil
}

// trades takes the command's own trades as they are.
func (e *Emit) trades() (Emission, error) {
	out := Emission{Bars: e.Bars}
	t, err := ReadTrades(e.Dir, e.Partial)
	if err != nil || t == nil {
		return out, err
	}
	out.footer.NTradesClosed, out.Given = int64(t.Rows), []string{"n_trades_closed"}
	if t.Pnl {
		out.footer.PnlBps, out.Given = t.PnlBps, append(out.Given, pnlColumn)
	}
	if len(t.Content) > 0 {
		out.Artifacts = append(out.Artifacts, newArtifact(trade.OwnTradesName, t.Content))
	}
	return out, nil
}
