package execengine

import (
	"strconv"
	"strings"
	"time"
)

// wantTime is what parseTime takes.
const wantTime = "a time: RFC 3339, 2026-01-02 15:04:05 in UTC, or whole s, ms, us or ns since 1970"

// parseTime reads a time as commands write it, in ns since 1970 UTC: RFC 3339
// with T or a blank and any offset, without an offset in UTC, a date alone as
// its midnight (which is how pandas writes daily bars), or a whole number as
// epochTime has it.
func parseTime(text string) (ns int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return epochTime(n)
	}
	date, rest := text, ""
	if len(text) > 10 {
		date, rest = text[:10], text[10:]
	}
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return 0, false
	}
	var clock, offset time.Duration
	if rest != "" {
		if rest[0] != 'T' && rest[0] != ' ' {
			return 0, false
		}
		if clock, rest, ok = cutClock(rest[1:]); !ok {
			return 0, false
		}
		if offset, ok = parseOffset(rest); !ok {
			return 0, false
		}
	}
	t = t.Add(clock - offset)
	if y := t.Year(); y < 1678 || y > 2261 { // what ns since 1970 hold
		return 0, false
	}
	return t.UnixNano(), true
}

// epochTime reads a whole number as s, ms, us or ns since 1970, by its size:
// each unit reaches from its year 1973 to where the next one begins.
func epochTime(n int64) (ns int64, ok bool) {
	const s, ms, us = 1e11, 1e14, 1e17 // less than these: the year 5138
	size := n
	if n < 0 {
		size = -n
	}
	switch {
	case size < 0: // the least integer
		return 0, false
	case size < s:
		if size > 9_223_372_036 {
			return 0, false
		}
		return n * 1e9, true
	case size < ms:
		if size > 9_223_372_036_854 {
			return 0, false
		}
		return n * 1e6, true
	case size < us:
		if size > 9_223_372_036_854_775 {
			return 0, false
		}
		return n * 1e3, true
	}
	return n, true
}

// cutClock reads HH:MM:SS with a fraction of up to nine digits.
func cutClock(text string) (d time.Duration, rest string, ok bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return 0, "", false
	}
	h, ok1 := twoDigits(text[0:2], 23)
	m, ok2 := twoDigits(text[3:5], 59)
	s, ok3 := twoDigits(text[6:8], 59)
	if !ok1 || !ok2 || !ok3 {
		return 0, "", false
	}
	d = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	rest = text[8:]
	if !strings.HasPrefix(rest, ".") {
		return d, rest, true
	}
	rest = rest[1:]
	unit, n := time.Second, 0
	for ; n < len(rest) && rest[n] >= '0' && rest[n] <= '9'; n++ {
		unit /= 10
		d += time.Duration(rest[n]-'0') * unit
	}
	return d, rest[n:], n >= 1 && n <= 9
}

// parseOffset reads nothing or Z, which are UTC, or ±HH:MM, ±HHMM or ±HH.
func parseOffset(text string) (d time.Duration, ok bool) {
	if text == "" || text == "Z" {
		return 0, true
	}
	sign := time.Duration(1)
	switch text[0] {
	case '+':
	case '-':
		sign = -1
	default:
		return 0, false
	}
	digits := text[1:]
	if len(digits) == 5 && digits[2] == ':' {
		digits = digits[:2] + digits[3:]
	}
	if len(digits) == 2 {
		digits += "00"
	}
	if len(digits) != 4 {
		return 0, false
	}
	h, ok1 := twoDigits(digits[:2], 23)
	m, ok2 := twoDigits(digits[2:], 59)
	return sign * (time.Duration(h)*time.Hour + time.Duration(m)*time.Minute), ok1 && ok2
}

func twoDigits(text string, most int) (int, bool) {
	if text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9' {
		return 0, false
	}
	n := int(text[0]-'0')*10 + int(text[1]-'0')
	return n, n <= most
}
