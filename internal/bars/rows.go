package bars

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// rowsReader makes bars of the rows of a text.
type rowsReader struct {
	*text
	time   timeReader
	volume bool // some cell has a volume
	// noVolume is the first row without one.
	noVolume *CellError
	factor   float64 // ask/bid where a spread is assumed, else 0
	point    float64 // of spreads in points, else 0
	symbol   symbolWatch
}

// readText reads the bars of a text.
func readText(t *text, opt ReadOptions, f *form) (Set, error) {
	r := rowsReader{text: t, time: newTimeReader(f)}
	t.layout.copyRates = isCopyRates(t.header)
	r.time.server = t.layout.copyRates
	var set Set
	var err error
	if set.SpreadBps, r.factor, r.point, err = t.layout.prices(opt, f); err != nil {
		return Set{}, err
	}
	set.SpreadAssumed = t.layout.assumesSpread(r.point)
	if err := t.layout.checkZone(f); err != nil {
		return Set{}, err
	}
	var extra textColumns
	if opt.Extra {
		extra = newTextColumns(&t.layout, t.header)
	}
	r.symbol = newSymbolWatch(t.header)
	raw := rawBars{layout: &t.layout}
	var stopped error // what ended the reading
	for record, line := t.first, t.line; record != nil; {
		var b Bar
		bad, err := r.parse(&b, record)
		switch {
		case bad != nil:
			bad.Row, bad.Line = int64(len(raw.bars)+raw.unreadable+1), line
			if opt.tolerant {
				raw.skip(bad)
			} else {
				stopped = bad
			}
		case errors.As(err, new(*fieldsError)) && opt.tolerant:
			raw.skip(fmt.Errorf("%s: %w", place(line, len(raw.bars)+raw.unreadable+1), err))
		case err != nil:
			stopped = fmt.Errorf("%s: %w", place(line, len(raw.bars)+1), err)
		default:
			raw.add(b, line)
			extra.add(record)
		}
		if stopped != nil {
			break
		}
		record, err = t.rows.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			stopped = fmt.Errorf("reading bar %d: %w", len(raw.bars)+1, err)
			break
		}
		line = t.rows.line()
	}
	set.Bars = raw.bars
	set.Read = Reading{Form: opt.Form, Format: t.format, Columns: t.layout.describe()}
	if err := r.settle(&raw, stopped, f.repairs); err != nil {
		return Set{}, err
	}
	set.Read.Time = r.time.describe()
	r.note(&set, f)
	return finish(set, raw, opt, f, extra.columns)
}

// prices says how the prices of a file are to be taken.
func (l *layout) prices(opt ReadOptions, f *form) (spreadBps, factor, point float64, err error) {
	switch {
	case f.point > 0 && !l.bidForm:
		return 0, 0, 0, errors.New("--point: the file has ask prices (want a file with one price and a column of spreads)")
	case f.point > 0 && l.spread < 0:
		return 0, 0, 0, errors.New("--point: the file has no column of spreads (want one named spread, or --columns spread=…)")
	case f.point > 0:
		return 0, 0, f.point, nil
	case !l.bidForm:
		return 0, 0, 0, nil
	}
	spreadBps, err = opt.spreadBps()
	return spreadBps, 1 + spreadBps/1e4, 0, err
}

// assumesSpread reports whether asks are made of bids by a spread that is assumed,
// which may be 0.
func (l *layout) assumesSpread(point float64) bool { return l.bidForm && point == 0 }

// checkZone refuses a column whose name says that its times are not UTC's,
// unless a zone is given.
func (l *layout) checkZone(f *form) error {
	if zone := zoneInName(l.name[colTime]); f.zone == nil && !isUTC(zone) {
		return fmt.Errorf("column %s: its times are not in UTC (want --tz %s)", l.name[colTime], zone)
	}
	return nil
}

// checkLocal refuses local times without an offset, unless a zone is given.
func (l *layout) checkLocal(z *zone, zoned bool) error {
	if z == nil && !zoned && squeezed(l.name[colTime]) == "localtime" {
		return fmt.Errorf("column %s: its times are not in UTC (want --tz with the zone of the clock that wrote them)", l.name[colTime])
	}
	return nil
}

func newTimeReader(f *form) timeReader {
	t := timeReader{given: f.layout, zone: f.zone}
	if f.layout != nil {
		t.form = formGiven
	}
	return t
}

