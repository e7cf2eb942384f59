package compare_test

import (
	"fmt"

	"gx1replay/internal/compare"
)

// A file that cannot be used is a side like any other: the result says that the
// runs cannot be compared, and why.
func ExampleJudge() {
	off := compare.Read("off.json", []byte(`{"run_id": "off"}`))
	on := compare.Read("on.json", []byte(`{"run_id": "on"}`))
	r := compare.Judge(off, on, compare.DefaultLimits())
	fmt.Println(r.Verdict)
	for _, p := range r.Problems {
		fmt.Println(p.Text)
	}
	// Output:
	// cannot_compare
	// OFF cannot be used: reading a perf JSON: "timestamp" is missing
	// ON cannot be used: reading a perf JSON: "timestamp" is missing
}
