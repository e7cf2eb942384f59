package bars

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// rowGroupBars is the size of the row groups that we write: a slice of a
// long data set is then read without decoding all of it.
const rowGroupBars = 64 << 10

// fileRow is a bar as files hold it: the columns of the original's parquet
// in their order, mid prices first. Mid prices are for readers; we compute
// them and never read them.
type fileRow struct {
	Time     int64   `parquet:"time,timestamp(nanosecond),plain"`
	Open     float64 `parquet:"open,dict"`
	High     float64 `parquet:"high,dict"`
	Low      float64 `parquet:"low,dict"`
	Close    float64 `parquet:"close,dict"`
	Volume   float64 `parquet:"volume,dict"`
	BidOpen  float64 `parquet:"bid_open,dict"`
	BidHigh  float64 `parquet:"bid_high,dict"`
	BidLow   float64 `parquet:"bid_low,dict"`
	BidClose float64 `parquet:"bid_close,dict"`
	AskOpen  float64 `parquet:"ask_open,dict"`
	AskHigh  float64 `parquet:"ask_high,dict"`
	AskLow   float64 `parquet:"ask_low,dict"`
	AskClose float64 `parquet:"ask_close,dict"`
}

func newFileRow(b *Bar) fileRow {
	return fileRow{
		Time: b.TimeNS,
		Open: (b.BidOpen + b.AskOpen) / 2, High: b.MidHigh(), Low: b.MidLow(), Close: b.MidClose(),
		Volume:  b.Volume,
		BidOpen: b.BidOpen, BidHigh: b.BidHigh, BidLow: b.BidLow, BidClose: b.BidClose,
		AskOpen: b.AskOpen, AskHigh: b.AskHigh, AskLow: b.AskLow, AskClose: b.AskClose,
	}
}

// pandasMetadata makes pandas.read_parquet take `time` as the index, a UTC
// DatetimeIndex. Its form: the pandas developer guide, "Storing pandas
// DataFrame objects in Apache Parquet format".
func pandasMetadata() string {
	columns := ""
	for _, name := range []string{
		"open", "high", "low", "close", "volume",
		"bid_open", "bid_high", "bid_low", "bid_close",
		"ask_open", "ask_high", "ask_low", "ask_close",
	} {
		columns += fmt.Sprintf(`{"name":%q,"field_name":%q,"pandas_type":"float64","numpy_type":"float64","metadata":null},`, name, name)
	}
	return `{"index_columns":["time"],` +
		`"column_indexes":[{"name":null,"field_name":null,"pandas_type":"unicode","numpy_type":"object","metadata":{"encoding":"UTF-8"}}],` +
		`"columns":[` + columns +
		`{"name":"time","field_name":"time","pandas_type":"datetimetz","numpy_type":"datetime64[ns]","metadata":{"timezone":"UTC"}}],` +
		`"creator":{"library":"gx1replay","version":"1"},"pandas_version":"2.2.0"}`
}

// WriteParquet writes bars as the original's columns: time as a UTC
// timestamp in ns, then 13 columns of doubles, open, high, low and close
// being mid prices; row groups of 65,536 bars, zstd. It does not validate.
func WriteParquet(w io.Writer, bars []Bar) error {
	pw := parquet.NewGenericWriter[fileRow](w,
		parquet.NewSchema("bars", parquet.SchemaOf(fileRow{})),
		parquet.Compression(&parquet.Zstd),
		parquet.DataPageVersion(1), // fastparquet misreads dictionaries of more than 256 values in pages of version 2
		parquet.KeyValueMetadata("pandas", pandasMetadata()),
		parquet.CreatedBy("gx1replay", "1", "bars"))
	rows := make([]fileRow, 0, 4096)
	for i := range bars {
		rows = append(rows, newFileRow(&bars[i]))
		groupEnds := (i+1)%rowGroupBars == 0
		if len(rows) == cap(rows) || groupEnds || i+1 == len(bars) {
			if _, err := pw.Write(rows); err != nil {
				return fmt.Errorf("writing bars up to %d: %w", i+1, err)
			}
			rows = rows[:0]
		}
		if groupEnds {
			if err := pw.Flush(); err != nil {
				return fmt.Errorf("writing bars up to %d: %w", i+1, err)
			}
		}
	}
	if err := pw.Close(); err != nil {
		return fmt.Errorf("writing the footer after %d bars: %w", len(bars), err)
	}
	return nil
}
