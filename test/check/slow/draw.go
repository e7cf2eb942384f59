package slow

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Case is a policy and bars that were drawn.
type Case struct {
	Policy    []byte  // JSON
	Bars      []byte  // CSV; nil: those of a file
	SpreadBps float64 // to assume where the bars have no ask
	Chunks    int
}

// Draw makes case k of a seed: the same ones on every machine. Ten cases in a
// row have every kind of exit. Without ownBars the bars are a file's.
func Draw(seed uint64, k int, ownBars bool) (Case, error) {
	d := drawing{Rand: rand.New(rand.NewPCG(seed, uint64(k))), k: k}
	c := Case{SpreadBps: []float64{0.5, 1, 2.5}[d.IntN(3)], Chunks: 1 + d.IntN(6)}
	d.price, d.tick, d.n = 1800, 0.01, 50_000
	if ownBars {
		c.Bars = d.bars()
	}
	p := d.policy()
	if !ownBars {
		p["exit"].(object)["max_bars"] = 1 + d.IntN(200) // what nothing ends takes too long on many bars
	}
	var err error
	if c.Policy, err = json.Marshal(p); err != nil {
		return c, fmt.Errorf("writing policy %d of seed %d: %w", k, seed, err)
	}
	return c, nil
}

type object = map[string]any

// drawing is a case that is being drawn.
type drawing struct {
	*rand.Rand
	k           int
	price, tick float64
	n           int
}

func (d *drawing) chance(p float64) bool { return d.Float64() < p }

// between is a number with few digits.
func (d *drawing) between(lo, hi float64) float64 {
	x, _ := strconv.ParseFloat(strconv.FormatFloat(lo+d.Float64()*(hi-lo), 'g', 3, 64), 64) // it was just written
	return x
}

// bars are a walk on a grid of ticks of about a bps, so that prices meet. Some
// have bid and ask, some bids alone; week-ends and other bars are missing.
func (d *drawing) bars() []byte {
	d.price = []float64{1, 20, 1800, 10_000, 60_000}[d.IntN(5)]
	d.tick = d.price / math.Pow(2, 13)
	d.n = 600 + d.IntN(900)
	if d.k%5 == 4 {
		d.n = 3000 + d.IntN(800) // enough for long features
	}
	lengths := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
	length := lengths[d.IntN(len(lengths))]
	bids := d.chance(0.4)
	var b strings.Builder
	b.WriteString("time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close,volume\n")
	if bids {
		b.Reset()
		b.WriteString("time,open,high,low,close,tick_volume\n")
	}
	at := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(d.IntN(7*24)) * time.Hour).Truncate(min(length, 24*time.Hour))
	last, spread := int64(1<<13), int64(2)
	steps := func(most float64) int64 { return int64(math.Round(d.NormFloat64() * most)) }
	for range d.n {
		open := last + steps(1)
		if d.chance(0.01) {
			open += steps(30) // a jump over levels
		}
		closing := open + steps(6)
		high, low := max(open, closing)+d.Int64N(6), min(open, closing)-d.Int64N(6)
		if last = closing; last < 1<<12 || last > 1<<14 {
			last = 1 << 13
		}
		if d.chance(0.1) {
			spread = 1 + d.Int64N(5)
		}
		b.WriteString(at.Format(time.DateTime))
		for _, add := range []int64{0, spread} {
			for _, p := range []int64{open, high, low, closing} {
				b.WriteString("," + strconv.FormatFloat(float64(p+add)*d.tick, 'f', -1, 64))
			}
			if bids {
				break
			}
		}
		b.WriteString(",1\n")
		for at = at.Add(length); d.closed(at, length); {
			at = at.Add(length)
		}
	}
	return []byte(b.String())
}

// closed says that there is no bar at that time.
func (d *drawing) closed(at time.Time, length time.Duration) bool {
	day := at.Weekday()
	weekEnd := length <= 24*time.Hour && (day == time.Saturday || day == time.Sunday)
	return weekEnd || d.chance(0.03)
}

// scales are how large features are: those of ratios, and in prices.
var scales = map[string]float64{
	"body_pct": 1, "wick_asym": 1, "range_pos": 1, "roc20": 0.005, "roc100": 0.01, "atr_bps": 20, "spread_bps": 5, "session_id": 2,
	"atr_z": 0.3, "trend_regime_tf24h": 10, "pos_vs_ema200": 0.01, "atr_regime_id": 1,
}

var priceScales = map[string]float64{
	"atr14": 0.002, "atr50": 0.002, "std50": 0.005, "ema20_slope": 0.0005, "ema100_slope": 0.0001, "h1_trend": 0.005, "h4_trend": 0.005,
}

// short are the features that few bars are enough for.
var (
	short = []string{"atr14", "atr50", "atr_bps", "body_pct", "range_pos", "roc20", "roc100", "session_id", "spread_bps", "std50", "wick_asym"}
	long  = []string{"atr_regime_id", "atr_z", "ema100_slope", "ema20_slope", "h1_trend", "h4_trend", "pos_vs_ema200", "trend_regime_tf24h"}
)

func (d *drawing) scale(name string) float64 {
	if s, ok := scales[name]; ok {
		return s
	}
	return priceScales[name] * d.price
}

