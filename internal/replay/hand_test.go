package replay

import (
	"math"

	"gx1replay/internal/bars"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
)

// handFeatures are the six that the loops below compute, in their order.
var handFeatures = []string{"atr_bps", "body_pct", "roc20", "range_pos", "session_id", "std50"}

// handPolicy is what the loops below do, as a policy. Each of the six has a
// weight, so that none can be left out, and signals are rare: following them
// is not what is compared.
func handPolicy(g policy.Pregate) policy.Policy {
	p := testPolicy()
	p.Pregate = g
	p.Features = handFeatures
	p.Model = &policy.Model{
		Kind: policy.KindLogistic,
		Long: policy.Logistic{Bias: -1.5, Weights: map[string]float64{
			"atr_bps": 0.05, "body_pct": 1.2, "roc20": 180, "range_pos": 0.4, "session_id": -0.1, "std50": 0.02}},
		Short: policy.Logistic{Bias: -1.1, Weights: map[string]float64{
			"atr_bps": 0.04, "body_pct": -1.3, "roc20": -150, "range_pos": -0.5, "session_id": 0.1, "std50": 0.01}},
	}
	p.Entry = policy.Entry{PSideMin: policy.Sides{Long: 0.7, Short: 0.7}}
	return p
}

// hand is what a loop written for one policy needs, made before the clock
// starts: the policy's numbers, and columns as long as the data.
type hand struct {
	gate                      bool
	allowed                   [4]bool
	maxSpread, minATR, maxATR float64
	hours                     [24]int
	long, short               [6]float64
	longBias, shortBias       float64
	minLong, minShort         float64
	closes, highs, lows, trs  []float64
	passes, signals           int64
}

func newHand(p policy.Policy, hours [24]int, allowed []bool, n int) *hand {
	h := &hand{
		gate: p.Pregate.Enabled, hours: hours,
		maxSpread: math.Inf(1), minATR: math.Inf(-1), maxATR: math.Inf(1),
		longBias: p.Model.Long.Bias, shortBias: p.Model.Short.Bias,
		minLong: model.Logit(p.Entry.PSideMin.Long), minShort: model.Logit(p.Entry.PSideMin.Short),
		closes: make([]float64, n), highs: make([]float64, n), lows: make([]float64, n), trs: make([]float64, n),
	}
	copy(h.allowed[:], allowed)
	for i, name := range handFeatures {
		h.long[i], h.short[i] = p.Model.Long.Weights[name], p.Model.Short.Weights[name]
	}
	if v := p.Pregate.MaxSpreadBps; v != nil {
		h.maxSpread = *v
	}
	if v := p.Pregate.MinATRBps; v != nil {
		h.minATR = *v
	}
	if v := p.Pregate.MaxATRBps; v != nil {
		h.maxATR = *v
	}
	return h
}

// plain computes each feature from its formula, with the engine's sums, and
// only where a bar passed the gate: the fastest way where few bars pass.
func (h *hand) plain(list []bars.Bar) {
	closes, highs, lows, trs := h.closes[:len(list)], h.highs[:len(list)], h.lows[:len(list)], h.trs[:len(list)]
	l, s := h.long, h.short
	var passes, signals int64
	for i := range list {
		b := &list[i]
		open := (b.BidOpen + b.AskOpen) / 2
		high := (b.BidHigh + b.AskHigh) / 2
		low := (b.BidLow + b.AskLow) / 2
		last := (b.BidClose + b.AskClose) / 2
		closes[i], highs[i], lows[i] = last, high, low
		if i > 0 {
			trs[i] = max(high, closes[i-1]) - min(low, closes[i-1])
		}
		if i < 49 {
			continue
		}
		session := h.hours[b.TimeNS%86400e9/3600e9]
		var sum float64
		for _, v := range trs[i-13 : i+1] {
			sum += v
		}
		atr := sum / 14 / last * 1e4
		if h.gate {
			if !h.allowed[session] || (b.AskClose-b.BidClose)/b.BidClose*1e4 > h.maxSpread || atr < h.minATR || atr > h.maxATR {
				continue
			}
		}
		passes++
		body := (last - open) / (high - low + 1e-8)
		roc := last/closes[i-20] - 1
		top, bottom := high, low
		for k := i - 19; k < i; k++ {
			top, bottom = max(top, highs[k]), min(bottom, lows[k])
		}
		pos := 0.5
		if top != bottom {
			pos = (last - bottom) / (top - bottom)
		}
		sum = 0
		for _, v := range closes[i-49 : i+1] {
			sum += v
		}
		mean, squares := sum/50, 0.0
		for _, v := range closes[i-49 : i+1] {
			squares += (v - mean) * (v - mean)
		}
		std := math.Sqrt(squares / 49)
		long := h.longBias + l[0]*atr + l[1]*body + l[2]*roc + l[3]*pos + l[4]*float64(session) + l[5]*std
		short := h.shortBias + s[0]*atr + s[1]*body + s[2]*roc + s[3]*pos + s[4]*float64(session) + s[5]*std
		if long > short && long >= h.minLong || short > long && short >= h.minShort {
			signals++
		}
	}
	h.passes, h.signals = passes, signals
}

