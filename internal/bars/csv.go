package bars

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// DefaultSpreadBps is the spread that is assumed for files without one, in
// 1/10,000 of the bid: a usual retail spread of gold (about 0.40 at 2,000).
const DefaultSpreadBps = 2.0

// ReadOptions say what a file itself does not.
type ReadOptions struct {
	// SpreadBps is the spread assumed where the file has one price only,
	// ask = bid · (1 + SpreadBps/10^4): finite, 0 or more; nil means
	// DefaultSpreadBps. Files with bid and ask make no use of it.
	SpreadBps *float64
	// Extra keeps the columns that are none of a bar's (Set.Extra).
	Extra bool
}

func (o ReadOptions) spreadBps() (float64, error) {
	if o.SpreadBps == nil {
		return DefaultSpreadBps, nil
	}
	if v := *o.SpreadBps; !(v >= 0 && v <= math.MaxFloat64) {
		return 0, fmt.Errorf("assumed spread: %s bps (want a finite number, 0 or more)", formatFloat(v))
	}
	return *o.SpreadBps, nil
}

// ReadCSV reads comma-separated bars under a header line: either time,
// bid_… and ask_… open, high, low, close, and volume; or MetaTrader's six,
// time, open, high, low, close and tick_volume, whose prices are bids. Both
// are found by name, upper or lower case, in any order; where both volumes
// are there `volume` counts; other columns are ignored. Times are
// YYYY-MM-DD HH:MM:SS or RFC 3339, in UTC. A UTF-8 byte order mark and CRLF
// are accepted. The bars are valid (Validate); spreadBps is the spread that
// was assumed, 0 where the file has bid and ask. Errors of a cell are a
// *CellError with its line.
func ReadCSV(r io.Reader, opt ReadOptions) (bars []Bar, spreadBps float64, err error) {
	opt.Extra = false
	set, err := readCSV(r, opt)
	return set.Bars, set.SpreadBps, err
}

func readCSV(r io.Reader, opt ReadOptions) (Set, error) {
	br := bufio.NewReaderSize(r, 1<<18)
	switch mark, _ := br.Peek(3); {
	case len(mark) == 3 && mark[0] == 0xEF && mark[1] == 0xBB && mark[2] == 0xBF:
		_, _ = br.Discard(3)
	case len(mark) >= 2 && (mark[0] == 0xFF && mark[1] == 0xFE || mark[0] == 0xFE && mark[1] == 0xFF):
		return Set{}, errors.New("the text is UTF-16 (want UTF-8)")
	}
	cr := csv.NewReader(br)
	cr.ReuseRecord = true
	cr.FieldsPerRecord = -1 // counted below, where bar and line are known
	header, err := cr.Read()
	if errors.Is(err, io.EOF) {
		return Set{}, fmt.Errorf("no header line: %w", ErrEmpty)
	}
	if err != nil {
		return Set{}, fmt.Errorf("reading the header: %w", err)
	}
	l, err := matchColumns(header, true)
	if err != nil {
		if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
			err = fmt.Errorf("%w; columns are separated by commas", err)
		}
		return Set{}, err
	}
	fields := len(header)
	var set Set
	factor := 0.0
	if l.bidForm {
		if set.SpreadBps, err = opt.spreadBps(); err != nil {
			return Set{}, err
		}
		set.SpreadAssumed = true
		factor = 1 + set.SpreadBps/1e4
	}
	var extra textColumns
	if opt.Extra {
		extra = newTextColumns(&l, header)
	}
	var c checker
	for {
		record, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Set{}, fmt.Errorf("reading bar %d: %w", len(set.Bars)+1, err)
		}
		if len(record) != fields {
			line, _ := cr.FieldPos(0)
			return Set{}, fmt.Errorf("line %d (bar %d): %d fields (want %d as in the header)", line, len(set.Bars)+1, len(record), fields)
		}
		b, bad := l.parse(record, factor)
		if bad == nil {
			if bad = c.next(&b); bad != nil {
				l.asInFile(bad)
			}
		}
		if bad != nil {
			bad.Row = int64(len(set.Bars)) + 1
			bad.Line, _ = cr.FieldPos(0)
			return Set{}, bad
		}
		set.Bars = append(set.Bars, b)
		extra.add(record)
	}
	if len(set.Bars) == 0 {
		return Set{}, ErrEmpty
	}
	set.Extra, set.ExtraSkipped = extra.columns(set.Bars)
	return set, nil
}

// parse makes a bar of a line. In the bid form factor is ask/bid.
func (l *layout) parse(record []string, factor float64) (Bar, *CellError) {
	var b Bar
	for c := range columnCount {
		i := l.index[c]
		if i < 0 {
			continue
		}
		cell := strings.TrimSpace(record[i])
		bad := func(want string) (Bar, *CellError) {
			return Bar{}, &CellError{Column: l.name[c], Value: shorten(cell), Want: want}
		}
		if c == colTime {
			ns, err := parseTime(cell)
			if err != nil {
				return bad(err.Error())
			}
			b.TimeNS = ns
			continue
		}
		v, err := strconv.ParseFloat(cell, 64)
		switch {
		case err != nil && errors.Is(err, strconv.ErrRange):
			return bad("a finite number")
		case err != nil:
			return bad("a number")
		}
		*c.float(&b) = v
	}
	if l.bidForm {
		// The conversions keep the products from being fused into a sum.
		b.AskOpen, b.AskHigh = float64(b.BidOpen*factor), float64(b.BidHigh*factor)
		b.AskLow, b.AskClose = float64(b.BidLow*factor), float64(b.BidClose*factor)
	}
	return b, nil
}

// WriteCSV writes bars as the 14 columns of the parquet form: time in
// RFC 3339 with +00:00, mid prices, volume, bid and ask prices, each number
// as the shortest text that reads back the same. It does not validate.
func WriteCSV(w io.Writer, bars []Bar) error {
	bw := bufio.NewWriterSize(w, 1<<18)
	_, _ = bw.WriteString("time,open,high,low,close,volume,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close\n")
	var line []byte
	for i := range bars {
		line = append(line[:0], formatTime(bars[i].TimeNS)...)
		for _, v := range newFileRow(&bars[i]).floats() {
			line = append(line, ',')
			line = strconv.AppendFloat(line, v, 'g', -1, 64)
		}
		line = append(line, '\n')
		if _, err := bw.Write(line); err != nil {
			return fmt.Errorf("writing bar %d: %w", i+1, err)
		}
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("writing %d bars: %w", len(bars), err)
	}
	return nil
}
