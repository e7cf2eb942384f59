package bars

import (
	"fmt"
	"io"
	"math"
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
	// Form says how a file is to be read. The zero Form leaves it to its content.
	Form Form
	// tolerant keeps what is wrong instead of refusing it; see Inspect.
	tolerant bool
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

// ReadCSV reads bars as text in columns. How the text is written (its encoding,
// its separator, whether it has a header, how it writes times) is found in it
// or said by opt.Form. Columns are found by name, upper or lower case, in any
// order: time, bid_… and ask_… open, high, low, close; or one price, open,
// high, low and close, which are bids; and a volume, 0 where there is none.
// Names of other programs are known, too; where both volumes are there `volume`
// counts; other columns are ignored. The bars are valid (Validate); spreadBps
// is the spread that was assumed, 0 where the file has bid and ask. Errors of a
// cell are a *CellError with its line.
func ReadCSV(r io.Reader, opt ReadOptions) (bars []Bar, spreadBps float64, err error) {
	opt.Extra = false
	set, err := readCSV(r, opt)
	return set.Bars, set.SpreadBps, err
}

func readCSV(r io.Reader, opt ReadOptions) (Set, error) {
	f, err := opt.Form.compile()
	if err != nil {
		return Set{}, err
	}
	t, err := openCSV(r, &f)
	if err != nil {
		return Set{}, err
	}
	return readText(t, opt, &f)
}

// WriteCSV writes bars as the 14 columns of the parquet form: time in
// RFC 3339 with +00:00, mid prices, volume, bid and ask prices, each number
// as the shortest text that reads back the same. It does not validate.
func WriteCSV(w io.Writer, bars []Bar) error {
	cw, err := NewCSVWriter(w, nil, formatTime)
	if err == nil {
		err = cw.Write(bars, nil)
	}
	if err != nil {
		return err
	}
	return cw.Close()
}
