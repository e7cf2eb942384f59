package trade

import (
	"fmt"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
)

// Sources of the price at the data's end.
const (
	priceMid  = "mid"
	priceBid  = "bid"
	priceAsk  = "ask"
	priceSide = "side"
)

// Rules says how signals enter and leave. Make them with NewRules.
type Rules struct {
	atClose     bool // fill: signal_close
	maxGapNS    int64
	exit        policy.Exit
	closeAtEnd  bool
	endReason   string
	endPriceSrc string
}

// entry.max_gap where the policy has none. Of bars shorter than a day one
// missing bar is forgiven, a night or a week-end is not. The bar after a
// week-end, or a long one, is the next bar to bars of a day.
const (
	defaultMaxGapBars = 2
	defaultMaxGapDays = 5 * 24 * time.Hour
)

// MaxGap is the entry.max_gap in effect on a data set: the policy's, or where
// it has none (0) two bar lengths, for bars of a day and longer at least five
// days.
func MaxGap(entry policy.Entry, barLength time.Duration) time.Duration {
	switch gap := defaultMaxGapBars * barLength; {
	case entry.MaxGap != 0:
		return entry.MaxGap
	case barLength >= 24*time.Hour:
		return max(gap, defaultMaxGapDays)
	default:
		return gap
	}
}

// NewRules takes from p what concerns entries and exits. barLength is the
// data set's; it sets the default of entry.max_gap.
func NewRules(p policy.Policy, barLength time.Duration) (Rules, error) {
	r := Rules{
		exit:        p.Exit,
		maxGapNS:    int64(MaxGap(p.Entry, barLength)),
		closeAtEnd:  p.Replay.CloseOpenTradesAtEnd,
		endReason:   p.Replay.EOFCloseReason,
		endPriceSrc: p.Replay.EOFPriceSource,
	}
	switch p.Replay.Fill {
	case policy.FillNextOpen:
	case policy.FillSignalClose:
		r.atClose = true
	default:
		return Rules{}, fmt.Errorf("replay.fill: %q is unknown (want %s or %s)", p.Replay.Fill, policy.FillNextOpen, policy.FillSignalClose)
	}
	if p.Entry.MaxGap < 0 {
		return Rules{}, fmt.Errorf("entry.max_gap: %v is negative", p.Entry.MaxGap)
	}
	if r.closeAtEnd {
		switch r.endPriceSrc {
		case priceMid, priceBid, priceAsk, priceSide:
		default:
			return Rules{}, fmt.Errorf("replay.eof_price_source: %q is unknown (want %s, %s, %s or %s)", r.endPriceSrc, priceMid, priceBid, priceAsk, priceSide)
		}
		if r.endReason == "" {
			return Rules{}, fmt.Errorf("replay.eof_close_reason is empty (want a word)")
		}
	}
	return r, nil
}

// endPrice is the price at which a trade leaves at the data's end.
func (r *Rules) endPrice(side Side, b *bars.Bar) float64 {
	switch r.endPriceSrc {
	case priceMid:
		return b.MidClose()
	case priceBid:
		return b.BidClose
	case priceAsk:
		return b.AskClose
	}
	return leavingSide(side, b).close
}

// quote is one side of a bar.
type quote struct{ open, high, low, close float64 }

// leavingSide is where a trade leaves: a long at the bid, a short at the ask.
func leavingSide(side Side, b *bars.Bar) quote {
	if side == Long {
		return quote{b.BidOpen, b.BidHigh, b.BidLow, b.BidClose}
	}
	return quote{b.AskOpen, b.AskHigh, b.AskLow, b.AskClose}
}

// level is the price at which a trade stands at bps of pnl.
func level(side Side, entry, bps float64) float64 {
	return float64(entry * (1 + float64(side)*bps/1e4))
}
