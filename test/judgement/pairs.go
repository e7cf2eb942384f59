package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gx1replay/internal/judge"
)

// session is how the pairs of an `ab` come about.
type session struct {
	name     string
	cv       float64 // of a member's time
	workCV   float64 // of the chunks' sizes
	bursts   bool    // one member in a hundred takes 1.8 times as long
	load     load    // from member to member
	trend    float64 // by how much the machine becomes slower during 200 pairs
	order    float64 // by how much the first member is slower
	blocks   bool    // AB BA or BA AB by a coin per block; else a coin per pair
	slope    float64 // by how much B differs per standard deviation of the log of the work
	effect   float64 // A's time over B's; 0: equal
	controls int     // phases that the arms cannot touch, judged instead
}

// pairs draws a session.
func (s session) pairs(r *rand.Rand, n int) []judge.Pair {
	l := s.load
	list := make([]judge.Pair, n)
	sizes := works(r, n, s.workCV)
	depends := make([]float64, n)
	sd := math.Sqrt(math.Log(1 + s.workCV*s.workCV))
	for i, w := range sizes {
		depends[i] = 1
		if s.slope != 0 {
			z := (math.Log(w) + sd*sd/2) / sd
			depends[i] = math.Exp(s.slope * z)
		}
	}
	effect := s.effect
	if effect == 0 {
		effect = 1
	}
	first := false
	for i, w := range sizes {
		if s.blocks && i%2 == 1 {
			first = !first
		} else {
			first = r.IntN(2) == 0
		}
		member := func(k int) float64 {
			t := w * l.next(r) * lognormal(r, s.cv) * (1 + s.trend*float64(2*i+k)/400)
			if s.bursts && r.IntN(100) == 0 {
				t *= 1.8
			}
			if k == 0 {
				t *= 1 + s.order
			}
			return t
		}
		x, y := member(0), member(1)
		p := judge.Pair{A: x, B: y, BFirst: first}
		if first {
			p.A, p.B = y, x
		}
		p.A *= effect
		if s.slope != 0 {
			p.B *= depends[i] * s.trueRatio(sd) // so that the totals are equal
		}
		list[i] = p
	}
	return list
}

// trueRatio is E(w)/E(w·dependence) for log-normal work of mean 1.
func (s session) trueRatio(sd float64) float64 {
	// E(w e^(slope·z)) with w = e^(sd·z - sd²/2).
	return math.Exp(-(sd*s.slope + s.slope*s.slope/2))
}

// firstLook is the pair at which sessions are looked at first.
const firstLook = 12

func sequential(pairs []judge.Pair, a float64) judge.Compared {
	c, err := judge.Sequential(pairs, a)
	if err != nil {
		panic(err)
	}
	return c
}

func fixed(pairs []judge.Pair) judge.Compared {
	c, err := judge.Fixed(pairs, alpha)
	if err != nil {
		panic(err)
	}
	return c
}

