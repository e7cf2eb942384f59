package cli

import (
	"fmt"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
)

// contradictions are sentences about where a policy and flags contradict the data.
// A command has features and a warm-up of its own, so exec leaves out those of the
// policy.
func contradictions(pol policy.Policy, set bars.Set, spread optionalNumber, exec bool) []string {
	var out []string
	if text := uselessSpread(set, spread); text != "" {
		out = append(out, text)
	}
	if exec {
		pol.Features, pol.WarmupBars = nil, 0
	}
	needs, _, err := replay.Inspect(pol)
	if err != nil {
		return out // who replays says it
	}
	n, length := int64(len(set.Bars)), bars.BarLength(set.Bars)
	if text := otherTimeframe(pol, needs, n, length.Seconds()); text != "" {
		out = append(out, text)
	}
	if needs.WarmupBars >= n && n > 0 {
		out = append(out, fmt.Sprintf("the warm-up is %d bars, for %s, and the data has %d: no bar can trade", needs.WarmupBars, needs.WarmupBy, n))
	}
	return out
}

// uselessSpread warns that --spread-bps has no effect; empty: it has, or was not
// given.
func uselessSpread(set bars.Set, spread optionalNumber) string {
	if spread.value == nil || set.SpreadAssumed {
		return ""
	}
	return fmt.Sprintf("--spread-bps %s has no effect: %s has ask prices, and its own spread counts", spread.String(), set.Source)
}

// otherTimeframe warns that the bars are not of the policy's timeframe.
func otherTimeframe(pol policy.Policy, needs replay.Needs, n int64, lengthSec float64) string {
	if needs.TimeframeAssumed || n < 2 || lengthSec == needs.TimeframeSec {
		return ""
	}
	return fmt.Sprintf("the policy is for %s, and the data's bars are %v apart", pol.Timeframe, time.Duration(lengthSec*float64(time.Second)))
}
