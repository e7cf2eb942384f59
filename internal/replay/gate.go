package replay

import (
	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// verdict is what the gate says of a bar: one of its reasons to skip, or
// pass.
type verdict int

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
	skipSession: "session_not_allowed",
	skipSpread:  "spread_too_high",
	skipATRLow:  "atr_too_low",
	skipATRHigh: "atr_too_high",
}

// gate decides which bars are looked at for an entry (engine.md §2, 3).
type gate struct {
	on        bool
	allowed   []bool // by market session
	maxSpread *float64
	minATR    *float64
	maxATR    *float64
}

func newGate(p policy.Pregate, sessions feature.SessionTable) (gate, error) {
	if !p.Enabled {
		return gate{}, nil
	}
	allowed, err := sessions.Allow("replay_config.replay_pregate.allow_sessions", p.AllowSessions)
	if err != nil {
		return gate{}, err
	}
	return gate{on: true, allowed: allowed, maxSpread: p.MaxSpreadBps, minATR: p.MinATRBps, maxATR: p.MaxATRBps}, nil
}

// judge gives the first reason that matches at the last bar of set, and
// whether an input was missing. A missing input never skips; it is said of
// every bar that lacks one, whether the gate's limits use it or not.
func (g *gate) judge(set *feature.Set) (v verdict, missing bool) {
	if !g.on {
		return pass, false
	}
	if !g.allowed[set.Session()] {
		return skipSession, false
	}
	spread, haveSpread := set.SpreadBps()
	if haveSpread && g.maxSpread != nil && spread > *g.maxSpread {
		return skipSpread, false
	}
	atr, haveATR := set.ATRBps()
	if haveATR && g.minATR != nil && atr < *g.minATR {
		return skipATRLow, false
	}
	if haveATR && g.maxATR != nil && atr > *g.maxATR {
		return skipATRHigh, false
	}
	return pass, !haveSpread || !haveATR
}