// parse makes a bar of a row. The error of a cell has no place yet.
func (r *rowsReader) parse(b *Bar, record []string) (*CellError, error) {
	if len(record) != len(r.header) {
		return nil, &fieldsError{len(record), len(r.header)}
	}
	if err := r.symbol.see(record); err != nil {
		return nil, err
	}
	l := &r.layout
	bad := func(c column, cell string, want error) *CellError {
		return &CellError{Column: l.name[c], Value: shorten(cell), Want: want.Error()}
	}
	cell := strings.TrimSpace(record[l.index[colTime]])
	if l.clock >= 0 {
		cell += " " + strings.TrimSpace(record[l.clock])
	}
	var err error
	if b.TimeNS, err = r.time.read(cell); err != nil {
		return bad(colTime, cell, err), nil
	}
	for c := colBidOpen; c < columnCount; c++ {
		i := l.index[c]
		if i < 0 {
			continue
		}
		cell := strings.TrimSpace(record[i])
		if c == colVolume && isMissing(cell) {
			if r.noVolume == nil {
				r.noVolume = bad(c, cell, errNumber)
				r.noVolume.Row, r.noVolume.Line = int64(r.time.rows), r.rows.line()
			}
			continue
		}
		v, err := r.number.parse(cell)
		if err != nil {
			r.time.dropLast()
			return bad(c, cell, err), nil
		}
		*c.float(b) = v
		if c == colVolume {
			r.volume = true
		}
	}
	switch {
	case r.point > 0:
		cell := strings.TrimSpace(record[l.spread])
		points, err := r.number.parse(cell)
		if err != nil {
			r.time.dropLast()
			return &CellError{Column: strings.TrimSpace(r.header[l.spread]), Value: shorten(cell), Want: err.Error()}, nil
		}
		b.addSpread(float64(points * r.point))
	case r.factor > 0:
		b.assumeSpread(r.factor)
	}
	return nil, nil
}

// fieldsError is a row of another number of fields than the header has.
type fieldsError struct{ got, want int }

func (e *fieldsError) Error() string {
	return fmt.Sprintf("%d fields (want %d as in the header)", e.got, e.want)
}

// isMissing tells whether a cell of a volume has none. NaN is what pandas has
// where a number is missing.
func isMissing(cell string) bool { return cell == "" || strings.EqualFold(cell, "nan") || isNA(cell) }

// assumeSpread makes asks of bids.
func (b *Bar) assumeSpread(factor float64) {
	// The conversions keep the products from being fused into a sum.
	b.AskOpen, b.AskHigh = float64(b.BidOpen*factor), float64(b.BidHigh*factor)
	b.AskLow, b.AskClose = float64(b.BidLow*factor), float64(b.BidClose*factor)
}

func (b *Bar) addSpread(spread float64) {
	b.AskOpen, b.AskHigh = b.BidOpen+spread, b.BidHigh+spread
	b.AskLow, b.AskClose = b.BidLow+spread, b.BidClose+spread
}

// settle decides what only the whole file tells. The error is the first that
// the file has; stopped is what ended the reading.
func (r *rowsReader) settle(raw *rawBars, stopped error, repairs Repairs) error {
	if len(raw.bars) == 0 {
		if stopped != nil || raw.unreadable > 0 {
			return stopped
		}
		return ErrEmpty
	}
	err := r.time.settle(raw.bars, raw.at)
	if err == nil {
		err = r.layout.checkLocal(r.time.zone, !r.time.zoned[0])
	}
	if err != nil {
		if stopped != nil {
			return stopped // what was read is not the whole file
		}
		return err
	}
	if stopped != nil {
		// Of what repairs put right nothing is to be said.
		if cell := firstBad(raw.bars); cell != nil && repairs == 0 {
			raw.place(cell)
			return cell
		}
		return stopped
	}
	if r.noVolume != nil && r.volume {
		return r.noVolume
	}
	return r.number.settle()
}

