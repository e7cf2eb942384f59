package policy

// Costs are what a trade is charged beside the spread that is in its prices.
// All numbers are in bps of a fill's value; a swap is a charge where it is
// above 0 and a credit where it is below.
type Costs struct {
	CommissionBps         float64 `json:"commission_bps"`           // of each fill
	CommissionPerTradeBps float64 `json:"commission_per_trade_bps"` // of the entry, once per trade
	SwapLongBpsPerNight   float64 `json:"swap_long_bps_per_night"`  // of the entry, per night
	SwapShortBpsPerNight  float64 `json:"swap_short_bps_per_night"`
	RolloverHourUTC       int     `json:"rollover_hour_utc"`             // 0 to 23: when a night is counted
	TripleSwapWeekday     string  `json:"triple_swap_weekday,omitempty"` // monday to friday; empty: every night counts once
	SlippageBps           float64 `json:"slippage_bps"`                  // of each fill
}

// DefaultRolloverHourUTC is 17:00 in New York in winter.
const DefaultRolloverHourUTC = 22

// weekdays are the days whose night may count three times. Those of the
// week-end are not among them: the two nights that they stand for are theirs.
var weekdays = [...]string{"monday", "tuesday", "wednesday", "thursday", "friday"}

// costs reads what trades are charged. Without the section there are none, and
// no file mentions them.
func (d *document) costs() {
	s := d.top.sub("costs")
	if s.n == nil {
		return
	}
	d.p.Costs = &Costs{
		CommissionBps:         s.numberOr("commission_bps", 0, charge),
		CommissionPerTradeBps: s.numberOr("commission_per_trade_bps", 0, charge),
		SwapLongBpsPerNight:   s.numberOr("swap_long_bps_per_night", 0, swap),
		SwapShortBpsPerNight:  s.numberOr("swap_short_bps_per_night", 0, swap),
		RolloverHourUTC:       int(s.count("rollover_hour_utc", "an hour", DefaultRolloverHourUTC, 0, 23)),
		TripleSwapWeekday:     s.oneOf("triple_swap_weekday", "a weekday", "", weekdays[:]...),
		SlippageBps:           s.numberOr("slippage_bps", 0, charge),
	}
	s.done()
}
