package bars

import (
	"fmt"
	"math"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetColumns is where and how a file holds a bar's values.
type parquetColumns struct {
	layout layout
	header []string
	format string
	notes  []string
	used   []int // the leaves that are read

	leaves  [columnCount]int // index of the column chunk in a row group; -1: none
	numbers [columnCount]numberPages
	nulls   [columnCount]int64 // row (from 1) of the first null, 0: none

	time     timePages
	times    timeReader // of texts
	unreadAt int        // first row, from 1, whose text is no time; 0: none
	unread   *CellError
	spread   int // leaf of the spreads, if they are taken
	spreads  numberPages
	points   []float64
	factor   float64 // ask/bid where a spread is assumed, else 0
	point    float64
	nautilus *nautilusBars

	symbols    symbolWatch
	symbol     int    // leaf of the instruments' names; -1: none
	instrument string // that the file names
}

// timePages says how the pages of a time column are to be read.
type timePages struct {
	kind   timeKind
	unitNS int64
	zoned  bool // its instants are clear
	number bool // of no type but a number's
}

type timeKind int

const (
	timeStamps timeKind = iota // a number of unitNS; 0: the unit is told by its size
	timeDates                  // days
	timeInt96                  // a day and the ns of it
	timeTexts
)

// newParquetColumns finds a bar's columns in a file.
func newParquetColumns(f *parquet.File, form *form) (*parquetColumns, error) {
	columns := f.Root().Columns()
	p := &parquetColumns{header: make([]string, len(columns)), format: "parquet", spread: -1, times: newTimeReader(form)}
	for i, c := range columns {
		p.header[i] = c.Name()
		if c.Name() == "__index_level_0__" && c.Leaf() {
			if _, err := timePagesOf(c.Type(), form); err != nil || timestampUnit(c.Type().LogicalType()) == 0 {
				p.header[i] = "" // an index that counts rows: any name beats it
			}
		}
	}
	own, err := p.findNautilus(f, form)
	if err != nil {
		return nil, err
	}
	if p.layout, err = matchColumns(p.header, own, nil); err != nil {
		return nil, err
	}
	leafOf := func(at int, name string) (*parquet.Column, error) {
		leaf := columns[at]
		if !leaf.Leaf() || leaf.Repeated() {
			return nil, fmt.Errorf("column %s: a nested column (want one value per row)", name)
		}
		p.used = append(p.used, leaf.Index())
		return leaf, nil
	}
	for c := range columnCount {
		p.leaves[c] = -1
		if p.layout.index[c] < 0 {
			continue
		}
		leaf, err := leafOf(p.layout.index[c], p.layout.name[c])
		if err != nil {
			return nil, err
		}
		p.leaves[c] = leaf.Index()
		if c == colTime {
			if p.time, err = timePagesOf(leaf.Type(), form); err != nil {
				return nil, fmt.Errorf("column %s: %w", p.layout.name[c], err)
			}
			continue
		}
		if p.numbers[c], err = p.numberPagesOf(leaf.Type(), c); err != nil {
			return nil, fmt.Errorf("column %s: %w", p.layout.name[c], err)
		}
	}
	if p.layout.spread >= 0 && form.point > 0 {
		name := p.header[p.layout.spread]
		leaf, err := leafOf(p.layout.spread, name)
		if err != nil {
			return nil, err
		}
		p.spread = leaf.Index()
		if p.spreads, err = p.numberPagesOf(leaf.Type(), colVolume); err != nil {
			return nil, fmt.Errorf("column %s: %w", name, err)
		}
	}
	if p.layout.copyRates = isCopyRates(p.header); p.layout.copyRates && p.time.number && form.zone != nil {
		p.time.zoned = false
	}
	p.watchSymbols(columns)
	return p, p.nautilus.open(columns, p)
}

// watchSymbols finds a column with the names of instruments.
func (p *parquetColumns) watchSymbols(columns []*parquet.Column) {
	p.symbols, p.symbol = newSymbolWatch(p.header), -1
	if i := p.symbols.index; i >= 0 && columns[i].Leaf() && !columns[i].Repeated() &&
		columns[i].Type().Kind() == parquet.ByteArray && isText(columns[i].Type().LogicalType()) {
		p.symbol = columns[i].Index()
		p.used = append(p.used, p.symbol)
	}
}

// timestampUnit is the number of ns in the unit of a timestamp, 0 for any
// other type.
func timestampUnit(t *format.LogicalType) int64 {
	if t == nil {
		return 0
	}
	ts, ok := t.Value.(*format.TimestampType)
	if !ok {
		return 0
	}
	switch ts.Unit.Value.(type) {
	case *format.NanoSeconds:
		return 1
	case *format.MicroSeconds:
		return 1e3
	case *format.MilliSeconds:
		return 1e6
	}
	return 0
}

// timePagesOf says how a column of type t holds times.
func timePagesOf(t parquet.Type, form *form) (timePages, error) {
	logical := t.LogicalType()
	refused := fmt.Errorf("%s (want a timestamp of ns, us or ms, a date, a number since 1970, or a text)", t)
	if unit := timestampUnit(logical); unit != 0 {
		if form.layout != nil {
			return timePages{}, fmt.Errorf("%s with --time-format (want that for texts and numbers only)", t)
		}
		ts, ok := logical.Value.(*format.TimestampType)
		return timePages{unitNS: unit, zoned: ok && ts.IsAdjustedToUTC}, nil
	}
	switch t.Kind() {
	case parquet.Int96:
		return timePages{kind: timeInt96}, nil
	case parquet.ByteArray:
		if isText(logical) {
			return timePages{kind: timeTexts}, nil
		}
	case parquet.Int32, parquet.Int64:
		if logical == nil || isInteger(logical) {
			p := timePages{zoned: true, number: true}
			if form.layout != nil {
				if p.unitNS = form.layout.unitNS; p.unitNS == 0 {
					return timePages{}, fmt.Errorf("%s with --time-format %s (want s, ms, us or ns for numbers)", t, shorten(form.layout.text))
				}
			}
			return p, nil
		}
		if _, ok := logical.Value.(*format.DateType); ok {
			return timePages{kind: timeDates}, nil
		}
	}
	return timePages{}, refused
}

func isText(logical *format.LogicalType) bool {
	if logical == nil {
		return false
	}
	switch logical.Value.(type) {
	case *format.StringType, *format.EnumType:
		return true
	}
	return false
}

func isInteger(logical *format.LogicalType) bool {
	_, ok := logical.Value.(*format.IntType)
	return ok
}

// settle makes bars of what the columns hold.
func (p *parquetColumns) settle(raw *rawBars, form *form) error {
	bars := raw.bars
	if p.nautilus != nil {
		if err := p.nautilus.settle(bars, p); err != nil {
			return err
		}
	}
	if p.time.kind == timeStamps && p.time.unitNS == 0 {
		for i := range bars {
			v := bars[i].TimeNS
			if v == nullTime {
				continue
			}
			unit := epochUnit(v)
			if unit < 0 {
				return &CellError{Row: int64(i) + 1, Column: p.layout.name[colTime], Value: fmt.Sprint(v), Want: errTimeNumber.Error()}
			}
			p.times.units[unit] = true
			bars[i].TimeNS = v * epochUnits[unit].ns
		}
	}
	if p.unread != nil {
		if cell := firstBad(bars[:p.unreadAt-1]); cell != nil && p.times.form != formDayMonth && form.repairs == 0 {
			raw.place(cell)
			return cell
		}
		return p.unread
	}
	switch {
	case p.time.kind == timeTexts:
		if err := p.times.settle(bars, raw.at); err != nil {
			return err
		}
	case form.zone != nil && !p.time.zoned:
		if err := form.zone.toUTC(bars, raw.at); err != nil {
			return err
		}
	}
	if err := p.layout.checkLocal(form.zone, p.instants()); err != nil {
		return err
	}
	for i := range bars {
		switch {
		case p.point > 0:
			bars[i].addSpread(float64(p.points[i] * p.point))
		case p.factor > 0:
			bars[i].assumeSpread(p.factor)
		default:
			return nil
		}
	}
	return nil
}

// instants tells whether the times are clear without a zone.
func (p *parquetColumns) instants() bool {
	if p.time.kind == timeTexts {
		return !p.times.zoned[0]
	}
	return p.time.zoned
}

// note says what a user of the set should know of how it was read.
func (p *parquetColumns) note(set *Set, form *form) {
	set.Read.noteVolume(set.NoVolume)
	if p.layout.spread >= 0 {
		set.Read.noteSpread(p.header[p.layout.spread], form.point)
	}
	switch instants := p.instants(); {
	case p.layout.copyRates && form.zone == nil && (p.time.number || !instants):
		set.Read.Notes = append(set.Read.Notes, noteServer)
	case instants:
		set.Read.noteZone(form.zone)
	}
}

// settleVolume tells whether no row has a volume, and makes it 0 then.
func (p *parquetColumns) settleVolume(bars []Bar) (none bool) {
	if p.leaves[colVolume] < 0 {
		return true
	}
	for i := range bars {
		if !math.IsNaN(bars[i].Volume) {
			return false
		}
	}
	for i := range bars {
		bars[i].Volume = 0
	}
	return true
}

// describeTime says how times were read.
func (p *parquetColumns) describeTime(form *form) string {
	var text string
	switch p.time.kind {
	case timeTexts:
		return "texts, " + p.times.describe()
	case timeDates:
		text = "dates"
	case timeInt96:
		text = "INT96"
	default:
		if p.time.unitNS == 0 || form.layout != nil {
			t := p.times
			t.form = formEpoch
			if form.layout != nil {
				t.form = formGiven
			}
			t.zoned[0] = form.zone != nil && !p.time.zoned
			return strings.TrimSuffix(t.describe(), ", taken as UTC")
		}
		text = "timestamps"
	}
	switch {
	case p.time.zoned:
		return text + " in UTC"
	case form.zone != nil:
		return text + ", " + form.zone.name + " turned into UTC"
	}
	return text + " without a zone, taken as UTC"
}
