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

// defaultMaxGapBars is entry.max_gap where the policy has none: one missing
// bar is forgiven, a night or a week-end is not.
const defaultMaxGapBars = 2

// NewRules takes from p what concerns entries and exits. barLength is the
// data set's; it sets the default of entry.max_gap.
func NewRules(p policy.Policy, barLength time.Duration) (Rules, error) {
	r := Rules{
		exit:        p.Exit,
		maxGapNS:    int64(p.Entry.MaxGap),
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
	if r.maxGapNS < 0 {
		return Rules{}, fmt.Errorf("entry.max_gap: %v is negative", p.Entry.MaxGap)
	}
	if r.maxGapNS == 0 {
		r.maxGapNS = defaultMaxGapBars * int64(barLength)
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
