package feature

// Info describes one feature for people, and says what bars it needs.
type Info struct {
	Name    string
	Unit    string
	Formula string // of mid prices; [k] is k bars back
	// Warmup is the number of bars of the data set before the first usable
	// value. That of an H1 or H4 trend is given in M5 bars of a market without
	// gaps; what is counted there is completed H1 or H4 bars.
	Warmup int64
	Source string
	// Lookback is the number of bars to push before a bar so that the value
	// there is what it would be with all of history: the same bits, or, of a
	// recursive feature, the same to 1e-8 of the price.
	Lookback int64
	// Recursive features depend on every bar since the data set's first. With
	// a state (Set.LoadState) they are the same bits, too, after Window bars.
	Recursive bool
	// Window is Lookback where a state stands for all that came before: what
	// the feature looks at beside it.
	Window int64
	// Epsilon is what the formula adds to a range of prices, so that it can
	// divide by one that is 0; 0: it adds nothing. It is in price units, so it
	// counts where prices are small.
	Epsilon float64
}

// column is where values of one feature go: that of bar at[j] of the block
// is out[j·stride].
type column struct {
	at     []int32
	out    []float64
	stride int
}

// take sets c to values that the state holds of each bar of the block.
func (c column) take(values *[BlockBars]float64) {
	for j, k := range c.at {
		c.out[j*c.stride] = values[k]
	}
}

type definition struct {
	Info
	use   func(*state) // reserves the history that value needs
	fill  func(s *state, c column)
	ready func(s *state, k int) bool // beside Warmup; nil: nothing
}

const (
	atrBars   = 14
	rangeBars = 20
	stdBars   = 50
	dayBars   = 288 // a day of M5

	regimeBars = 20 * dayBars
	regimeMin  = regimeBars / 2
	regimeLow  = 0.33
	regimeHigh = 0.67

	// m5 bars in an H1 and an H4 bar
	m5PerH1 = 12
	m5PerH4 = 48

	// forgetSpans is after how many spans an EMA's start has lost all but
	// (1-2/(span+1))^(10·span) < 1e-8 of its weight.
	forgetSpans = 10
)

const (
	original      = "original" // its sequence_features.py
	originalBasic = "original, basic_v1.py"
)