func (d *drawing) policy() object {
	features := []string{"body_pct"}
	from := short
	if d.n >= 3000 {
		from = append(append([]string{}, short...), long...)
	}
	for _, i := range d.Perm(len(from))[:2+d.IntN(3)] {
		if from[i] != "body_pct" {
			features = append(features, from[i])
		}
	}
	side := func() object {
		weights := object{}
		for _, name := range features {
			weights[name] = d.between(-1, 1) / d.scale(name)
		}
		return object{"bias": d.between(-0.5, 0.5), "weights": weights}
	}
	p := object{
		"policy_name": fmt.Sprintf("drawn_%d", d.k), "features": features,
		"model": object{"kind": "logistic", "long": side(), "short": side()},
		"entry": d.entry(), "exit": d.exit(), "risk": d.risk(), "replay": d.replay(),
	}
	if d.chance(0.5) {
		p["sessions"] = object{"NIGHT": "21-06", "DAY": []int{6, 15}, "EVENING": "15-21"}
	}
	if d.k%5 == 0 || d.chance(0.4) {
		p["replay_config"] = object{"replay_pregate": d.gate(p)}
	}
	if d.chance(0.3) {
		p["warmup_bars"] = d.IntN(200)
	}
	if d.chance(0.6) {
		p["costs"] = d.costs()
	}
	return p
}

// someSessions are names of p's partition.
func (d *drawing) someSessions(p object) []string {
	if p["sessions"] != nil {
		return []string{"DAY", "NIGHT"}
	}
	return []string{"ASIA", "EU", "US"}
}

// gate has all limits in every fifth case.
func (d *drawing) gate(p object) object {
	g, all := object{"enabled": true}, d.k%5 == 0
	if all || d.chance(0.4) {
		g["allow_sessions"] = d.someSessions(p)
	}
	if all || d.chance(0.5) {
		g["max_spread_bps"] = d.between(2, 7)
	}
	if all || d.chance(0.5) {
		g["min_atr_bps"] = d.between(8, 14)
	}
	if all || d.chance(0.5) {
		g["max_atr_bps"] = d.between(14, 20)
	}
	return g
}

func (d *drawing) entry() object {
	e := object{}
	if d.chance(0.7) {
		e["p_side_min"] = object{"long": d.between(0, 0.6), "short": d.between(0, 0.6)}
	}
	if d.chance(0.3) {
		e["margin_min"] = d.between(0, 0.2)
	}
	if d.chance(0.3) {
		e["max_gap"] = []string{"90m", "36h", "8000h"}[d.IntN(3)]
	}
	return e
}

// exit has, in turn, one kind of rule for sure, all of them, or none.
func (d *drawing) exit() object {
	x := object{}
	kind := d.k % 7
	with := func(n int, p float64) bool { return kind == n || kind == 6 || kind != 5 && d.chance(p) }
	if with(0, 0.3) {
		x["stop_bps"] = d.between(5, 60)
	}
	if with(1, 0.3) {
		x["target_bps"] = d.between(5, 60)
	}
	if with(2, 0.2) {
		x["break_even"] = object{"activate_bps": d.between(5, 20), "offset_bps": d.between(-4, 4)}
	}
	if with(3, 0.3) {
		x["trailing"] = object{"activate_bps": d.between(0, 15), "distance_bps": d.between(2, 30), "within_bars": d.IntN(2) * d.IntN(20)}
	}
	if with(4, 0.3) {
		x["rule_a"] = true
		if d.chance(0.5) {
			x["rule_a"] = object{"profit_min_bps": d.between(3, 8), "profit_max_bps": d.between(9, 30), "adaptive_threshold_bps": d.between(0, 12), "adaptive_bars": 1 + d.IntN(6), "trailing_stop_bps": d.between(1, 10)}
		}
	}
	if kind != 5 && d.chance(0.7) {
		x["max_bars"] = 1 + d.IntN(60)
	}
	return x
}

func (d *drawing) risk() object {
	r := object{"max_open_trades": 1 + d.IntN(6)}
	if d.chance(0.3) {
		r["max_open_trades_per_side"] = 1 + d.IntN(3)
	}
	if d.chance(0.3) {
		r["cooldown_bars_after_entry"] = d.IntN(8)
	}
	if d.chance(0.3) {
		r["cooldown_bars_after_exit"] = d.IntN(8)
	}
	return r
}

func (d *drawing) replay() object {
	r := object{"follow_bars": 1 + d.IntN(50)}
	if d.chance(0.5) {
		r["fill"] = "signal_close"
	}
	if d.chance(0.25) {
		r["close_open_trades_at_end"] = false
	}
	if d.chance(0.5) {
		r["eof_price_source"] = []string{"side", "mid", "bid", "ask"}[d.IntN(4)]
	}
	return r
}

func (d *drawing) costs() object {
	c := object{}
	for _, key := range []string{"commission_bps", "commission_per_trade_bps", "slippage_bps"} {
		if d.chance(0.6) {
			c[key] = d.between(0, 2)
		}
	}
	for _, key := range []string{"swap_long_bps_per_night", "swap_short_bps_per_night"} {
		if d.chance(0.6) {
			c[key] = d.between(-1, 2)
		}
	}
	if d.chance(0.6) {
		c["rollover_hour_utc"] = d.IntN(24)
	}
	if d.chance(0.6) {
		c["triple_swap_weekday"] = []string{"monday", "tuesday", "wednesday", "thursday", "friday"}[d.IntN(5)]
	}
	return c
}
