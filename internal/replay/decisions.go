package replay

import (
	"gx1replay/internal/model"
	"gx1replay/internal/trade"
)

// skipDecisions are the verdicts of the gate that skip, as decisions.
var skipDecisions = [reasons]trade.Decision{
	skipSession: trade.DecisionSkipSession,
	skipSpread:  trade.DecisionSkipSpread,
	skipATRLow:  trade.DecisionSkipATRLow,
	skipATRHigh: trade.DecisionSkipATRHigh,
}

// uncalled is what became of a bar at which the model was not called.
func uncalled(ready bool, v verdict) trade.BarDecision {
	switch {
	case !ready:
		return trade.BarDecision{Decision: trade.DecisionWarmup}
	case v != pass:
		return trade.BarDecision{Decision: skipDecisions[v]}
	}
	return trade.BarDecision{Decision: trade.DecisionNoModel}
}

// decideUncalled keeps what became of n bars of the block from bar i on, at
// none of which the model was called.
func (e *engine) decideUncalled(i, n int) {
	a := &e.ahead
	for k := i; k < i+n; k++ {
		e.decisions.Add(uncalled(k >= a.ready, a.verdicts[k]))
	}
}

// called is what became of a bar at which the model was called, with log-odds
// long and short, of which the entry rule made why. The score is the better
// side's, whatever the rule said.
func called(why trade.Decision, long, short float64) trade.BarDecision {
	x := sided(why, long, short)
	if why.HasScore() {
		x.Score = model.Sigmoid(max(long, short))
	}
	return x
}

// sided is a decision with the better side of the scores, of either kind, that
// it was made of.
func sided(why trade.Decision, long, short float64) trade.BarDecision {
	x := trade.BarDecision{Decision: why}
	switch {
	case long > short:
		x.Side = trade.Long
	case short > long:
		x.Side = trade.Short
	}
	return x
}
