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
	least   policy.Sides // log-odds of entry.p_side_min
	leastP  policy.Sides // the same for probabilities
	lead    policy.Sides
	allowed []bool // by market session
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
		least:   policy.Sides{Long: model.Logit(e.PSideMin.Long), Short: model.Logit(e.PSideMin.Short)},
		leastP:  leastP(e.PSideMin),
		lead:    e.MarginMin,
		allowed: allowed,
	}, nil
}

// decide gives the side of the signal and its probability, or side 0, and
// what that decision is: trade.DecisionSignal, or which rule was against it.
// long and short are log-odds. Sides and thresholds are compared as log-odds;
// only a lead above 0 needs the probabilities themselves.
func (r *entryRule) decide(session int, long, short float64) (side trade.Side, p float64, why trade.Decision) {
	x := r.better(session, long, short, &r.least)
	if x.why != trade.DecisionSignal {
		return 0, 0, x.why
	}
	p = model.Sigmoid(x.score)
	if x.lead > 0 && p-model.Sigmoid(x.other) < x.lead {
		return 0, 0, trade.DecisionMargin
	}
	return x.side, p, trade.DecisionSignal
}

// low says of most bars, at once, that they have no signal: neither side is
// high enough, whichever of them is higher.
func (r *entryRule) low(long, short float64) bool {
	return long < r.least.Long && short < r.least.Short
}

// better is what the scores of two sides come to before the lead is looked at.
type better struct {
	side               trade.Side
	score, other, lead float64
	why                trade.Decision
}

// better compares the scores of both sides with each other and with least,
// which is of their kind: log-odds or probabilities.
func (r *entryRule) better(session int, long, short float64, least *policy.Sides) better {
	var x better
	floor := 0.0
	switch {
	case long > short:
		x, floor = better{trade.Long, long, short, r.lead.Long, trade.DecisionSignal}, least.Long
	case short > long:
		x, floor = better{trade.Short, short, long, r.lead.Short, trade.DecisionSignal}, least.Short
	case long == short:
		return better{why: trade.DecisionEqual}
	default: // one of them is no number
		return better{why: trade.DecisionNoSignal}
	}
	if !(x.score >= floor) {
		return better{why: trade.DecisionPSideMin}
	}
	if !r.allowed[session] {
		return better{why: trade.DecisionSession}
	}
	return x
}
