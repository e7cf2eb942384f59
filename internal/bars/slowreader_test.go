package bars

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The slow reader shares nothing with the product's but Bar. It reads texts of
// the simplest kind, the whole at once, and tries every reading of them: of what
// the product reads it must know exactly one, and that one must be the product's.

// errSlow: the text is of a kind that the slow reader does not know.
var errSlow = errors.New("not of a kind that the slow reader knows")

// slowBar is a bar as the slow reader has it: bids, and 0 for no volume.
type slowBar struct {
	when   time.Time
	values [5]float64 // open, high, low, close, volume
}

// slowNames are names of columns, in the order in which they are believed.
var slowNames = map[string][]string{
	"time":   {"time", "timestamp", "datetime", "date", "gmt time", "open_time"},
	"open":   {"open", "<open>"},
	"high":   {"high", "<high>"},
	"low":    {"low", "<low>"},
	"close":  {"close", "<close>"},
	"volume": {"volume", "tick_volume", "<tickvol>"},
}

// slowRead returns every reading of a text: more than one is what a reader has
// to refuse.
func slowRead(text string) ([][]slowBar, error) {
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\"\r\x00") || strings.HasPrefix(text, "sep=") {
		return nil, errSlow
	}
	var rows [][]string
	for _, separator := range []string{",", ";", "\t"} {
		rows = nil
		for line := range strings.SplitSeq(text, "\n") {
			if line == "" {
				continue
			}
			cells := strings.Split(line, separator)
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
		if len(rows) > 1 && len(rows[0]) >= 5 && slices.Index(rows[0], rows[0][0]) == 0 && slowColumns(rows[0]) != nil {
			return slowRows(rows[1:], len(rows[0]), slowColumns(rows[0]), separator != ",")
		}
	}
	return nil, errSlow
}

// slowColumns finds the columns of a header; nil: not all are there, or some
// name could also be another program's.
func slowColumns(header []string) map[string][]int {
	at := map[string]int{}
	for i, h := range header {
		h = strings.ToLower(h)
		if _, twice := at[h]; twice {
			return nil
		}
		at[h] = i
	}
	known := regexp.MustCompile(`^(time|timestamp|datetime|date|gmt time|open_time|<date>|<time>|<?open>?|<?high>?|<?low>?|<?close>?|volume|tick_volume|<tickvol>|<vol>|<spread>|spread|close_time|x[0-9]*)$`)
	for h := range at {
		if !known.MatchString(h) {
			return nil
		}
	}
	found := map[string][]int{}
	for _, want := range []string{"time", "open", "high", "low", "close", "volume"} {
		for _, name := range slowNames[want] {
			if i, ok := at[name]; ok {
				found[want] = []int{i}
				break
			}
		}
	}
	date, hasDate := at["<date>"]
	clock, hasClock := at["<time>"]
	if hasDate && hasClock {
		found["time"] = []int{date, clock}
	}
	_, plainDate := at["date"]
	_, plainTime := at["time"]
	if (hasDate || hasClock) && found["time"] == nil || (hasDate || hasClock) && (plainDate || plainTime) || plainDate && plainTime {
		return nil
	}
	for _, name := range []string{"time", "open", "high", "low", "close"} {
		if found[name] == nil {
			return nil
		}
	}
	return found
}

// slowClocks are the ways to write what follows a date.
var slowClocks = []string{"", " 15:04:05", "T15:04:05", " 15:04", "T15:04", " 15:04:05Z07:00", "T15:04:05Z07:00", " 15:04:05-07", " 15:04:05-0700", " 15:04:05 UTC"}

// slowForms are the ways to write a time, by family: a file has one.
var slowForms = [][]string{
	{"2006-01-02"}, {"2006.01.02"}, {"2006/01/02"}, {"20060102"},
	{"02/01/2006"}, {"01/02/2006"}, {"02.01.2006"}, {"02-01-2006"}, {"01-02-2006"},
}

func slowTime(family []string, text string) (time.Time, bool) {
	for _, date := range family {
		for _, clock := range slowClocks {
			if when, err := time.Parse(date+clock, text); err == nil {
				_, offset := when.Zone()
				return when, offset == 0
			}
		}
	}
	return time.Time{}, false
}

// slowEpoch reads digits by the year that they give: of 1990 to 2099 in one unit
// they are of none in another.
func slowEpoch(text string) (time.Time, bool) {
	if !regexp.MustCompile(`^[0-9]{9,19}$`).MatchString(text) {
		return time.Time{}, false
	}
	v, _ := new(big.Int).SetString(text, 10)
	for _, perSecond := range []int64{1, 1e3, 1e6, 1e9} {
		sec, rest := new(big.Int).DivMod(v, big.NewInt(perSecond), new(big.Int))
		if !sec.IsInt64() {
			continue
		}
		when := time.Unix(sec.Int64(), rest.Int64()*(1e9/perSecond)).UTC()
		if when.Year() >= 1990 && when.Year() < 2100 {
			return when, true
		}
	}
	return time.Time{}, false
}

