package judge_test

import (
	"fmt"

	"gx1replay/internal/judge"
)

// Two runs of seven chunks, the gate off and on: a chunk of A has 100 calls of the
// model at 90 ms, one of B a quarter of them.
func ExampleHull() {
	var pieces []judge.Timing
	for i := range 7 {
		side := func(calls, noise float64) judge.Side {
			model, bars := 0.09*calls*noise, 0.001*1000.0
			return judge.Side{Seconds: model + bars, Phases: []judge.Phase{
				{Seconds: model, Count: calls, Common: calls}, // model: calls
				{Seconds: bars, Count: 1000, Common: 1000},    // the rest: bars
			}}
		}
		pieces = append(pieces, judge.Timing{A: side(100, 1+0.02*float64(i%3)), B: side(25, 1+0.02*float64(i%4))})
	}
	speed, err := judge.Hull(pieces, 0.05)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f times as fast (%.2f to %.2f): %v\n", speed.Estimate, speed.Low, speed.High, speed.Verdict())
	fmt.Println("at least 3:", speed.Threshold(judge.AtLeast, 3).Holding)
	// Output:
	// 3.07 times as fast (3.00 to 3.14): faster
	// at least 3: holds
}

// Pairs that ran in one slot, judged after each of them.
func ExampleSequential() {
	var pairs []judge.Pair
	for i := range 40 {
		a := 2.9 + 0.05*float64(i%5)
		pairs = append(pairs, judge.Pair{A: a, B: 1 + 0.02*float64(i%3), BFirst: i%4 == 1 || i%4 == 2})
		c, err := judge.Sequential(pairs, 0.05)
		if err != nil {
			fmt.Println(err)
			return
		}
		if v := c.Verdict(); !v.Says(judge.CannotSay) && !v.Says(judge.NoDifference) {
			fmt.Printf("after %d pairs %v: %.2f (%.2f to %.2f)\n", c.Pairs, v, c.Estimate, c.Low, c.High)
			break
		}
	}
	// Output:
	// after 12 pairs faster: 2.93 (2.82 to 3.04)
}
