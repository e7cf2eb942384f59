package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"gx1replay/internal/judge"
)

const alpha = 0.05

// drift is how the machine's speed differs between two runs.
type drift struct {
	name  string
	fixed float64 // run B is slower by this share
	sees  float64 // of a fixed drift, or of an autoregressive load, the control's share
	sd    float64 // standard deviation of a random drift from run A to run B
	corr  float64 // correlation of the random drifts of both phases
	load  float64 // standard deviation of a load that changes in the run
}

// twoRuns judges two runs of the same work, with a phase that the arms cannot touch
// (20 % of the time), by the hull and by rules that were dropped.
func twoRuns(c config) ([]*table, error) {
	t := newTable("Two runs of the same work: false alarms in %",
		"machine", "n", "hull", "of these void", "plain R", "R/C", "R and R/C on one side")
	var cell uint64
	for _, d := range []drift{
		{name: "no drift"},
		{name: "drift 5 %, control sees 100 %", fixed: 0.05, sees: 1},
		{name: "drift 5 %, control sees 50 %", fixed: 0.05, sees: 0.5},
		{name: "drift 20 %, control sees 100 %", fixed: 0.2, sees: 1},
		{name: "drift 20 %, control sees 90 %", fixed: 0.2, sees: 0.9},
		{name: "drift 20 %, control sees 50 %", fixed: 0.2, sees: 0.5},
		{name: "random drift 20 %, correlation 1", sd: 0.2, corr: 1},
		{name: "random drift 20 %, correlation 0.9", sd: 0.2, corr: 0.9},
		{name: "random drift 20 %, by phase", sd: 0.2},
		{name: "AR(1) load 10 % in the runs, sees 100 %", load: 0.1, sees: 1},
		{name: "AR(1) load 10 % in the runs, sees 50 %", load: 0.1, sees: 0.5},
	} {
		for _, n := range c.sizes(7, 16, 64) {
			cell++
			rates := count(perTrial(c, cell, func(r *rand.Rand) []bool { return sameWork(r, d, n) }))
			t.add(d.name, n, rates[0], rates[1], rates[2], rates[3], rates[4])
			t.atMost(fmt.Sprintf("hull, %s, n = %d", d.name, n), rates[0], 0.01)
		}
	}
	return []*table{t}, nil
}

// sameWork reports of one pair of runs: hull alarmed, hull void, plain R alarmed, R/C
// alarmed, both alarmed on one side.
func sameWork(r *rand.Rand, d drift, n int) []bool {
	const cv, workCV, controlShare = 0.1, 0.5, 0.2
	var factor [2][2]float64 // of run and phase
	common, own := r.NormFloat64(), r.NormFloat64()
	factor[0] = [2]float64{1, 1}
	factor[1][0] = math.Exp(d.sd*common) * (1 + d.fixed)
	factor[1][1] = math.Exp(d.sd*(d.corr*common+math.Sqrt(1-d.corr*d.corr)*own)) * (1 + d.fixed*d.sees)
	loads := [2]load{{sd: d.load, phi: 0.98}, {sd: d.load, phi: 0.98}}
	var a, b, controlA, controlB []float64
	var pieces []judge.Timing
	for _, w := range works(r, n, workCV) {
		var sides [2]judge.Side
		for run := range 2 {
			l := loads[run].next(r)
			work := w * (1 - controlShare) * factor[run][0] * l * lognormal(r, cv)
			control := w * controlShare * factor[run][1] * math.Pow(l, d.sees) * lognormal(r, cv)
			bars := math.Round(1000 * w)
			sides[run] = judge.Side{Seconds: work + control, Phases: []judge.Phase{{Seconds: work, Count: bars, Common: bars}, {Seconds: control, Count: bars, Common: bars}}}
		}
		pieces = append(pieces, judge.Timing{A: sides[0], B: sides[1]})
		a, b = append(a, sides[0].Phases[0].Seconds), append(b, sides[1].Phases[0].Seconds)
		controlA, controlB = append(controlA, sides[0].Phases[1].Seconds), append(controlB, sides[1].Phases[1].Seconds)
	}
	hull, err := judge.Hull(pieces, alpha)
	if err != nil {
		panic(err)
	}
	plain := ratioOfSums(a, b, nil, nil)
	relative := ratioOfSums(a, b, controlA, controlB)
	return []bool{
		alarms(hull.Verdict()), hull.Reason != "", plain.side() != 0, relative.side() != 0,
		plain.side() != 0 && plain.side() == relative.side(),
	}
}