// ab judges pairs of the same work after each pair from 12 to 200.
func ab(c config) ([]*table, error) {
	t := newTable("Pairs of the same work, looked at after each pair from 12 to 200: sessions with a false alarm, in %",
		"session", "the rule", "Student's t at every look", "t once, at 30 pairs", "closed at 30")
	sizes := newTable("The same where B is slower on large chunks and faster on small ones, with equal totals: the true rates, in %",
		"session", "the rule", "Student's t at every look", "t once, at 30 pairs", "closed at 30")
	slow := load{sd: 0.2, phi: 0.9}
	for i, s := range []session{
		{name: "CV 5 %", cv: 0.05, workCV: 0.5, blocks: true},
		{name: "CV 20 %", cv: 0.2, workCV: 0.5, blocks: true},
		{name: "CV 50 %", cv: 0.5, workCV: 0.5, blocks: true},
		{name: "CV 10 %, equal chunks", cv: 0.1, blocks: true},
		{name: "CV 10 %, bursts", cv: 0.1, workCV: 0.5, bursts: true, blocks: true},
		{name: "CV 50 %, bursts", cv: 0.5, workCV: 0.5, bursts: true, blocks: true},
		{name: "AR(1) load 20 %, φ 0.9", cv: 0.05, workCV: 0.5, load: slow, blocks: true},
		{name: "AR(1) load 30 %, φ 0.99, and drift 20 %", cv: 0.05, workCV: 0.5, load: load{sd: 0.3, phi: 0.99}, trend: 0.2, blocks: true},
		{name: "order effect 3 %, a coin per pair", cv: 0.05, workCV: 0.5, order: 0.03},
		{name: "order effect 3 %, blocks", cv: 0.05, workCV: 0.5, order: 0.03, blocks: true},
		{name: "work CV 1.5, CV 50 %, bursts", cv: 0.5, workCV: 1.5, bursts: true, blocks: true},
		{name: "three controls at α/3: void", cv: 0.1, workCV: 0.5, blocks: true, controls: 3},
		{name: "5 % per s.d. of log work", cv: 0.05, workCV: 0.5, slope: 0.05, blocks: true},
		{name: "10 % per s.d.", cv: 0.05, workCV: 0.5, slope: 0.1, blocks: true},
		{name: "20 % per s.d.", cv: 0.05, workCV: 0.5, slope: 0.2, blocks: true},
		{name: "10 % per s.d., work CV 1", cv: 0.05, workCV: 1, slope: 0.1, blocks: true},
	} {
		rates := count(perTrial(c, uint64(i), func(r *rand.Rand) []bool { return s.looks(r, c.lastLook()) }))
		into := t
		if s.slope != 0 {
			into = sizes
		} else {
			t.atMost(s.name, rates[0], 0.05)
		}
		into.add(s.name, rates[0], rates[1], rates[2], rates[3])
	}
	return []*table{t, sizes}, nil
}

// looks reports of a session: the rule alarmed at some look; naive t did; t at 30 did; the
// rule was closed at 30.
func (s session) looks(r *rand.Rand, last int) []bool {
	if s.controls > 0 {
		return s.controlled(r, last)
	}
	pairs := s.pairs(r, last)
	rule, naive := false, false
	for n := firstLook; n <= last && !(rule && naive); n++ {
		rule = rule || alarms(sequential(pairs[:n], alpha).Verdict())
		naive = naive || alarms(fixed(pairs[:n]).Verdict())
	}
	return []bool{rule, naive, alarms(fixed(pairs[:30]).Verdict()), sequential(pairs[:30], alpha).Reason != ""}
}

// controlled reports whether a control that did not move was said to have moved.
func (s session) controlled(r *rand.Rand, last int) []bool {
	moved := false
	for range s.controls {
		pairs := s.pairs(r, last)
		for n := firstLook; n <= last && !moved; n++ {
			moved = sequential(pairs[:n], alpha/float64(s.controls)).Moved()
		}
	}
	return []bool{moved, false, false, false}
}

// slots judges pairs that eight slots ran in step under one load.
func slots(c config) ([]*table, error) {
	t := newTable("Eight slots in step under one load, looked at after each wave up to 200 pairs: sessions with a false alarm, in %",
		"load s.d., φ", "A always first", "one coin per wave", "one coin per pair", "one coin per slot and block")
	var cell uint64
	for _, l := range []load{{sd: 0.05, phi: 0.5}, {sd: 0.2, phi: 0.5}, {sd: 0.2, phi: 0.9}} {
		row := []any{fmt.Sprintf("%.0f %%, %g", 100*l.sd, l.phi)}
		for k, coin := range []string{"none", "wave", "pair", "block"} {
			cell++
			rates := count(perTrial(c, cell, func(r *rand.Rand) []bool { return []bool{inStep(r, l, coin, c.lastLook())} }))
			row = append(row, rates[0])
			if k >= 2 {
				t.atMost(fmt.Sprintf("one coin per %s, load %g, φ %g", coin, l.sd, l.phi), rates[0], 0.05)
			}
		}
		t.add(row...)
	}
	return []*table{t}, nil
}

