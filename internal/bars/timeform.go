package bars

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// timeForm is a way of writing times. All rows of a file have the same.
type timeForm int

const (
	formNone     timeForm = iota
	formISO               // the year first, with separators
	formDayMonth          // the year last: the whole file says whether the day or the month is first
	formCompact           // digits: 20240102, 20240102 170000, 202401021700
	formEpoch             // s, ms, us or ns since 1970, by their size
	formGiven             // --time-format
)

var (
	errTimeNumber = errors.New("a time since 1970 in s, ms, us or ns, of the years 1990 to 2099; --time-format s, ms, us or ns reads others")
	errTimeOther  = errors.New("a time in the form of the first row")
)

// formOf says in which form a text could be a time.
func formOf(s string) timeForm {
	_, n := leadingDigits(s, len(s))
	switch {
	case n == 0:
		return formNone
	case n == 4 && n < len(s) && isDateSeparator(s[n]):
		return formISO
	case n <= 2 && n < len(s) && isDateSeparator(s[n]):
		return formDayMonth
	case n == 8 && (n == len(s) || strings.IndexByte(" T_-", s[n]) >= 0),
		n == 12, n == 14:
		if _, err := parseCompact(s); err == nil {
			return formCompact
		}
	}
	if _, _, err := parseEpoch(s); err == nil {
		return formEpoch
	}
	return formNone
}

// timeReader reads the times of a file.
type timeReader struct {
	form  timeForm
	given *timeLayout // of --time-format
	// server: numbers count from 1970 by the clock of a server, whose zone --tz is.
	server bool
	zone   *zone // of --tz; nil: UTC

	rows  int        // read so far
	units [4]bool    // of epochs that were seen
	zoned [2]bool    // whether times without and with an offset were seen
	order dateOrder  // of formDayMonth
	texts [2]sighted // first times without and with an offset
}

// sighted is a text with its row, from 1; 0: none.
type sighted struct {
	row  int
	text string
}

func (s *sighted) see(row int, text string) {
	if s.row == 0 {
		s.row, s.text = row, strings.Clone(text)
	}
}

// read reads the next row's time: ns since 1970 by the file's clock. What that
// means in UTC, settle says when all is read.
func (t *timeReader) read(s string) (int64, error) {
	if t.form == formNone {
		if t.form = formOf(s); t.form == formNone {
			return 0, errTimeForm
		}
	}
	var m moment
	var err error
	switch t.form {
	case formISO:
		m, err = parseISO(s)
	case formDayMonth:
		m, err = t.order.read(t.rows+1, s)
	case formCompact:
		m, err = parseCompact(s)
	case formEpoch:
		var unit int
		m.zoned = true
		if m.wallNS, unit, err = parseEpoch(s); err == nil {
			t.units[unit] = true
		}
	default:
		m, err = t.given.parse(s)
	}
	if err == nil && m.offsetNS != 0 && t.zone == nil {
		err = errTimeZone
	}
	if err != nil {
		if other := formOf(s); t.rows > 0 && t.form != formGiven && other != formNone && other != t.form {
			err = errTimeOther
		}
		return 0, err
	}
	if t.server && t.zone != nil && (t.form == formEpoch || t.form == formGiven && t.given.unitNS > 0) {
		m.zoned = false
	}
	t.rows++
	kind := 0
	if m.zoned {
		kind = 1
	}
	if !t.zoned[kind] {
		t.zoned[kind] = true
		t.texts[kind].see(t.rows, s)
	}
	return plus(m.wallNS, -m.offsetNS), nil
}

// dropLast takes back the time that was read last: its row was refused.
func (t *timeReader) dropLast() {
	t.rows--
	t.order.cut(t.rows)
}

// settle makes UTC of the times of bars, in the order in which they were read.
// at names the place of a row, from 0.
func (t *timeReader) settle(bars []Bar, at func(row int) string) error {
	if t.form == formDayMonth {
		if err := t.order.settle(bars, at); err != nil {
			return err
		}
	}
	if t.zone == nil || t.rows == 0 {
		return nil
	}
	switch {
	case t.zoned[0] && t.zoned[1]:
		return fmt.Errorf("times with and without an offset: %s has %s, %s has %s (want one of both with --tz)",
			at(t.texts[0].row-1), shorten(t.texts[0].text), at(t.texts[1].row-1), shorten(t.texts[1].text))
	case t.zoned[1]:
		return nil // the texts say it themselves
	}
	return t.zone.toUTC(bars, at)
}