// running keeps sums and extremes up to date at every bar: the fastest way
// where most bars pass. The engine must not do that: such sums remember where
// they began, so that another cut gives other bits.
func (h *hand) running(list []bars.Bar) {
	closes, highs, lows, trs := h.closes[:len(list)], h.highs[:len(list)], h.lows[:len(list)], h.trs[:len(list)]
	l, s := h.long, h.short
	var passes, signals int64
	var trSum, sum, squares float64 // of the last 14, and of 50 distances to the first close
	var tops, bottoms [32]int32     // rings: bars whose high (low) no later one has reached
	var top0, top1, bottom0, bottom1 int
	base := list[0].MidClose()
	for i := range list {
		b := &list[i]
		open := (b.BidOpen + b.AskOpen) / 2
		high := (b.BidHigh + b.AskHigh) / 2
		low := (b.BidLow + b.AskLow) / 2
		last := (b.BidClose + b.AskClose) / 2
		closes[i], highs[i], lows[i] = last, high, low
		if i > 0 {
			trs[i] = max(high, closes[i-1]) - min(low, closes[i-1])
			trSum += trs[i]
		}
		if i > 14 {
			trSum -= trs[i-14]
		}
		d := last - base
		sum += d
		squares += d * d
		if i >= 50 {
			d := closes[i-50] - base
			sum -= d
			squares -= d * d
		}
		for top1 > top0 && highs[tops[(top1-1)&31]] <= high {
			top1--
		}
		tops[top1&31] = int32(i)
		top1++
		if int(tops[top0&31]) <= i-20 {
			top0++
		}
		for bottom1 > bottom0 && lows[bottoms[(bottom1-1)&31]] >= low {
			bottom1--
		}
		bottoms[bottom1&31] = int32(i)
		bottom1++
		if int(bottoms[bottom0&31]) <= i-20 {
			bottom0++
		}
		if i < 49 {
			continue
		}
		session := h.hours[b.TimeNS%86400e9/3600e9]
		atr := trSum / 14 / last * 1e4
		if h.gate {
			if !h.allowed[session] || (b.AskClose-b.BidClose)/b.BidClose*1e4 > h.maxSpread || atr < h.minATR || atr > h.maxATR {
				continue
			}
		}
		passes++
		body := (last - open) / (high - low + 1e-8)
		roc := last/closes[i-20] - 1
		top, bottom := highs[tops[top0&31]], lows[bottoms[bottom0&31]]
		pos := 0.5
		if top != bottom {
			pos = (last - bottom) / (top - bottom)
		}
		std := math.Sqrt(max(0, squares-sum*sum/50) / 49)
		long := h.longBias + l[0]*atr + l[1]*body + l[2]*roc + l[3]*pos + l[4]*float64(session) + l[5]*std
		short := h.shortBias + s[0]*atr + s[1]*body + s[2]*roc + s[3]*pos + s[4]*float64(session) + s[5]*std
		if long > short && long >= h.minLong || short > long && short >= h.minShort {
			signals++
		}
	}
	h.passes, h.signals = passes, signals
}
