package bars

import (
	"errors"
	"time"
)

var (
	errTimeForm = errors.New("a UTC time as 2006-01-02 15:04:05 or 2006-01-02T15:04:05Z")
	errTimeZone = errors.New("UTC: no offset, Z or +00:00")
)

// parseTime reads YYYY-MM-DD HH:MM:SS (or with T), a fraction of up to nine
// digits, and then nothing, Z or +00:00: the time is UTC, other offsets are
// refused. The error says what was expected.
func parseTime(s string) (ns int64, err error) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || (s[10] != ' ' && s[10] != 'T') || s[13] != ':' || s[16] != ':' {
		return 0, errTimeForm
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || hour > 23 || minute > 59 || second > 59 {
		return 0, errTimeForm
	}
	rest := s[19:]
	frac := 0
	if len(rest) > 0 && rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		v, ok := digits(rest[1:n])
		if !ok || n > 10 {
			return 0, errTimeForm
		}
		for range 10 - n {
			v *= 10
		}
		frac, rest = v, rest[n:]
	}
	switch rest {
	case "", "Z", "+00:00":
	default:
		return 0, errTimeZone
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, frac, time.UTC)
	// time.Date makes 30 February a day in March.
	if int(t.Month()) != month || t.Day() != day {
		return 0, errTimeForm
	}
	// UnixNano is undefined outside of 1678 to 2262; the checker wants less.
	if year < 1900 || year >= 2190 {
		return 0, errors.New("a time in the years 1900 to 2189")
	}
	return t.UnixNano(), nil
}

func digits(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, len(s) > 0
}

// BarLength is the commonest distance of two neighbouring bars; of two that
// are as common, the smaller. It is 0 for less than two bars.
func BarLength(bars []Bar) time.Duration {
	counts := make(map[int64]int)
	for i := 1; i < len(bars); i++ {
		counts[bars[i].TimeNS-bars[i-1].TimeNS]++
	}
	var best int64
	for d, n := range counts {
		if d > 0 && (best == 0 || n > counts[best] || (n == counts[best] && d < best)) {
			best = d
		}
	}
	return time.Duration(best)
}
