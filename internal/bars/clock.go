package bars

import (
	"errors"
	"strings"
	"time"
)

var (
	errTimeForm  = errors.New("a UTC time as 2006-01-02 15:04:05 or 2006-01-02T15:04:05Z")
	errTimeZone  = errors.New("UTC: no offset, Z, UTC or +00:00; --tz UTC reads other offsets")
	errTimeYears = errors.New("a time in the years 1900 to 2189")
)

// moment is a time as a text has it.
type moment struct {
	wallNS   int64 // ns since 1970 by the clock of the text, as if that were UTC's
	zoned    bool  // the text names its offset
	offsetNS int64 // of that clock, east of UTC
}

// parseTime reads YYYY-MM-DD HH:MM:SS (or with T), a fraction of up to nine
// digits, and then nothing, Z, UTC or an offset of zero: the time is UTC, other
// offsets are refused. Seconds and clock may be missing. The error says what
// was expected.
func parseTime(s string) (ns int64, err error) {
	m, err := parseISO(s)
	switch {
	case err != nil:
		return 0, err
	case m.offsetNS != 0:
		return 0, errTimeZone
	}
	return m.wallNS, nil
}

// parseISO reads a time that begins with the year. Its date may be separated
// by dots or slashes, too, and be without leading zeros.
func parseISO(s string) (moment, error) {
	if len(s) >= 19 && s[4] == '-' && s[7] == '-' && (s[10] == ' ' || s[10] == 'T') && s[13] == ':' && s[16] == ':' {
		switch s[19:] {
		case "":
			return parseFixed(s)
		case "Z", "+00:00":
			m, err := parseFixed(s[:19])
			m.zoned = true
			return m, err
		}
	}
	year, n := leadingDigits(s, 4)
	if n != 4 || len(s) < 8 || !isDateSeparator(s[4]) {
		return moment{}, errTimeForm
	}
	month, n := leadingDigits(s[5:], 2)
	at := 5 + n
	if n == 0 || at >= len(s) || s[at] != s[4] {
		return moment{}, errTimeForm
	}
	day, n := leadingDigits(s[at+1:], 2)
	if n == 0 {
		return moment{}, errTimeForm
	}
	return withClock(year, month, day, s[at+1+n:])
}

// parseFixed is parseISO for the commonest form, whose separators stand where
// they must.
func parseFixed(s string) (moment, error) {
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || hour > 23 || minute > 59 || second > 59 {
		return moment{}, errTimeForm
	}
	midnight, err := dateNS(year, month, day)
	if err != nil {
		return moment{}, err
	}
	return moment{wallNS: midnight + int64(3600*hour+60*minute+second)*1e9}, nil
}

func isDateSeparator(c byte) bool { return c == '-' || c == '.' || c == '/' }

// withClock reads what follows a date.
func withClock(year, month, day int, rest string) (moment, error) {
	midnight, err := dateNS(year, month, day)
	if err != nil {
		return moment{}, err
	}
	m, err := parseClock(rest)
	m.wallNS += midnight
	return m, err
}

// parseClock reads what follows a date: nothing, or a space or T and then
// H:MM, H:MM:SS or a fraction more, AM or PM, and a zone. A zone may follow the
// date itself, too.
func parseClock(s string) (moment, error) {
	if s == "" {
		return moment{}, nil
	}
	clock := strings.TrimLeft(s, " ")
	if s[0] == 'T' {
		clock = s[1:]
	}
	hour, n := leadingDigits(clock, 2)
	if n == 0 {
		if s[0] == 'T' {
			return moment{}, errTimeForm
		}
		return parseZone(moment{}, clock)
	}
	if clock == s { // digits right behind the date
		return moment{}, errTimeForm
	}
	rest := clock[n:]
	minute, rest, ok := twoDigits(rest)
	if !ok || hour > 23 || minute > 59 {
		return moment{}, errTimeForm
	}
	second, frac := 0, int64(0)
	if strings.HasPrefix(rest, ":") {
		if second, rest, ok = twoDigits(rest); !ok || second > 59 {
			return moment{}, errTimeForm
		}
		if frac, rest, ok = fraction(rest); !ok {
			return moment{}, errTimeForm
		}
	}
	if hour, rest, ok = halfDay(hour, rest); !ok {
		return moment{}, errTimeForm
	}
	return parseZone(moment{wallNS: int64(3600*hour+60*minute+second)*1e9 + frac}, rest)
}

// twoDigits reads a colon and two digits.
func twoDigits(s string) (v int, rest string, ok bool) {
	if len(s) < 3 || s[0] != ':' {
		return 0, s, false
	}
	v, ok = digits(s[1:3])
	return v, s[3:], ok
}

// fraction reads a point and one to nine digits, if they are there.
func fraction(s string) (ns int64, rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return 0, s, true
	}
	n := 1
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, ok := digits(s[1:n])
	if !ok || n > 10 {
		return 0, s, false
	}
	ns = int64(v)
	for range 10 - n {
		ns *= 10
	}
	return ns, s[n:], true
}

// halfDay turns an hour of 12 into one of 24 if AM or PM follows.
func halfDay(hour int, s string) (of24 int, rest string, ok bool) {
	word := strings.TrimLeft(s, " ")
	if len(word) < 2 || word[1] != 'M' && word[1] != 'm' {
		return hour, s, true
	}
	switch word[0] {
	case 'A', 'a':
		of24 = hour % 12
	case 'P', 'p':
		of24 = hour%12 + 12
	default: // GMT
		return hour, s, true
	}
	return of24, word[2:], hour >= 1 && hour <= 12
}

// parseZone ends a time: nothing, Z, UTC or GMT, an offset as +00, +0000 or
// +00:00, or both.
func parseZone(m moment, s string) (moment, error) {
	s = strings.TrimLeft(s, " ")
	switch s {
	case "":
		return m, nil
	case "Z", "UTC", "GMT":
		m.zoned = true
		return m, nil
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "UTC"), "GMT")
	offset, ok := parseOffset(s)
	if !ok {
		return m, errTimeZone
	}
	m.zoned, m.offsetNS = true, offset
	return m, nil
}

// parseOffset reads +HH, +HHMM or +HH:MM, up to a day. -00:00 is no offset: RFC
// 3339 has it for one that is not known.
func parseOffset(s string) (ns int64, ok bool) {
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hour, ok := digits(s[1:3])
	minute := 0
	switch {
	case !ok || hour > 23:
		return 0, false
	case len(s) == 3:
	case len(s) == 5:
		minute, ok = digits(s[3:])
	case len(s) == 6 && s[3] == ':':
		minute, ok = digits(s[4:])
	default:
		return 0, false
	}
	ns = int64(60*hour+minute) * 60e9
	if s[0] == '-' {
		ns = -ns
	}
	return ns, ok && minute < 60 && (ns != 0 || s[0] == '+')
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

// leadingDigits reads the digits at the start of s, at most limit of them.
func leadingDigits(s string, limit int) (v, n int) {
	for n < limit && n < len(s) && s[n] >= '0' && s[n] <= '9' {
		v = 10*v + int(s[n]-'0')
		n++
	}
	return v, n
}

// dateNS is the midnight that a day begins with, if there is such a day.
func dateNS(year, month, day int) (int64, error) {
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if int(t.Month()) != month || t.Day() != day {
		return 0, errTimeForm
	}
	// UnixNano is undefined outside of 1678 to 2262; the checker wants less.
	if year < 1900 || year >= 2190 {
		return 0, errTimeYears
	}
	return t.UnixNano(), nil
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
