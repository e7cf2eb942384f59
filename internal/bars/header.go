package bars

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// names that stand for a column where the first of them is missing.
// pandas calls an index without a name __index_level_0__.
func (c column) names() []string {
	switch c {
	case colTime:
		return []string{"time", "__index_level_0__"}
	case colVolume:
		return []string{"volume", "tick_volume"}
	}
	return []string{c.String()}
}

// aliases are the names that other programs have for a column, as squeezed has
// them, the better ones first.
func (c column) aliases() []string {
	switch c {
	case colTime:
		return []string{"time", "timestamp", "datetime", "date", "gmttime", "localtime", "timeutc", "timegmt",
			"opentime", "starttime", "start", "startat", "begin", "dtyyyymmdd", "unix", "unixtime", "unixtimestamp", "ts", "t"}
	case colVolume:
		return []string{"volume", "tickvolume", "tickvol", "tickqty", "vol", "v", "realvolume"}
	}
	own := squeezed(c.String())
	return []string{own, own[3:] + own[:3]} // openbid
}

// plainAliases are those of a bid that is named without the side.
func (c column) plainAliases() []string {
	bid := strings.TrimPrefix(c.String(), "bid_")
	return []string{bid, bid[:1]}
}

// squeezed is a name of a header without what programs write differently.
func squeezed(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t_-.<>()[]\"'", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// header is the first line of a file, to find columns in.
type header struct {
	cells []string
	exact map[string]int // by the name in lower case; of two, the last
	loose map[string]int // by the squeezed name; of two, the first
	twice map[string]bool
}

func newHeader(cells []string) header {
	h := header{cells: cells, exact: make(map[string]int, len(cells)), loose: make(map[string]int, len(cells)), twice: map[string]bool{}}
	for i, cell := range cells {
		name := strings.ToLower(strings.TrimSpace(cell))
		h.exact[name] = i
		key := squeezed(cell)
		if _, there := h.loose[key]; there {
			h.twice[key] = true
		} else {
			h.loose[key] = i
		}
	}
	return h
}

// find is the index of the column of one of our names, else of an alias; -1:
// there is none.
func (h *header) find(names, aliases []string) (int, error) {
	for _, name := range names {
		if i, ok := h.exact[name]; ok {
			return i, nil
		}
	}
	for _, key := range aliases {
		i, ok := h.loose[key]
		if !ok {
			continue
		}
		if h.twice[key] {
			// Exchanges tell t, the open, from T, the close, by the case.
			same, _ := h.called(key)
			if len(key) > 1 || len(same) != 1 {
				return -1, errTwoNamed(h.cells[i])
			}
			i = same[0]
		}
		return i, nil
	}
	return -1, nil
}

func errTwoNamed(name string) error {
	return fmt.Errorf("header: two columns are named as %s (want one, or --columns)", shorten(name))
}

// called are the columns of a name: those that have it in the same case, and
// those that have it in any.
func (h *header) called(name string) (same, alike []int) {
	for i, cell := range h.cells {
		cell = strings.TrimSpace(cell)
		if cell == name {
			same = append(same, i)
		}
		if strings.EqualFold(cell, name) {
			alike = append(alike, i)
		}
	}
	return same, alike
}

// given is the index of a column that --columns names, by name or number.
func (h *header) given(name string) (int, error) {
	same, alike := h.called(name)
	switch {
	case len(same) == 1:
		return same[0], nil
	case len(same) == 0 && len(alike) == 1:
		return alike[0], nil
	case len(alike) > 1:
		return -1, fmt.Errorf("--columns: two columns are named as %s (want one of them by its number, from 1)", shorten(name))
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= len(h.cells) {
		return n - 1, nil
	}
	return -1, fmt.Errorf("--columns: the file has no column %s (found %s)", shorten(name), quoteList(h.cells))
}

// matchColumns finds the columns of a bar in a file's header: those that
// --columns names, then ours by name, then those of other programs. Upper and
// lower case are the same; columns that we do not know are ignored. Where no
// ask price is there, open, high, low and close, or the bids, are taken as
// bids. first is the first row; nil: not known.
func matchColumns(cells []string, f *form, first []string) (layout, error) {
	h := newHeader(cells)
	for i, cell := range cells {
		name := strings.ToLower(strings.TrimSpace(cell))
		if h.exact[name] != i && isOurs(name) {
			return layout{}, fmt.Errorf("header: column %q appears twice (want each once)", name)
		}
	}
	l := layout{clock: -1, spread: -1}
	for c := range columnCount {
		l.index[c] = -1
	}
	told := map[string]bool{}
	if err := l.take(&h, f, told); err != nil {
		return layout{}, err
	}
	if err := l.match(&h, told); err != nil {
		return layout{}, err
	}
	if !told["time"] {
		l.joinClock(&h, first)
	}
	if l.spread < 0 {
		l.spread, _ = h.find([]string{"spread"}, []string{"spread"})
	}
	for c := range columnCount {
		if i := l.index[c]; i >= 0 && l.name[c] == "" {
			if l.name[c] = strings.TrimSpace(cells[i]); l.name[c] == "" {
				l.name[c] = fmt.Sprintf("column %d", i+1)
			}
		}
	}
	if l.clock >= 0 {
		l.name[colTime] += "+" + strings.TrimSpace(cells[l.clock])
	}
	return l, nil
}

// take takes the columns that --columns names.
func (l *layout) take(h *header, f *form, told map[string]bool) error {
	for _, m := range f.columns {
		told[m.name] = true
		i, err := h.given(m.file[0])
		if err != nil && len(m.file) == 2 {
			// A name may have a plus itself.
			if whole, werr := h.given(strings.Join(m.file, "+")); werr == nil {
				i, err, m.file = whole, nil, m.file[:1]
			}
		}
		if err != nil {
			return err
		}
		if len(m.file) == 2 {
			if l.clock, err = h.given(m.file[1]); err != nil {
				return err
			}
		}
		switch m.name {
		case "spread":
			l.spread = i
		case "open", "high", "low", "close":
			l.plain, l.bidForm = true, true
			l.index[columnOf("bid_"+m.name)] = i
		default:
			l.index[columnOf(m.name)] = i
		}
	}
	for name := range told {
		if l.plain && (strings.HasPrefix(name, "bid_") || strings.HasPrefix(name, "ask_")) {
			return fmt.Errorf("--columns: %s beside prices without a side (want bid_… and ask_…, or open, high, low, close)", name)
		}
	}
	return nil
}

// match finds the columns that --columns does not name.
func (l *layout) match(h *header, told map[string]bool) error {
	find := func(c column, names, aliases []string) error {
		if l.index[c] >= 0 {
			return nil
		}
		var err error
		l.index[c], err = h.find(names, aliases)
		return err
	}
	for _, c := range []column{colTime, colVolume} {
		if err := find(c, c.names(), c.aliases()); err != nil {
			return err
		}
	}
	if l.index[colTime] < 0 {
		l.index[colTime] = slices.IndexFunc(h.cells, func(cell string) bool { return zoneInName(cell) != "" })
	}
	if l.index[colTime] < 0 {
		l.index[colTime] = h.nameless()
	}
	if !l.plain {
		bids, asks := 0, 0
		for c := colBidOpen; c <= colAskClose; c++ {
			if err := find(c, c.names(), c.aliases()); err != nil {
				return err
			}
			switch {
			case l.index[c] < 0:
			case c < colAskOpen:
				bids++
			default:
				asks++
			}
		}
		l.plain = bids == 0 && asks == 0
		l.bidForm = l.plain || bids == 4 && asks == 0
	}
	var missing []string
	for c := range columnCount {
		name := c.String()
		if l.plain && c >= colBidOpen && c <= colBidClose {
			name = strings.TrimPrefix(name, "bid_")
			if err := find(c, []string{name}, c.plainAliases()); err != nil {
				return err
			}
		}
		if l.index[c] >= 0 || c == colVolume || l.bidForm && c >= colAskOpen && c <= colAskClose {
			continue
		}
		missing = append(missing, name)
	}
	if len(missing) == 0 {
		return nil
	}
	found := make([]string, len(h.cells))
	for i, cell := range h.cells {
		found[i] = strings.ToLower(strings.TrimSpace(cell))
	}
	return fmt.Errorf("header: missing columns %s (found %s; want time, bid_open, bid_high, bid_low, bid_close, ask_open, ask_high, ask_low, ask_close; "+
		"or time, open, high, low, close, whose prices are bids; --columns time=…,open=… names others)",
		strings.Join(missing, ", "), quoteList(found))
}

// nameless is the index of a first column without a name, as that of an index
// is; -1: it has one.
func (h *header) nameless() int {
	if len(h.cells) == 0 {
		return -1
	}
	switch strings.ToLower(strings.TrimSpace(h.cells[0])) {
	case "", "unnamed: 0", "index":
		return 0
	}
	return -1
}

// zoneInName is the zone that the name of a column of times has, as Time (EET);
// empty: it has none.
func zoneInName(name string) string {
	before, zone, ok := strings.Cut(strings.TrimSpace(name), "(")
	switch strings.ToLower(strings.TrimSpace(before)) {
	case "time", "date", "datetime", "timestamp", "local time":
		zone, closed := strings.CutSuffix(zone, ")")
		if zone = strings.TrimSpace(zone); ok && closed {
			return zone
		}
	}
	return ""
}

// isUTC tells whether a zone in a name is UTC's.
func isUTC(zone string) bool {
	return zone == "" || strings.EqualFold(zone, "UTC") || strings.EqualFold(zone, "GMT") || strings.EqualFold(zone, "Etc/UTC")
}

// isCopyRates tells whether the columns are those of MetaTrader's copy_rates, of
// which only it has both volumes. Its numbers count from 1970 by the clock of
// its server.
func isCopyRates(cells []string) bool {
	h := newHeader(cells)
	_, ticks := h.exact["tick_volume"]
	_, lots := h.exact["real_volume"]
	return ticks && lots
}

// joinClock takes a date and a clock in two columns as the time.
func (l *layout) joinClock(h *header, first []string) {
	date, err := h.find(nil, []string{"date", "dtyyyymmdd"})
	clock, cerr := h.find(nil, []string{"time"})
	if err != nil || cerr != nil || date < 0 || clock < 0 || max(date, clock) >= len(first) {
		return
	}
	if isClock(strings.TrimSpace(first[clock])) {
		l.index[colTime], l.clock = date, clock
	}
}

// isClock tells whether a text is the time of a day without the day.
func isClock(s string) bool {
	if n := len(s); n == 4 || n == 6 {
		if _, ok := digits(s); ok {
			return true
		}
	}
	hour, colon, _ := strings.Cut(s, ":")
	_, ok := digits(hour)
	return ok && colon != "" && len(hour) <= 2
}

func isOurs(name string) bool {
	switch name {
	case "open", "high", "low", "close":
		return true
	}
	for c := range columnCount {
		for _, n := range c.names() {
			if n == name {
				return true
			}
		}
	}
	return false
}

// errNoHeader says that a file without a header is not one whose columns are
// known by their number.
var errNoHeader = errors.New("the file has no header line, and its columns are those of no program that is known (want --columns time=1,open=2,…, by number)")

// positional is the layout of a file without a header, by its first row: that
// of MetaTrader, of exchanges' candles, or that --columns gives by number.
func positional(first []string, f *form) (layout, string, error) {
	cells := make([]string, len(first))
	for i := range cells {
		cells[i] = fmt.Sprintf("column %d", i+1)
	}
	if len(f.columns) > 0 {
		l, err := matchColumns(cells, f, nil)
		return l, "", err
	}
	names, whose := positions(first)
	if names == "" {
		return layout{}, "", errNoHeader
	}
	if time := strings.TrimSpace(first[0]); f.zone == nil && formOf(time) == formCompact && len(time) > len("20240102") {
		return layout{}, "", fmt.Errorf("times as %s in a file without a header are HistData's and NinjaTrader's, and not in UTC (want --tz EST for HistData's, which know no daylight saving time; --tz UTC if they are UTC's)", shorten(time))
	}
	own := *f
	for i, name := range strings.Split(names, " ") {
		if name != "-" {
			own.columns = append(own.columns, mapped{name: name, file: []string{strconv.Itoa(i + 1)}})
		}
	}
	if strings.HasPrefix(names, "time - ") {
		own.columns[0].file = []string{"1", "2"}
	}
	l, err := matchColumns(cells, &own, nil)
	return l, whose, err
}

// positions names the columns of a file without a header, by what stands in its
// first row; empty: they are not known.
func positions(first []string) (names, whose string) {
	cell := func(i int) string { return strings.TrimSpace(first[i]) }
	if len(first) < 5 {
		return "", ""
	}
	form := formOf(cell(0))
	switch n := len(first); {
	case form == formNone:
	case isClock(cell(1)) && form != formEpoch && (n == 6 || n == 7 || n == 9):
		return [...]string{"time - open high low close", "time - open high low close volume", "",
			"time - open high low close volume - spread"}[n-6], "MetaTrader"
	case n == 5:
		return "time open high low close", ""
	case n == 6:
		return "time open high low close volume", ""
	case n == 7 && form == formEpoch:
		return "time open high low close volume -", "an exchange's candles"
	case n == 8 && form == formISO:
		return "time open high low close volume - spread", "MetaTrader"
	case (n == 11 || n == 12) && form == formEpoch:
		opens, _, err := parseEpoch(cell(0))
		closes, _, cerr := parseEpoch(cell(6))
		if err == nil && cerr == nil && closes > opens {
			return "time open high low close volume -" + strings.Repeat(" -", n-7), "an exchange's candles"
		}
	}
	return "", ""
}
