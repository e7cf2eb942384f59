package replay

import (
	"math"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// verdict is what the gate says of a bar: one of its reasons to skip, or
// pass.
type verdict int8

const (
	skipSession verdict = iota
	skipSpread
	skipATRLow
	skipATRHigh
	reasons // how many there are

	pass verdict = -1
)

// reasonNames are the keys of skip_reasons.
var reasonNames = [reasons]string{
	skipSession: trade.SkipSession,
	skipSpread:  trade.SkipSpread,
	skipATRLow:  trade.SkipATRLow,
	skipATRHigh: trade.SkipATRHigh,
}

// gate decides which bars are looked at for an entry (engine.md §2, 3).
type gate struct {
	on        bool
	allowed   []bool  // by market session
	maxSpread float64 // bps; infinite where the policy has no limit
	minATR    float64
	maxATR    float64
}

func newGate(p policy.Pregate, sessions feature.SessionTable) (gate, error) {
	if !p.Enabled {
		return gate{}, nil
	}
	allowed, err := sessions.Allow("replay_config.replay_pregate.allow_sessions", p.AllowSessions)
	if err != nil {
		return gate{}, err
	}
	g := gate{on: true, allowed: allowed, maxSpread: math.Inf(1), minATR: math.Inf(-1), maxATR: math.Inf(1)}
	for limit, v := range map[*float64]*float64{&g.maxSpread: p.MaxSpreadBps, &g.minATR: p.MinATRBps, &g.maxATR: p.MaxATRBps} {
		if v != nil {
			*limit = *v
		}
	}
	return g, nil
}

// judge gives the first reason that matches at each bar of the block in, from
// one on. A missing input is NaN, which never skips.
func (g *gate) judge(in feature.Inputs, from int, verdicts []verdict) {
	if !g.on {
		for k := from; k < len(in.Sessions); k++ {
			verdicts[k] = pass
		}
		return
	}
	spreads, atrs, verdicts := in.SpreadBps[:len(in.Sessions)], in.ATRBps[:len(in.Sessions)], verdicts[:len(in.Sessions)]
	for k := from; k < len(verdicts); k++ {
		v := pass
		switch {
		case !g.allowed[in.Sessions[k]]:
			v = skipSession
		case spreads[k] > g.maxSpread:
			v = skipSpread
		case atrs[k] < g.minATR:
			v = skipATRLow
		case atrs[k] > g.maxATR:
			v = skipATRHigh
		}
		verdicts[k] = v
	}
}

// missing says whether an input of a bar that passed was missing, whether the
// gate's limits use it or not.
func (g *gate) missing(in feature.Inputs, k int) bool {
	return g.on && (in.SpreadBps[k] != in.SpreadBps[k] || in.ATRBps[k] != in.ATRBps[k])
}
