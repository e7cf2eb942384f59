package execengine

import (
	"math"
	"regexp"
	"strconv"
	"time"
)

// wantTime is what ParseTime takes.
const wantTime = "a time: RFC 3339, 2026-01-02 15:04:05 in UTC, or whole s, ms, us or ns since 1970"

// timeForm is a time as commands write it. Its group is the offset from UTC.
var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?$`)

// offsetLayouts are the layouts of an offset by its length.
var offsetLayouts = map[int]string{1: "Z07:00", 3: "Z07", 5: "Z0700", 6: "Z07:00"}

// ParseTime reads a time as commands write it, in ns since 1970 UTC: RFC 3339
// with T or a blank and any offset, without an offset in UTC, a date alone as
// its midnight (which is how pandas writes daily bars), or whole s, ms, us or
// ns since 1970, told apart by their size.
func ParseTime(text string) (ns int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return epochTime(n)
	}
	m := timeForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	layout := time.DateOnly
	if len(text) > len(layout) {
		layout += text[len(layout):len(layout)+1] + time.TimeOnly + offsetLayouts[len(m[1])]
	}
	t, err := time.Parse(layout, text)
	if y := t.UTC().Year(); err != nil || y < 1678 || y > 2261 { // what ns since 1970 hold
		return 0, false
	}
	return t.UnixNano(), true
}

// epochUnits are the units of times since 1970. A unit holds the numbers whose
// size is below its limit, up to the year 5138.
var epochUnits = []struct{ below, ns int64 }{{1e11, 1e9}, {1e14, 1e6}, {1e17, 1e3}}

// epochTime reads a whole number as s, ms, us or ns since 1970, by its size:
// each unit reaches from its year 1973 to where the next one begins.
func epochTime(n int64) (ns int64, ok bool) {
	size := max(n, -n)
	if size < 0 { // the least integer
		return 0, false
	}
	for _, u := range epochUnits {
		if size < u.below {
			return n * u.ns, size <= math.MaxInt64/u.ns
		}
	}
	return n, true
}
