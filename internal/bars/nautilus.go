package bars

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// nautilusBars are bars as NautilusTrader keeps them in its catalogue: prices as
// integers of a fixed point, and two times, of which ts_init is the bar's end.
type nautilusBars struct {
	length time.Duration // 0: not known, times are taken as they are
	ends   int           // leaf of ts_init
	initNS []int64
}

// fixed points of NautilusTrader: of numbers of 8 and of 16 bytes.
const (
	nautilusDigits     = 9
	nautilusDigitsHigh = 16
)

// findNautilus knows a file of the catalogue by what it says of itself, and says
// which columns to take.
func (p *parquetColumns) findNautilus(f *parquet.File, told *form) (*form, error) {
	kind, ok := f.Lookup("bar_type")
	h := newHeader(p.header)
	_, hasEvent := h.exact["ts_event"]
	_, hasInit := h.exact["ts_init"]
	if !hasEvent || !hasInit {
		return told, nil
	}
	toldTime := slices.ContainsFunc(told.columns, func(m mapped) bool { return m.name == "time" })
	if !ok && toldTime {
		// Its numbers have a fixed point all the same.
		p.nautilus = &nautilusBars{}
		p.format = "parquet of NautilusTrader, without its note bar_type"
		return told, nil
	}
	if !ok {
		return nil, errors.New("columns ts_event and ts_init without a note bar_type: whether they are a bar's beginning or end is not known (want --columns time=ts_event if they are the beginning)")
	}
	length, side, err := parseBarType(kind)
	if err != nil {
		return nil, err
	}
	p.nautilus = &nautilusBars{length: length}
	p.format = "parquet of NautilusTrader, " + shorten(kind)
	p.notes = append(p.notes, fmt.Sprintf("prices are those of side %s, taken as bids", side))
	p.instrument = kind
	own := *told
	if !toldTime {
		own.columns = append(slices.Clone(told.columns), mapped{name: "time", file: []string{"ts_event"}})
	}
	return &own, nil
}

// parseBarType reads EUR/USD.SIM-5-MINUTE-BID-EXTERNAL.
func parseBarType(s string) (length time.Duration, side string, err error) {
	bad := func(want string) (time.Duration, string, error) {
		return 0, "", fmt.Errorf("bar_type %s (want %s)", shorten(s), want)
	}
	s, _, _ = strings.Cut(s, "@") // of what the bars were made
	parts := strings.Split(s, "-")
	if len(parts) < 5 {
		return bad("INSTRUMENT-STEP-UNIT-SIDE-SOURCE")
	}
	parts = parts[len(parts)-4:]
	step, err := strconv.ParseInt(parts[0], 10, 32)
	unit, ok := map[string]time.Duration{"SECOND": time.Second, "MINUTE": time.Minute, "HOUR": time.Hour,
		"DAY": 24 * time.Hour, "WEEK": 7 * 24 * time.Hour, "MILLISECOND": time.Millisecond}[parts[1]]
	if err != nil || step < 1 || !ok {
		return bad("bars of a time, as 5-MINUTE")
	}
	if parts[2] == "ASK" {
		return bad("bars of bids, mid or last prices: prices of one side are taken as bids")
	}
	return time.Duration(step) * unit, parts[2], nil
}

// open finds what else is needed of the file.
func (n *nautilusBars) open(columns []*parquet.Column, p *parquetColumns) error {
	if n == nil || n.length == 0 {
		return nil
	}
	for _, c := range columns {
		if c.Name() == "ts_init" && c.Leaf() && c.Type().Kind() == parquet.Int64 {
			n.ends = c.Index()
			p.used = append(p.used, n.ends)
			p.time.unitNS = 1
			return nil
		}
	}
	return errors.New("column ts_init: not a number since 1970 (want one)")
}

// pages reads numbers of a fixed point; nil: the column has others.
func (n *nautilusBars) pages(t parquet.Type, _ column) numberPages {
	switch {
	case t.Kind() == parquet.FixedLenByteArray && (t.Length() == 8 || t.Length() == 16):
		digits := nautilusDigits
		if t.Length() == 16 {
			digits = nautilusDigitsHigh
		}
		return func(dst []float64, v encoding.Values, _ int) []float64 {
			data, size := v.FixedLenByteArray()
			for ; size > 0 && len(data) >= size; data = data[size:] {
				dst = append(dst, fixedPoint(data[:size], digits))
			}
			return dst
		}
	case t.Kind() == parquet.Int64:
		return decimals(parquet.Int64, nautilusDigits)
	}
	return nil
}

// fixedPoint is a little-endian number of so many digits behind the point.
func fixedPoint(b []byte, digits int) float64 {
	hi, lo := littleEndian(b)
	if hi == 0 && lo>>63 == 0 || hi == -1 && lo>>63 == 1 {
		v := int64(lo)
		for digits > 0 && v%10 == 0 && v != 0 {
			v /= 10
			digits--
		}
		return decimalFloat(v, digits)
	}
	v := new(big.Int).Lsh(big.NewInt(hi), 64)
	v.Add(v, new(big.Int).SetUint64(lo))
	return parseScaled(v.String(), digits)
}

// readEnds appends the ts_init of a row group of rows bars.
func (n *nautilusBars) readEnds(chunks []parquet.ColumnChunk, rows int) error {
	if n.length == 0 {
		return nil
	}
	appendWhole := func(dst []int64, v encoding.Values, _ int) []int64 { return append(dst, v.Int64()...) }
	return eachValue(chunks[n.ends], appendWhole, rows, func(_ int, t int64, _ bool) error {
		n.initNS = append(n.initNS, t)
		return nil
	})
}

// settle makes the time of each bar its beginning. ts_init is its end; ts_event
// may be either.
func (n *nautilusBars) settle(bars []Bar, p *parquetColumns) error {
	if n.length == 0 {
		return nil
	}
	ends := 0
	for i := range bars {
		switch after := n.initNS[i] - bars[i].TimeNS; {
		case bars[i].TimeNS == nullTime:
		case after == 0:
			ends++
		case after != int64(n.length):
			return fmt.Errorf("row %d: ts_init is %v after ts_event (want 0, or the bar's length, %v)", i+1, time.Duration(after), n.length)
		}
	}
	switch {
	case ends == 0:
		p.notes = append(p.notes, "ts_event is the beginning of each bar")
	case ends == len(bars):
		p.notes = append(p.notes, fmt.Sprintf("ts_event is the end of each bar: times are %v before it", n.length))
		for i := range bars {
			bars[i].TimeNS -= int64(n.length)
		}
	default:
		return fmt.Errorf("ts_event is the end of %d bars and the beginning of %d (want one of both)", ends, len(bars)-ends)
	}
	return nil
}