// describe says how times were read.
func (t *timeReader) describe() string {
	var text string
	switch t.form {
	case formISO:
		text = "year first"
	case formDayMonth:
		text = "day first"
		if t.order.monthIsFirst {
			text = "month first"
		}
	case formCompact:
		text = "digits, year first"
	case formEpoch:
		var units []string
		for i, seen := range t.units {
			if seen {
				units = append(units, epochUnits[i].name)
			}
		}
		text = strings.Join(units, " and ") + " since 1970"
	case formGiven:
		text = "by --time-format " + t.given.text
	default:
		return "" // none was read
	}
	switch {
	case t.form == formEpoch && !t.zoned[0]:
	case t.zoned[1]:
		text += ", with an offset"
	case t.zone != nil:
		text += ", " + t.zone.name + " turned into UTC"
	default:
		text += ", taken as UTC"
	}
	return text
}

// parseCompact reads YYYYMMDD, HHMM or HHMMSS behind it at once or after a
// space, _, - or T, or a clock with colons, and a zone.
func parseCompact(s string) (moment, error) {
	if len(s) < 8 {
		return moment{}, errTimeForm
	}
	date, ok := digits(s[:8])
	if !ok {
		return moment{}, errTimeForm
	}
	year, month, day := date/10000, date/100%100, date%100
	rest := s[8:]
	if rest != "" && (rest[0] == '_' || rest[0] == '-') {
		rest = " " + rest[1:]
	}
	clock := strings.TrimLeft(rest, " ")
	if strings.HasPrefix(rest, "T") {
		clock = rest[1:]
	}
	n := 0
	for n < len(clock) && clock[n] >= '0' && clock[n] <= '9' {
		n++
	}
	switch n {
	case 4:
		rest = " " + clock[:2] + ":" + clock[2:]
	case 6:
		rest = " " + clock[:2] + ":" + clock[2:4] + ":" + clock[4:]
	}
	return withClock(year, month, day, rest)
}

// epochUnits are the units of times since 1970. Those of the years 1990 to 2099
// in one unit are none in another, nor digits of a date.
var epochUnits = [4]struct {
	name string
	ns   int64
}{{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}}

const (
	epochFirst = 631152000  // 1990-01-01, in s
	epochEnd   = 4102444800 // 2100-01-01
)

// parseEpoch reads a time since 1970 whose size tells its unit, an index of
// epochUnits.
func parseEpoch(s string) (ns int64, unit int, err error) {
	whole, _, _ := strings.Cut(s, ".")
	v, ok := digits(whole)
	if !ok || len(whole) > 19 {
		return 0, 0, errTimeNumber
	}
	if unit = epochUnit(int64(v)); unit < 0 {
		return 0, 0, errTimeNumber
	}
	ns, err = scaleEpoch(s, epochUnits[unit].ns)
	return ns, unit, err
}

// epochUnit is the unit that the size of v tells, an index of epochUnits; -1:
// it tells none.
func epochUnit(v int64) int {
	for i, u := range epochUnits {
		per := 1e9 / u.ns
		if v >= epochFirst*per && v < epochEnd*per {
			return i
		}
	}
	return -1
}

// scaleEpoch reads a decimal number of a unit of so many ns. What it has below
// a nanosecond must be zero.
func scaleEpoch(s string, unitNS int64) (int64, error) {
	whole, frac, hasFrac := strings.Cut(s, ".")
	negative := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	if hasFrac && frac == "" {
		return 0, errTimeNumber
	}
	v, err := strconv.ParseUint(whole, 10, 63)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errTimeYears
	case err != nil:
		return 0, errTimeNumber
	case v > uint64(maxTimeNS/unitNS): // |minTimeNS| is less
		return 0, errTimeYears
	}
	ns := int64(v) * unitNS
	scale := unitNS
	for _, c := range []byte(frac) {
		if c < '0' || c > '9' || scale == 1 && c != '0' {
			return 0, errTimeNumber
		}
		if scale > 1 {
			scale /= 10
			ns += int64(c-'0') * scale
		}
	}
	if negative {
		ns = -ns
	}
	return ns, nil
}