// alarms reports whether a verdict names a difference.
func alarms(v judge.Verdict) bool { return v.Says(judge.Faster) || v.Says(judge.Slower) }

// bounds are those of a logarithm.
type bounds struct{ low, high float64 }

// side is 1 above 0, -1 below, 0 if 0 is inside.
func (b bounds) side() int {
	switch {
	case b.low > 0:
		return 1
	case b.high < 0:
		return -1
	}
	return 0
}

// ratioOfSums is the rule that was dropped: the jackknife's interval of log(ΣA/ΣB),
// or of log(ΣA/ΣB · ΣY/ΣX) if there are controls X and Y. It is written apart from
// internal/judge.
func ratioOfSums(a, b, x, y []float64) bounds {
	n := len(a)
	whole := func(list []float64, without int) (s float64) {
		for i, v := range list {
			if i != without {
				s += v
			}
		}
		return s
	}
	at := func(without int) float64 {
		l := math.Log(whole(a, without) / whole(b, without))
		if x != nil {
			l -= math.Log(whole(x, without) / whole(y, without))
		}
		return l
	}
	var sum, squares float64
	for i := range n {
		v := at(i)
		sum += v
		squares += v * v
	}
	mean := sum / float64(n)
	half := judge.TQuantile(1-alpha/2, float64(n-1)) * math.Sqrt(float64(n-1)*max(squares/float64(n)-mean*mean, 0))
	e := at(-1)
	return bounds{e - half, e + half}
}

// gateCase is a machine on which a gate is judged.
type gateCase struct {
	name    string
	model   float64 // share of the model in A's time
	cv      float64 // of a phase in a chunk
	sd      float64 // standard deviation of the drift of a run
	byPhase float64 // share of the drift's variance that each phase has apart
}

// machine says where a speed-up is true: the prices of phases may drift apart, and with
// them changes what a gate is worth.
type machine int

const (
	ofA   machine = iota // as it was during run A
	ofB                  // as it was during run B
	third                // without either drift
)

// border judges runs with a gate against the limit of 3.0, at the border and beyond.
func border(c config) ([]*table, error) {
	t := newTable("A limit of 3.0: wrong at a true 3.0, and \"holds\" at a true 3.3 / 3.6 / 4.5, in %",
		"machine", "n", "wrong, true on A's machine", "on B's", "on a third", "void", "holds", "plain R: wrong")
	var cell uint64
	for _, g := range []gateCase{
		{"model 98 %, CV 10 %, no drift", 0.98, 0.1, 0, 0},
		{"model 98 %, drift 5 %, 30 % of it by phase", 0.98, 0.1, 0.05, 0.3},
		{"model 98 %, drift 20 %, by phase", 0.98, 0.1, 0.2, 1},
		{"model 98 %, CV 30 %, no drift", 0.98, 0.3, 0, 0},
		{"model 80 %, no drift", 0.8, 0.1, 0, 0},
		{"model 80 %, drift 20 %, 30 % of it by phase", 0.8, 0.1, 0.2, 0.3},
		{"model 80 %, drift 20 %, by phase", 0.8, 0.1, 0.2, 1},
	} {
		for _, n := range c.sizes(7, 16, 64) {
			at := func(truth float64, m machine) []rate {
				cell++
				return count(perTrial(c, cell, func(r *rand.Rand) []bool { return g.judged(r, n, truth, m) }))
			}
			a, b, other := at(3, ofA), at(3, ofB), at(3, third)
			var holds []rate
			for _, truth := range []float64{3.3, 3.6, 4.5} {
				holds = append(holds, at(truth, ofA)[1])
			}
			t.add(g.name, n, a[0], b[0], other[0], a[2], list(holds), a[3])
			t.atMost(fmt.Sprintf("%s, n = %d, A's machine", g.name, n), a[0], 0.05)
			t.atMost(fmt.Sprintf("%s, n = %d, B's machine", g.name, n), b[0], 0.05)
		}
	}
	return []*table{t}, nil
}

