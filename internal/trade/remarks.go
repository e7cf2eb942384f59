package trade

import "fmt"

// expiredShare is the share of signals above which those that expired at gaps
// are remarkable: the bars are then likely of another length than the rule for
// gaps is made for.
const expiredShare = 0.05

// ManyExpired says that more than 5 % of signals have expired at gaps; empty:
// no more than that did.
func ManyExpired(expired, signals int64) string {
	if signals < 1 || float64(expired) <= expiredShare*float64(signals) {
		return ""
	}
	return fmt.Sprintf("%d of %d signals (%.1f %%) expired at gaps: their next bar opened later than entry.max_gap after them", expired, signals, 100*float64(expired)/float64(signals))
}