// note says what a user of the set should know of how it was read.
func (r *rowsReader) note(set *Set, f *form) {
	set.NoVolume, set.instrument = !r.volume, r.symbol.first
	if r.number.mark == ',' {
		set.Read.Format += ", decimal commas"
	}
	set.Read.noteVolume(set.NoVolume)
	if r.layout.spread >= 0 {
		set.Read.noteSpread(strings.TrimSpace(r.header[r.layout.spread]), f.point)
	}
	switch {
	case f.zone == nil && (!r.time.zoned[1] && strings.HasSuffix(r.format, "as MetaTrader") || r.layout.clock >= 0 || r.time.server && (r.time.form == formEpoch || !r.time.zoned[1])):
		set.Read.Notes = append(set.Read.Notes, noteServer)
	case r.time.zoned[1]:
		set.Read.noteZone(f.zone)
	}
}

// symbolWatch sees whether the rows are those of several instruments, whose
// prices in one row make trades of nothing.
type symbolWatch struct {
	index int // -1: nothing to see
	first string
}

func newSymbolWatch(header []string) symbolWatch {
	h := newHeader(header)
	i, err := h.find(nil, instrumentNames())
	if err != nil {
		i = -1 // two columns of one name: neither names the instrument for sure
	}
	return symbolWatch{index: i}
}

// instrumentNames are names of columns with the instrument.
func instrumentNames() []string { return []string{"ticker", "symbol", "instrument", "pair"} }

func (w *symbolWatch) see(record []string) error {
	if w.index < 0 {
		return nil
	}
	return w.name(record[w.index])
}

// name takes the name of a row's instrument.
func (w *symbolWatch) name(s string) error {
	switch w.first {
	case s:
		return nil
	case "":
		w.first = strings.Clone(s)
		return nil
	}
	return errInstruments(w.first, s)
}

func errInstruments(a, b string) error {
	return fmt.Errorf("rows of %s and of %s (want one instrument; without the column that names them they are taken as one)", shorten(a), shorten(b))
}

// rawBars are the rows of a file before they are judged.
type rawBars struct {
	bars   []Bar
	layout *layout
	lines  []lineStep // where lines and rows part
	order  []int      // where each bar stood in the file; nil: where it stands
	// nulls is the first null of each column, a row from 1; 0: none.
	nulls      [columnCount]int64
	unreadable int
	cells      []error // the first that could not be read
	// parts are the files that the bars are of, if they are of several.
	parts   []rawPart
	refused error // why the parts make no data set
}

// rawPart is a file of several: its bars begin with row first.
type rawPart struct {
	first int
	name  string
	raw   *rawBars
}

// lineStep says that from row on, from 0, a row's line is row + ahead.
type lineStep struct{ row, ahead int }

func (r *rawBars) add(b Bar, line int) {
	if line > 0 {
		ahead := line - len(r.bars)
		if n := len(r.lines); n == 0 || r.lines[n-1].ahead != ahead {
			r.lines = append(r.lines, lineStep{len(r.bars), ahead})
		}
	}
	r.bars = append(r.bars, b)
}

// skip leaves out a row that cannot be read.
func (r *rawBars) skip(bad error) {
	r.unreadable++
	if len(r.cells) < listed {
		r.cells = append(r.cells, bad)
	}
}

// line is that of a row, from 0; 0: it has none.
func (r *rawBars) line(row int) int {
	for i := len(r.lines) - 1; i >= 0; i-- {
		if r.lines[i].row <= row {
			return row + r.lines[i].ahead
		}
	}
	return 0
}

// at names the place of a row, from 0.
func (r *rawBars) at(row int) string {
	for i := len(r.parts) - 1; i >= 0; i-- {
		if p := r.parts[i]; p.first <= row {
			return p.name + " " + p.raw.at(row-p.first)
		}
	}
	if line := r.line(row); line > 0 {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("row %d", row+1)
}

// place gives an error the line and the names of the file.
func (r *rawBars) place(e *CellError) {
	e.Line = r.line(int(e.Row) - 1)
	for c := range columnCount {
		if e.Column == c.String() && r.nulls[c] == e.Row {
			e.Value = "null"
		}
	}
	if r.layout != nil {
		r.layout.asInFile(e)
	}
}

// place names a row of a text by its line, and its bar, from 1.
func place(line, bar int) string {
	if line > 0 {
		return fmt.Sprintf("line %d (bar %d)", line, bar)
	}
	return fmt.Sprintf("row %d", bar)
}

// firstBad is the first cell that is not what it must be.
func firstBad(bars []Bar) *CellError {
	var c checker
	for i := range bars {
		if err := c.next(&bars[i]); err != nil {
			return err
		}
	}
	return nil
}
