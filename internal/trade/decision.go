package trade

import (
	"fmt"

	"gx1replay/internal/footer"
)

// Decision says what became of a bar when it was replayed. The values are the
// codes of the decisions' format: new ones are added at the end.
type Decision uint8

// What can become of a bar, in the order in which it is found out.
const (
	DecisionWarmup      Decision = iota // its features are not ready
	DecisionSkipSession                 // by the pregate, as the three that follow
	DecisionSkipSpread
	DecisionSkipATRLow
	DecisionSkipATRHigh
	DecisionNoModel  // its market session has no model
	DecisionNoSignal // the model's scores cannot be compared
	DecisionEqual    // both sides have the same score
	DecisionPSideMin // entry.p_side_min; the first of those that have a side
	DecisionSession  // entry.sessions
	DecisionMargin   // entry.margin_min
	DecisionSignal

	decisions = iota
)

// Reasons of the pregate, as skip_reasons has them.
const (
	SkipSession = "session_not_allowed"
	SkipSpread  = "spread_too_high"
	SkipATRLow  = "atr_too_low"
	SkipATRHigh = "atr_too_high"
)

// Words for what became of a bar: the column decision of a decisions file.
const (
	WordWarmup = "warmup"
	WordSkip   = "skip"   // the pregate's
	WordPass   = "pass"   // no signal
	WordSignal = "signal" // that became no trade
	WordTrade  = "trade"
)

// decisionTexts are the word and the reason of each decision.
var decisionTexts = [decisions]struct{ word, reason string }{
	DecisionWarmup:      {WordWarmup, ""},
	DecisionSkipSession: {WordSkip, SkipSession},
	DecisionSkipSpread:  {WordSkip, SkipSpread},
	DecisionSkipATRLow:  {WordSkip, SkipATRLow},
	DecisionSkipATRHigh: {WordSkip, SkipATRHigh},
	DecisionNoModel:     {WordPass, "no_model"},
	DecisionNoSignal:    {WordPass, "no_signal"},
	DecisionEqual:       {WordPass, "equal_scores"},
	DecisionPSideMin:    {WordPass, "p_side_min"},
	DecisionSession:     {WordPass, "entry_sessions"},
	DecisionMargin:      {WordPass, "margin_min"},
	DecisionSignal:      {WordSignal, ""},
}

// Reason is the decision's reason; of a signal only the selection over the run
// knows one.
func (d Decision) Reason() string { return decisionTexts[d].reason }

// HasScore says that a bar with this decision has a score: the model was
// called, and its scores can be compared.
func (d Decision) HasScore() bool { return d >= DecisionEqual && d < decisions }

// HasSide says that a bar with this decision has a better side.
func (d Decision) HasSide() bool { return d >= DecisionPSideMin && d < decisions }

func (d Decision) skips() bool  { return d >= DecisionSkipSession && d <= DecisionSkipATRHigh }
func (d Decision) called() bool { return d >= DecisionNoSignal }

// BarDecision is what became of one bar.
type BarDecision struct {
	Decision Decision
	Side     Side    // the better one; 0 where the decision has none
	Score    float64 // the model's probability for it, 0 to 1; 0 where there is none
}

// Decisions is what became of bars that follow each other. It takes one byte
// a bar, and eight where there is a score. The zero Decisions has no bars.
type Decisions struct {
	codes  []byte // the decision; with codeShort
	scores []float64
}

// codeShort marks a decision whose side is short.
const codeShort = 1 << 7

// Add adds the next bar. What its decision does not have is left out.
func (d *Decisions) Add(x BarDecision) {
	code := byte(x.Decision)
	if x.Decision.HasScore() {
		d.scores = append(d.scores, x.Score)
		if x.Decision.HasSide() && x.Side == Short {
			code |= codeShort
		}
	}
	d.codes = append(d.codes, code)
}

// Len is the number of bars.
func (d *Decisions) Len() int { return len(d.codes) }

// Reader reads decisions from the first bar on.
func (d *Decisions) Reader() DecisionReader { return DecisionReader{*d} }

// DecisionReader gives one decision after the other.
type DecisionReader struct{ rest Decisions }

// Next is the decision of the next bar; false: there are no more.
func (r *DecisionReader) Next() (x BarDecision, ok bool) {
	if len(r.rest.codes) == 0 {
		return BarDecision{}, false
	}
	code := r.rest.codes[0]
	r.rest.codes = r.rest.codes[1:]
	x.Decision = Decision(code &^ codeShort)
	if x.Decision.HasScore() {
		x.Score = r.rest.scores[0]
		r.rest.scores = r.rest.scores[1:]
	}
	if x.Decision.HasSide() {
		x.Side = Long
		if code&codeShort != 0 {
			x.Side = Short
		}
	}
	return x, true
}

// Check says whether d, which came from elsewhere, is what f counts: a bar for
// each one processed, and as many warm-up bars, skips by reason, calls and
// signals.
func (d *Decisions) Check(f footer.Footer) error {
	var n [decisions]int64
	for _, code := range d.codes {
		n[code&^codeShort]++
	}
	var calls int64
	skips := map[string]int64{}
	for k, count := range n {
		switch x := Decision(k); {
		case x.called():
			calls += count
		case x.skips() && count > 0:
			skips[x.Reason()] = count
		}
	}
	for _, c := range []struct {
		name      string
		got, want int64
	}{
		{"bars_processed", int64(d.Len()), f.BarsProcessed},
		{"bars_skipped_warmup", n[DecisionWarmup], f.BarsSkippedWarmup},
		{"n_model_calls", calls, f.NModelCalls},
		{"n_signals", n[DecisionSignal], f.NSignals},
		{"reasons in skip_reasons", int64(len(skips)), int64(len(f.SkipReasons))},
	} {
		if c.got != c.want {
			return fmt.Errorf("the decisions make %s %d (the footer has %d)", c.name, c.got, c.want)
		}
	}
	for reason, got := range skips {
		if want := f.SkipReasons[reason]; got != want {
			return fmt.Errorf("the decisions make skip_reasons.%s %d (the footer has %d)", reason, got, want)
		}
	}
	return nil
}
