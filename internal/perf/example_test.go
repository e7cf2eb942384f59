package perf_test

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// What follows from the chunks is computed and not passed in. Verify computes it
// again, so a file whose figures were changed is found out.
func ExampleVerify() {
	report := perf.Report{RunID: "r1", Timestamp: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Mode: perf.ModeNormal, Data: run.Data{Bars: 200}}
	chunks := []perf.Chunk{{Idx: 0, Planned: 100, Status: footer.StatusMissing}, {Idx: 1, Planned: 100, Status: footer.StatusMissing}}
	b, err := perf.Append(nil, report, chunks)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("as written:", perf.Verify(b))

	err = perf.Verify(bytes.Replace(b, []byte(`"missing_bars": 200`), []byte(`"missing_bars": 0`), 1))
	var found perf.Differences
	fmt.Println("changed:", errors.As(err, &found), len(found))
	// Output:
	// as written: <nil>
	// changed: true 1
}
