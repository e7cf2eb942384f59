package feature

import (
	"math"
	"testing"
	"time"
)

// An H1 bar counts from the first bar on that opens at or after its end; hours
// without a bar are no bars; the first bar is whatever the data begin with.
func TestHigherBars(t *testing.T) {
	var h higher
	h.use(h1)
	before := 0.0
	for i, c := range []struct {
		at        string
		close     float64
		completed int64
		fast      float64
	}{
		{"2024-03-01T10:35:00Z", 100, 0, 0},
		{"2024-03-01T10:55:00Z", 110, 0, 0},
		{"2024-03-01T11:00:00Z", 120, 1, 110}, // 10:00 is complete: its close starts the mean
		{"2024-03-01T11:59:59.999999999Z", 123, 1, 110},
		{"2024-03-01T14:20:00Z", 90, 2, 112}, // 12:00 and 13:00 do not exist: 110 + (123-110)·2/13
		{"2024-03-01T14:55:00Z", 99, 2, 112},
		{"2024-03-03T23:00:00Z", 60, 3, 110}, // over the week-end: 112 + (99-112)·2/13
		{"2024-03-04T00:00:00Z", 60, 4, 110 - 50*2/13.0},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		h.push(at.UnixNano(), before, i == 0)
		before = c.close
		if h.completed != c.completed || math.Abs(h.fast.y-c.fast) > 1e-12 {
			t.Errorf("%s: %d completed, EMA12 %v (want %d, %v)", c.at, h.completed, h.fast.y, c.completed, c.fast)
		}
	}
}

func TestPeriodEnd(t *testing.T) {
	hour := int64(time.Hour)
	for _, c := range []struct{ at, want int64 }{
		{0, 4 * hour}, {1, 4 * hour}, {4*hour - 1, 4 * hour}, {4 * hour, 8 * hour}, {-1, 0}, {-4 * hour, 0}, {-4*hour - 1, -4 * hour},
	} {
		if got := periodEnd(c.at, h4); got != c.want {
			t.Errorf("periodEnd(%d) is %d (want %d)", c.at, got, c.want)
		}
	}
}
