package bars_test

import (
	"fmt"
	"strings"

	"gx1replay/internal/bars"
)

// A file with one price per bar has bids: the ask is assumed above them by a
// spread.
func ExampleReadCSV() {
	const file = "time,open,high,low,close\n2024-01-02T00:00:00Z,100,101,99,100.5\n2024-01-02T00:05:00Z,100.5,102,100,101\n"
	list, spreadBps, err := bars.ReadCSV(strings.NewReader(file), bars.ReadOptions{})
	fmt.Println(len(list), "bars of", bars.BarLength(list), "spread", spreadBps, "bps, error", err)

	_, _, err = bars.ReadCSV(strings.NewReader(strings.Replace(file, "102", "1", 1)), bars.ReadOptions{})
	fmt.Println(err)
	// Output:
	// 2 bars of 5m0s spread 2 bps, error <nil>
	// line 3 (bar 2): high: 1 (want at least open 100.5), the largest by 100.02 (line 3)
}