// slowNumber reads a number by exact arithmetic.
func slowNumber(text string, comma bool) (float64, bool) {
	if !regexp.MustCompile(`^[0-9]{1,15}([.,][0-9]{1,15})?$`).MatchString(text) {
		return 0, false
	}
	mark := "."
	if comma {
		mark = ","
	}
	if strings.ContainsAny(text, ".,") && !strings.Contains(text, mark) {
		return 0, false
	}
	whole, frac, _ := strings.Cut(text, mark)
	n, _ := new(big.Int).SetString(whole+frac, 10)
	r := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(frac))), nil))
	v, _ := r.Float64()
	return v, true
}

// slowRows returns all readings of rows.
func slowRows(rows [][]string, width int, columns map[string][]int, mayComma bool) ([][]slowBar, error) {
	var texts []string
	for _, r := range rows {
		if len(r) != width {
			return nil, errSlow
		}
		var parts []string
		for _, i := range columns["time"] {
			parts = append(parts, r[i])
		}
		texts = append(texts, strings.Join(parts, " "))
	}
	// All times in one family, and it may be more than one.
	var times [][]time.Time
	try := func(read func(string) (time.Time, bool)) {
		var list []time.Time
		for _, text := range texts {
			when, ok := read(text)
			if !ok {
				return
			}
			list = append(list, when)
		}
		times = append(times, list)
	}
	for _, family := range slowForms {
		try(func(text string) (time.Time, bool) { return slowTime(family, text) })
	}
	try(slowEpoch)
	var numbers [][][5]float64
	for _, comma := range []bool{false, true} {
		if list, ok := slowNumbers(rows, columns, comma); ok && (mayComma || !comma) {
			numbers = append(numbers, list)
		}
	}
	if len(times) == 0 || len(numbers) == 0 {
		return nil, errSlow
	}
	if len(numbers) == 2 && fmt.Sprint(numbers[0]) == fmt.Sprint(numbers[1]) {
		numbers = numbers[:1] // whole numbers: there is no mark
	}
	var all [][]slowBar
	for _, when := range times {
		for _, values := range numbers {
			list := make([]slowBar, len(rows))
			for i := range rows {
				list[i] = slowBar{when[i], values[i]}
			}
			all = append(all, list)
		}
	}
	return all, nil
}

func slowNumbers(rows [][]string, columns map[string][]int, comma bool) ([][5]float64, bool) {
	list := make([][5]float64, len(rows))
	missing := 0
	for i, r := range rows {
		for k, name := range []string{"open", "high", "low", "close", "volume"} {
			at, there := columns[name]
			if !there {
				continue
			}
			if name == "volume" && r[at[0]] == "" {
				missing++
				continue
			}
			v, ok := slowNumber(r[at[0]], comma)
			if !ok {
				return nil, false
			}
			list[i][k] = v
		}
	}
	return list, missing == 0 || missing == len(rows)
}

// slowSame compares the product's bars with a reading.
func slowSame(bars []Bar, slow []slowBar) error {
	if len(bars) != len(slow) {
		return fmt.Errorf("%d bars, the slow reader has %d", len(bars), len(slow))
	}
	for i, s := range slow {
		b := bars[i]
		if b.TimeNS != s.when.UnixNano() || [5]float64{b.BidOpen, b.BidHigh, b.BidLow, b.BidClose, b.Volume} != s.values {
			return fmt.Errorf("bar %d: %+v, the slow reader has %v %v", i+1, b, s.when, s.values)
		}
	}
	return nil
}

// checkSlow holds the product's reading of a text against the slow reader's.
func checkSlow(content []byte) (known bool, err error) {
	set, err := readCSV(bytes.NewReader(content), ReadOptions{})
	slow, serr := slowRead(string(content))
	if err != nil || serr != nil {
		return false, nil
	}
	if len(slow) != 1 {
		return true, fmt.Errorf("read in one of %d ways, which is a guess: %+v", len(slow), set.Bars)
	}
	return true, slowSame(set.Bars, slow[0])
}

