package run_test

import (
	"fmt"

	"gx1replay/internal/run"
)

// A plan holds the rule of the cut, not its borders. Chunks are published in an
// order that covers the whole period evenly from the start.
func ExampleNewPlan() {
	plan, err := run.NewPlan(10, 4, 0, run.OrderSpread)
	if err != nil {
		fmt.Println(err)
		return
	}
	for idx := range plan.Published() {
		c := plan.Chunk(idx)
		fmt.Printf("chunk %d: bars %d to %d\n", c.Idx, c.Bars.First, c.Bars.End-1)
	}
	// Output:
	// chunk 0: bars 0 to 1
	// chunk 2: bars 5 to 6
	// chunk 1: bars 2 to 4
	// chunk 3: bars 7 to 9
}
