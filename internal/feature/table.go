package feature

import "math"

// Info describes one feature for people.
type Info struct {
	Name    string
	Unit    string
	Formula string // of mid prices; [k] is k bars back
	Warmup  int64  // bars needed before the first usable value
	Source  string
}

type definition struct {
	Info
	use   func(*state) // reserves the history that value needs
	value func(*state) float64
}

// originalSource is where a feature's definition comes from.
const originalSource = "original, sequence_features.py"

// The features, in alphabetical order. An EMA's start has lost all but
// (1-2/(span+1))^(10·span) < 1e-8 of its weight after 10 spans, so that is
// its warm-up.
var definitions = []definition{
	{
		Info:  Info{"atr14", "price", "mean of the last 14 true ranges; TR = max(high, close[1]) - min(low, close[1])", atrBars, "Wilder 1978, simple mean"},
		value: func(s *state) float64 { return s.meanRange() },
	},
	{
		Info:  Info{"atr_bps", "bps", "atr14 / close · 10^4", atrBars, "engine.md §2"},
		value: func(s *state) float64 { return s.atrBps() },
	},
	{
		Info: Info{"body_pct", "ratio, -1 to 1", "(close - open) / (high - low + 1e-8)", 0, originalSource},
		value: func(s *state) float64 {
			return (s.close - s.open) / (s.high - s.low + 1e-8)
		},
	},
	{
		Info:  Info{"ema100_slope", "price per bar", "EMA100 - EMA100[1]", 1000, originalSource},
		use:   func(s *state) { s.ema100.use(100) },
		value: func(s *state) float64 { return s.ema100.y - s.ema100.was },
	},
	{
		Info:  Info{"ema20_slope", "price per bar", "EMA20 - EMA20[1]", 200, originalSource},
		use:   func(s *state) { s.ema20.use(20) },
		value: func(s *state) float64 { return s.ema20.y - s.ema20.was },
	},
	{
		Info:  Info{"pos_vs_ema200", "ratio", "close / EMA200 - 1", 2000, originalSource},
		use:   func(s *state) { s.ema200.use(200) },
		value: func(s *state) float64 { return s.close/s.ema200.y - 1 },
	},
	{
		Info: Info{"range_pos", "ratio, 0 to 1", "(close - L) / (H - L), H and L the highest high and lowest low of the last 20 bars; 0.5 if H = L", rangeBars - 1, "stochastic %K of 20, as a ratio"},
		use: func(s *state) {
			s.highs.grow(rangeBars)
			s.lows.grow(rangeBars)
		},
		value: func(s *state) float64 { return s.rangePos() },
	},
	{
		Info:  Info{"roc100", "ratio", "close / close[100] - 1", 100, originalSource},
		use:   func(s *state) { s.closes.grow(101) },
		value: func(s *state) float64 { return s.close/s.closes.last(101)[0] - 1 },
	},
	{
		Info:  Info{"roc20", "ratio", "close / close[20] - 1", 20, originalSource},
		use:   func(s *state) { s.closes.grow(21) },
		value: func(s *state) float64 { return s.close/s.closes.last(21)[0] - 1 },
	},
	{
		Info:  Info{"session_id", "id", "place of the bar's market session in order of start hour, from 0", 0, originalSource},
		value: func(s *state) float64 { return float64(s.session) },
	},
	{
		Info:  Info{"spread_bps", "bps", "(ask_close - bid_close) / bid_close · 10^4", 0, "engine.md §2"},
		value: func(s *state) float64 { return s.spreadBps() },
	},
	{
		Info:  Info{"std50", "price", "sample standard deviation (n-1) of the last 50 closes, in two passes", stdBars - 1, originalSource},
		use:   func(s *state) { s.closes.grow(stdBars) },
		value: func(s *state) float64 { return s.std() },
	},
}

const (
	rangeBars = 20
	stdBars   = 50
)

// Known lists the features, in alphabetical order.
func Known() []Info {
	all := make([]Info, len(definitions))
	for i, d := range definitions {
		all[i] = d.Info
	}
	return all
}

func (s *state) atrBps() float64 { return float64(s.meanRange() / s.close * 1e4) }

func (s *state) spreadBps() float64 {
	return float64((s.bar.AskClose - s.bar.BidClose) / s.bar.BidClose * 1e4)
}

func (s *state) rangePos() float64 {
	high, low := math.Inf(-1), math.Inf(1)
	for _, v := range s.highs.last(rangeBars) {
		high = max(high, v)
	}
	for _, v := range s.lows.last(rangeBars) {
		low = min(low, v)
	}
	if high == low {
		return 0.5
	}
	return (s.close - low) / (high - low)
}

func (s *state) std() float64 {
	x := s.closes.last(stdBars)
	m := mean(x)
	var sum float64
	for _, v := range x {
		d := v - m
		sum += float64(d * d)
	}
	return math.Sqrt(sum / (stdBars - 1))
}