// definitions are made anew for each caller: nobody can change another's.
//
// The features are in alphabetical order. Every definition gives formula,
// unit, look-back and source; docs/engine.md shows them to users. Where the
// original filled a value that has no history with 0, or averaged over fewer
// bars, the bar is warm-up here. The original delayed atr_regime_id and the
// H1 and H4 trends by a bar (of M5) and computed the latter from H1 and H4
// bars that were still forming; here a value belongs to its own bar, and
// higher bars count when they are complete.
func definitions() []definition {
	return []definition{
		{
			Info: Info{
				Name: "atr14", Unit: "price", Source: "Wilder 1978, simple mean",
				Formula: "mean of the last 14 true ranges; TR = max(high, close[1]) - min(low, close[1])",
				Warmup:  atrBars, Lookback: atrBars, Window: atrBars,
			},
			fill: (*state).atrs14,
		},
		{
			Info: Info{
				Name: "atr50", Unit: "price", Source: original,
				Formula: "mean of the last 50 true ranges",
				Warmup:  50, Lookback: 50, Window: 50,
			},
			use:  func(s *state) { s.rangeSums.use() },
			fill: func(s *state, c column) { s.rangeSums.means(50, len(s.block), c) },
		},
		{
			Info: Info{
				Name: "atr_bps", Unit: "bps", Source: "engine.md §2",
				Formula: "atr14 / close · 10^4",
				Warmup:  atrBars, Lookback: atrBars, Window: atrBars,
			},
			fill: (*state).atrsBps,
		},
		{
			Info: Info{
				Name: "atr_regime_id", Unit: "id", Source: originalBasic,
				Formula: "0 if atr14 < q33, 2 if atr14 ≥ q67, else 1; q33 and q67 are the quantiles 0.33 and 0.67 of atr14 over the last 5760 bars, or over those that have one, 2880 at least",
				Warmup:  atrBars + regimeMin - 1, Lookback: atrBars + regimeBars - 1, Window: atrBars + regimeBars - 1,
			},
			use:  func(s *state) { s.atrs.use(regimeBars) },
			fill: func(s *state, c column) { c.take(&s.regimes) },
		},
		{
			Info: Info{
				Name: "atr_z", Unit: "ratio", Source: original,
				Formula: "atr50 / (ATR200 + 1e-8) - 1; ATR200 is the mean of the last 200 true ranges",
				Warmup:  200, Lookback: 200, Window: 200,
				Epsilon: tiny,
			},
			use:  func(s *state) { s.rangeSums.use() },
			fill: (*state).atrZs,
		},
		{
			Info: Info{
				Name: "body_pct", Unit: "ratio, -1 to 1", Source: original,
				Formula: "(close - open) / (high - low + 1e-8)",
				Epsilon: tiny,
			},
			fill: (*state).bodies,
		},
		{
			Info: Info{
				Name: "ema100_slope", Unit: "price per bar", Source: original,
				Formula: "EMA100 - EMA100[1]",
				Warmup:  forgetSpans * 100, Lookback: forgetSpans * 100, Recursive: true,
			},
			use:  func(s *state) { s.ema100.use(100) },
			fill: func(s *state, c column) { s.ema100.slopes(c) },
		},
		{
			Info: Info{
				Name: "ema20_slope", Unit: "price per bar", Source: original,
				Formula: "EMA20 - EMA20[1]",
				Warmup:  forgetSpans * 20, Lookback: forgetSpans * 20, Recursive: true,
			},
			use:  func(s *state) { s.ema20.use(20) },
			fill: func(s *state, c column) { s.ema20.slopes(c) },
		},
		{
			Info: Info{
				Name: "h1_trend", Unit: "price", Source: originalBasic,
				Formula: "EMA12 - EMA26 of the closes of the H1 bars that are complete, 78 at least; an H1 bar holds the bars that open in an hour (UTC) and is complete from the first bar on that opens at or after the hour's end",
				Warmup:  trendBars * m5PerH1, Lookback: forgetSpans * slowSpan * m5PerH1, Recursive: true,
			},
			use:   func(s *state) { s.h1.use(h1) },
			fill:  func(s *state, c column) { c.take(&s.h1.trends) },
			ready: func(s *state, k int) bool { return s.h1.done[k] >= trendBars },
		},
		{
			Info: Info{
				Name: "h4_trend", Unit: "price", Source: originalBasic,
				Formula: "h1_trend with H4 bars (00-04, 04-08, … UTC)",
				Warmup:  trendBars * m5PerH4, Lookback: forgetSpans * slowSpan * m5PerH4, Recursive: true,
			},
			use:   func(s *state) { s.h4.use(h4) },
			fill:  func(s *state, c column) { c.take(&s.h4.trends) },
			ready: func(s *state, k int) bool { return s.h4.done[k] >= trendBars },
		},
		{
			Info: Info{
				Name: "pos_vs_ema200", Unit: "ratio", Source: original,
				Formula: "close / EMA200 - 1",
				Warmup:  forgetSpans * 200, Lookback: forgetSpans * 200, Recursive: true,
			},
			use:  func(s *state) { s.ema200.use(200) },
			fill: (*state).emaPositions,
		},
		{
			Info: Info{
				Name: "range_pos", Unit: "ratio, 0 to 1", Source: "stochastic %K of 20, as a ratio",
				Formula: "(close - L) / (H - L), H and L the highest high and lowest low of the last 20 bars; 0.5 if H = L",
				Warmup:  rangeBars - 1, Lookback: rangeBars - 1, Window: rangeBars - 1,
			},
			use: func(s *state) {
				s.highs.grow(rangeBars)
				s.lows.grow(rangeBars)
			},
			fill: (*state).rangePositions,
		},
		{
			Info: Info{
				Name: "roc100", Unit: "ratio", Source: original,
				Formula: "close / close[100] - 1",
				Warmup:  100, Lookback: 100, Window: 100,
			},
			use:  func(s *state) { s.closes.grow(101) },
			fill: func(s *state, c column) { s.rocs(c, 100) },
		},
		{
			Info: Info{
				Name: "roc20", Unit: "ratio", Source: original,
				Formula: "close / close[20] - 1",
				Warmup:  20, Lookback: 20, Window: 20,
			},
			use:  func(s *state) { s.closes.grow(21) },
			fill: func(s *state, c column) { s.rocs(c, 20) },
		},
		{
			Info: Info{
				Name: "session_id", Unit: "id", Source: original,
				Formula: "place of the bar's market session in order of start hour, from 0",
			},
			fill: (*state).sessionIDs,
		},
		{
			Info: Info{
				Name: "spread_bps", Unit: "bps", Source: "engine.md §2",
				Formula: "(ask_close - bid_close) / bid_close · 10^4",
			},
			fill: (*state).spreadsBps,
		},
		{
			Info: Info{
				Name: "std50", Unit: "price", Source: original,
				Formula: "sample standard deviation (n-1) of the last 50 closes, in two passes",
				Warmup:  stdBars - 1, Lookback: stdBars - 1, Window: stdBars - 1,
			},
			use:  func(s *state) { s.closes.grow(stdBars) },
			fill: (*state).stds,
		},
		{
			Info: Info{
				Name: "trend_regime_tf24h", Unit: "ATRs", Source: original,
				Formula: "(EMA100 - EMA100[288]) / (ATR100 + 1e-8); ATR100 is the mean of the last 100 true ranges",
				Warmup:  forgetSpans*100 + dayBars, Lookback: forgetSpans*100 + dayBars, Recursive: true, Window: dayBars,
				Epsilon: tiny,
			},
			use: func(s *state) {
				s.ema100.use(100)
				s.ema100s.grow(dayBars + 1)
				s.rangeSums.use()
			},
			fill: (*state).dayTrends,
		},
		{
			Info: Info{
				Name: "wick_asym", Unit: "ratio, -1 to 1", Source: original,
				Formula: "((high - max(open, close)) - (min(open, close) - low)) / (high - low + 1e-8)",
				Epsilon: tiny,
			},
			fill: (*state).wicks,
		},
	}
}

// Known lists the features, in alphabetical order.
func Known() []Info {
	var all []Info
	for _, d := range definitions() {
		all = append(all, d.Info)
	}
	return all
}