// judged reports of one pair of runs: "at least 3" was decided, holds, was void, and
// whether plain R decides.
func (g gateCase) judged(r *rand.Rand, n int, truth float64, m machine) []bool {
	var factor [2][2]float64
	for run := range 2 {
		common := r.NormFloat64() * math.Sqrt(1-g.byPhase)
		for phase := range 2 {
			factor[run][phase] = math.Exp(g.sd * (common + math.Sqrt(g.byPhase)*r.NormFloat64()))
		}
	}
	model, rest := g.model, 1-g.model // of a piece of A's work, on that machine
	if m != third {
		model, rest = model*factor[m][0], rest*factor[m][1]
	}
	passes := max(((model+rest)/truth-rest)/model, 1e-4) // share of calls that the gate lets through
	const bars = 10_000.0
	shares := works(r, n, 0.2) // of bars that pass, chunk by chunk
	var sum float64
	for _, s := range shares {
		sum += s
	}
	var pieces []judge.Timing
	var a, b []float64
	for _, s := range shares {
		calls := [2]float64{bars, bars * passes * s * float64(n) / sum}
		var sides [2]judge.Side
		for run := range 2 {
			model := g.model * calls[run] / bars * factor[run][0] * lognormal(r, g.cv)
			rest := (1 - g.model) * factor[run][1] * lognormal(r, g.cv)
			sides[run] = judge.Side{Seconds: model + rest, Phases: []judge.Phase{
				{Seconds: model, Count: calls[run], Common: calls[run]}, {Seconds: rest, Count: bars, Common: bars},
			}}
		}
		pieces = append(pieces, judge.Timing{A: sides[0], B: sides[1]})
		a, b = append(a, sides[0].Seconds), append(b, sides[1].Seconds)
	}
	speed, err := judge.Hull(pieces, alpha)
	if err != nil {
		panic(err)
	}
	d := speed.Threshold(judge.AtLeast, 3)
	plain := ratioOfSums(a, b, nil, nil)
	limit := math.Log(3)
	return []bool{d.Holding != judge.Unknown, d.Holding == judge.Holds, speed.Reason != "", plain.low >= limit || plain.high < limit}
}

// repeats judges several runs per side.
func repeats(c config) ([]*table, error) {
	t := newTable("Several runs per side: false alarms, and effects found, in %",
		"run-to-run s.d.", "runs per side", "false alarms", "effect", "found")
	var cell uint64
	for _, s := range []struct {
		sd      float64
		k       int
		effects []float64
	}{
		{0.05, 3, []float64{1.17, 1.3}}, {0.05, 4, []float64{1.13}}, {0.05, 6, []float64{1.09}},
		{0.2, 3, []float64{1.86}}, {0.2, 4, []float64{1.62}}, {0.2, 6, []float64{1.43}},
	} {
		at := func(effect float64) rate {
			cell++
			return count(perTrial(c, cell, func(r *rand.Rand) []bool {
				var a, b []float64
				for range s.k {
					a = append(a, 100*effect*math.Exp(s.sd*r.NormFloat64()))
					b = append(b, 100*math.Exp(s.sd*r.NormFloat64()))
				}
				speed, err := judge.Repeats(a, b, alpha)
				if err != nil {
					panic(err)
				}
				if effect > 1 {
					return []bool{speed.Verdict().Says(judge.Faster)}
				}
				return []bool{alarms(speed.Verdict())}
			}))[0]
		}
		alarm := at(1)
		t.atMost(fmt.Sprintf("%d runs, s.d. %g", s.k, s.sd), alarm, 0.05)
		var found []rate
		var names []string
		for _, e := range s.effects {
			found = append(found, at(e))
			names = append(names, fmt.Sprintf("%.2f", e))
		}
		t.atLeast(fmt.Sprintf("%d runs, s.d. %g, effect %s", s.k, s.sd, names[0]), found[0], 0.75)
		t.add(fmt.Sprintf("%.0f %%", 100*s.sd), s.k, alarm, strings.Join(names, " / "), list(found))
	}
	return []*table{t}, nil
}