// slowSeeds are texts that both readers know, one of each kind.
func slowSeeds() []string {
	const head = "time,open,high,low,close,volume\n"
	row := func(s string) string { return s + ",1.1,1.25,1.05,1.2,5\n" }
	seeds := []string{
		head + row("2024-01-02 00:00:00") + row("2024-01-02 00:05:00"),
		head + row("2024-01-02") + row("2024-01-03"),
		head + row("2024-01-02T00:00") + row("2024-01-02T00:05"),
		head + row("2024-01-02 00:00:00+00") + row("2024-01-02 00:05:00+00"),
		head + row("1704153600") + row("1704153900"),
		head + row("1704153600000") + row("1704153900000000"),
		head + row("20240102") + row("20240103"),
		head + row("01/02/2024") + row("13/02/2024"),
		head + row("01/02/2024") + row("02/13/2024"),
		head + row("01.02.2024 00:00") + row("02.02.2024 00:00"),
		"Gmt time,Open,High,Low,Close,Volume\n" + row("02.01.2024 00:00:00.000"),
		"<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.01.02\t00:00:00\t1.1\t1.25\t1.05\t1.2\t5\t0\t3\n",
		"date;open;high;low;close;volume\n02.01.2024;1,1;1,25;1,05;1,2;5\n",
		"date;open;high;low;close\n2024-01-02;1;1;1;1\n",
		"time,open,high,low,close,volume\n2024-01-02,1.1,1.25,1.05,1.2,\n",
	}
	return seeds
}

func TestSlowReader(t *testing.T) {
	for _, seed := range slowSeeds() {
		if known, err := checkSlow([]byte(seed)); !known || err != nil {
			t.Errorf("known %v, %v:\n%s", known, err, seed)
		}
	}
	// The slow reader sees what is open, so that a guess would be caught.
	for _, open := range []string{
		"time,open,high,low,close\n01/02/2024,1,1,1,1\n",
		"date;open;high;low;close\n2024-01-02;1,250;1,250;1,250;1,250\n",
	} {
		if slow, err := slowRead(open); err == nil && len(slow) == 1 {
			if _, err := readCSV(strings.NewReader(open), ReadOptions{}); err == nil {
				t.Errorf("taken by both:\n%s", open)
			}
		}
		if set, err := readCSV(strings.NewReader(open), ReadOptions{}); err == nil {
			t.Errorf("read as %+v:\n%s", set.Bars, open)
		}
	}
}

// FuzzReadText: no text makes the reader panic, and of what it reads the slow
// reader reads the same, in one way only.
func FuzzReadText(f *testing.F) {
	for _, seed := range slowSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := checkSlow(content); err != nil {
			t.Fatalf("%v\n%s", err, content)
		}
	})
}

// FuzzForm: no flags make the reader panic, and what it reads is valid.
func FuzzForm(f *testing.F) {
	f.Add("time,open,high,low,close\n01/02/2024 05:00 PM,1,1,1,1\n", "time=1", "%d/%m/%Y %I:%M %p", "America/New_York+7", ",", ".", "0.1", "sort,crossed")
	f.Add("a;b;c;d;e;spread\n1704153600;1,1;1,2;1,0;1,1;3\n", "time=a,open=b,high=c,low=d,close=e", "s", "", ";", ",", "0.01", "")
	f.Fuzz(func(t *testing.T, text, columns, layout, tz, sep, decimal, point, repair string) {
		form := Form{Columns: columns, TimeFormat: layout, TZ: tz, Sep: sep, Decimal: decimal, Point: point, Repair: repair}
		set, err := readCSV(strings.NewReader(text), ReadOptions{Form: form, Extra: true})
		if err != nil {
			return
		}
		if err := Validate(set.Bars); err != nil {
			t.Fatalf("read, but not valid: %v", err)
		}
		if err := CheckColumns(set.Extra, len(set.Bars)); err != nil {
			t.Fatalf("read, but not sound: %v", err)
		}
		if back, err := FormOf(form.Flags()); err != nil || back != form {
			t.Fatalf("form %+v and back: %+v, %v", form, back, err)
		}
	})
}

// FuzzReadJSON: no text makes the reader panic, and what it reads is valid.
func FuzzReadJSON(f *testing.F) {
	f.Add([]byte("[[1704214800000,1.1,1.25,1.05,1.2,5],[1704215100000,1.2,1.3,1.15,1.25,5.0]]"))
	f.Add([]byte(`{"t":1704214800,"o":1.1,"h":1.25,"l":1.05,"c":1.2,"v":null}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, err := readJSON(source{}, bytes.NewReader(content), ReadOptions{Extra: true}, &form{})
		if err != nil {
			return
		}
		if err := Validate(set.Bars); err != nil {
			t.Fatalf("read, but not valid: %v", err)
		}
		if err := CheckColumns(set.Extra, len(set.Bars)); err != nil {
			t.Fatalf("read, but not sound: %v", err)
		}
	})
}
