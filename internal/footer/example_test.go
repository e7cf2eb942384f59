package footer_test

import (
	"fmt"

	"gx1replay/internal/footer"
)

// Two attempts have measured the chunk. Their bars are never added up: the
// footer that covers more of the chunk is the authoritative one.
func ExamplePick() {
	first := footer.Footer{ChunkID: "0", Status: footer.StatusPartial, Attempt: 1, BarsProcessed: 60}
	second := footer.Footer{ChunkID: "0", Status: footer.StatusPartial, Attempt: 2, BarsProcessed: 20}
	best := footer.Pick(first, second)
	fmt.Println("attempt", best.Attempt, "with", best.BarsProcessed, "bars")

	second.Status, second.BarsProcessed = footer.StatusOK, 100
	best = footer.Pick(best, second)
	fmt.Println("attempt", best.Attempt, "with", best.BarsProcessed, "bars")
	// Output:
	// attempt 1 with 60 bars
	// attempt 2 with 100 bars
}
