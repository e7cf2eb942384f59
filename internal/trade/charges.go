package trade

import (
	"time"

	"gx1replay/internal/policy"
)

// Charges are what a closed trade is charged by the costs of its policy, in
// bps of its entry price, and what is left of its pnl. They decide nothing:
// exits, selection and excursions go by prices.
//
// With c the policy's costs and v = 1 + exit_price / entry_price, the values of
// both fills:
//
//	nights          rollovers in (entry_time, exit_time]; see nights
//	commission_bps  c.commission_bps · v + c.commission_per_trade_bps
//	swap_bps        nights · c.swap_long_bps_per_night, or short; a credit is
//	                below 0
//	slippage_bps    c.slippage_bps · v
//	net_pnl_bps     pnl_bps - commission_bps - swap_bps - slippage_bps
type Charges struct {
	Nights        int64   `parquet:"nights"`
	CommissionBps float64 `parquet:"commission_bps"`
	SwapBps       float64 `parquet:"swap_bps"`
	SlippageBps   float64 `parquet:"slippage_bps"`
	NetPnlBps     float64 `parquet:"net_pnl_bps"`
}

// Charge charges s, which is closed, by the costs of its policy. Products are rounded before they are
// added, so that no machine fuses them.
func Charge(c *policy.Costs, s *Signal) Charges {
	value := 1 + s.ExitPrice/s.EntryPrice
	perNight := c.SwapLongBpsPerNight
	if s.Side == Short {
		perNight = c.SwapShortBpsPerNight
	}
	x := Charges{Nights: nights(c, s.EntryTimeNS, s.ExitTimeNS)}
	x.CommissionBps = plus(float64(c.CommissionBps*value) + c.CommissionPerTradeBps)
	x.SwapBps = plus(float64(x.Nights) * perNight)
	x.SlippageBps = plus(c.SlippageBps * value)
	x.NetPnlBps = plus(s.PnlBps() - x.CommissionBps - x.SwapBps - x.SlippageBps)
	return x
}

// nights counts the rollovers that a trade was held over. One that was entered
// at a rollover was not held over it, one that left there was. Where a weekday
// counts three times the two nights of the week-end count none, so that a week
// has seven either way.
func nights(c *policy.Costs, entryNS, exitNS int64) int64 {
	first, last := rollover(c, entryNS)+1, rollover(c, exitNS)
	n := max(last-first+1, 0)
	if c.TripleSwapWeekday == "" {
		return n
	}
	sum := n / 7 * 7
	for day := last - n%7 + 1; day <= last; day++ {
		switch name := weekday(day); {
		case name == c.TripleSwapWeekday:
			sum += 3
		case name != "saturday" && name != "sunday":
			sum++
		}
	}
	return sum
}

// rollover is the day, counted from 1970-01-01, of the last rollover at or
// before a time.
func rollover(c *policy.Costs, ns int64) int64 {
	ns -= int64(c.RolloverHourUTC) * int64(time.Hour)
	day := ns / int64(24*time.Hour)
	if ns%int64(24*time.Hour) < 0 {
		day--
	}
	return day
}

// weekdays begins with that of day 0.
var weekdays = [7]string{"thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"}

func weekday(day int64) string { return weekdays[(day%7+7)%7] }