// inStep reports whether a session of 25 waves alarmed at some wave.
func inStep(r *rand.Rand, l load, coin string, last int) bool {
	const width = 8
	var pairs []judge.Pair
	first := make([]bool, width)
	for wave := range last / width {
		toss := r.IntN(2) == 0
		for s := range first {
			switch {
			case coin == "wave":
				first[s] = toss
			case coin == "pair" || coin == "block" && wave%2 == 0:
				first[s] = r.IntN(2) == 0
			case coin == "block":
				first[s] = !first[s]
			}
		}
		at := [2]float64{l.next(r), l.next(r)}
		for s := range width {
			w := lognormal(r, 0.5)
			x, y := w*at[0]*lognormal(r, 0.05), w*at[1]*lognormal(r, 0.05)
			p := judge.Pair{A: x, B: y, BFirst: first[s]}
			if first[s] {
				p.A, p.B = y, x
			}
			pairs = append(pairs, p)
		}
		if len(pairs) >= firstLook && alarms(sequential(pairs, alpha).Verdict()) {
			return true
		}
	}
	return false
}

// power finds effects of known size.
func power(c config) ([]*table, error) {
	t := newTable("Effects found by pair 30 (work CV 0.5, blocks), in %, and pairs until 80 % are found",
		"CV per member", "effect", "the rule, every look to 30", "t once, at 30", "pairs for 80 %, the rule")
	var cell uint64
	for _, s := range []struct {
		cv      float64
		bursts  bool
		effects []float64
	}{
		{0.01, false, []float64{0.02}}, {0.015, false, []float64{0.02}}, {0.02, false, []float64{0.02}}, {0.05, false, []float64{0.02, 0.05, 0.1}},
		{0.05, true, []float64{0.02, 0.05, 0.1}}, {0.1, false, []float64{0.02, 0.05, 0.1}}, {0.2, false, []float64{0.05, 0.1}},
	} {
		for _, effect := range s.effects {
			cell++
			one := session{cv: s.cv, workCV: 0.5, bursts: s.bursts, blocks: true, effect: 1 + effect}
			name := fmt.Sprintf("%g %%", 100*s.cv)
			if s.bursts {
				name += " with bursts"
			}
			found, once, pairs := one.found(c, cell)
			t.add(name, fmt.Sprintf("%.0f %%", 100*effect), found, once, pairs)
			if s.cv == 0.015 && effect == 0.02 {
				t.atLeast("2 % at CV 1.5 %", found, 0.8)
			}
		}
	}
	smallest := newTable("The smallest effect that is named, (m + 0.84) s/√ν, by pair 30, in %", "chunks", "effect in s", "found", "t once")
	for _, s := range []struct {
		name   string
		workCV float64
		times  float64
	}{{"equal", 0, 0.75}, {"work CV 0.5", 0.5, 0.85}} {
		cell++
		const cv = 0.02
		one := session{cv: cv, workCV: s.workCV, blocks: true, effect: math.Exp(s.times * math.Sqrt2 * cv)}
		found, once, _ := one.found(c, cell)
		smallest.add(s.name, fmt.Sprintf("%.2f", s.times), found, once)
		smallest.atLeast("the smallest effect, chunks "+s.name, found, 0.77)
	}
	return []*table{t, smallest}, nil
}

// found is how often the effect was found by pair 30, at pair 30 by t, and the pairs by
// which four in five are found.
func (s session) found(c config, cell uint64) (by30, once rate, pairs string) {
	type outcome struct {
		at   int
		once bool
	}
	last := c.lastLook()
	results := perTrial(c, cell, func(r *rand.Rand) outcome {
		pairs := s.pairs(r, last)
		o := outcome{last + 1, fixed(pairs[:30]).Verdict().Says(judge.Faster)}
		for n := firstLook; n <= last; n++ {
			if v := sequential(pairs[:n], alpha).Verdict(); v.Says(judge.Faster) {
				o.at = n
				break
			}
		}
		return o
	})
	ends := make([]int, last+2)
	for _, o := range results {
		by30.n++
		once.n++
		ends[o.at]++
		if o.at <= 30 {
			by30.hits++
		}
		if o.once {
			once.hits++
		}
	}
	sum := 0
	for n, k := range ends[:last+1] {
		if sum += k; 5*sum >= 4*len(results) {
			return by30, once, fmt.Sprint(n)
		}
	}
	return by30, once, fmt.Sprintf("above %d", last)
}
