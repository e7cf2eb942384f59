package replay

import (
	"fmt"

	"gx1replay/internal/feature"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// entryRule makes a signal of a bar's scores: the side with the higher
// probability, if it is high enough, leads by enough and the market session
// is one for entries. Equal scores make none.
type entryRule struct {
	minLong, minShort float64 // log-odds of entry.p_side_min
	lead              policy.Sides
	allowed           []bool // by market session
}

func newEntryRule(e policy.Entry, sessions feature.SessionTable) (entryRule, error) {
	for _, v := range []float64{e.PSideMin.Long, e.PSideMin.Short, e.MarginMin.Long, e.MarginMin.Short} {
		if v != v {
			return entryRule{}, fmt.Errorf("entry: p_side_min or margin_min is not a number (want probabilities)")
		}
	}
	allowed, err := sessions.Allow("entry.sessions", e.Sessions)
	if err != nil {
		return entryRule{}, err
	}
	return entryRule{
		minLong:  model.Logit(e.PSideMin.Long),
		minShort: model.Logit(e.PSideMin.Short),
		lead:     e.MarginMin,
		allowed:  allowed,
	}, nil
}

// decide gives the side of the signal and its probability, or side 0, and
// what that decision is: trade.DecisionSignal, or which rule was against it.
// long and short are log-odds. Sides and thresholds are compared as log-odds;
// only a lead above 0 needs the probabilities themselves.
func (r *entryRule) decide(session int, long, short float64) (side trade.Side, p float64, why trade.Decision) {
	var score, other, least, lead float64
	switch {
	case long > short:
		side, score, other, least, lead = trade.Long, long, short, r.minLong, r.lead.Long
	case short > long:
		side, score, other, least, lead = trade.Short, short, long, r.minShort, r.lead.Short
	case long == short:
		return 0, 0, trade.DecisionEqual
	default: // one of them is no number
		return 0, 0, trade.DecisionNoSignal
	}
	if !(score >= least) {
		return 0, 0, trade.DecisionPSideMin
	}
	if !r.allowed[session] {
		return 0, 0, trade.DecisionSession
	}
	p = model.Sigmoid(score)
	if lead > 0 && p-model.Sigmoid(other) < lead {
		return 0, 0, trade.DecisionMargin
	}
	return side, p, trade.DecisionSignal
}
