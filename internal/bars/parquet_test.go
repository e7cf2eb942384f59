package bars

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"
)

func readParquet(content []byte) ([]Bar, error) {
	return ReadParquet(bytes.NewReader(content), int64(len(content)))
}

func writeParquet(t testing.TB, bars []Bar) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteParquet(&out, bars); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// table is a parquet file in the making: a value a row and column.
type table struct {
	names   []string
	nodes   []parquet.Node
	rows    [][]any // nil is a null
	options []parquet.WriterOption
}

// pandasTable is what pandas makes of a data frame with a UTC time index: optional
// columns, the index last, one row group, snappy.
func pandasTable(bars []Bar) *table {
	double := parquet.Optional(parquet.Leaf(parquet.DoubleType))
	t := &table{options: []parquet.WriterOption{
		parquet.Compression(&parquet.Snappy),
		parquet.KeyValueMetadata("pandas", noteOfBars()),
	}}
	for _, name := range strings.Split("open high low close volume bid_open bid_high bid_low bid_close ask_open ask_high ask_low ask_close", " ") {
		t.names, t.nodes = append(t.names, name), append(t.nodes, double)
	}
	t.names, t.nodes = append(t.names, "time"), append(t.nodes, parquet.Optional(parquet.Timestamp(parquet.Nanosecond)))
	for i := range bars {
		var row []any
		for _, v := range newFileRow(&bars[i]).floats() {
			row = append(row, v)
		}
		t.rows = append(t.rows, append(row, bars[i].TimeNS))
	}
	return t
}

func (t *table) column(name string) int { return slices.Index(t.names, name) }

// change makes another type and other values of a column.
func (t *table) change(name string, node parquet.Node, value func(any) any) {
	c := t.column(name)
	t.nodes[c] = node
	for _, row := range t.rows {
		row[c] = value(row[c])
	}
}

func (t *table) drop(name string) {
	c := t.column(name)
	t.names, t.nodes = slices.Delete(t.names, c, c+1), slices.Delete(t.nodes, c, c+1)
	for i, row := range t.rows {
		t.rows[i] = slices.Delete(row, c, c+1)
	}
}

func (t *table) write(tb testing.TB) []byte {
	tb.Helper()
	group := parquet.Group{}
	for i, name := range t.names {
		group[name] = t.nodes[i]
	}
	schema := parquet.NewSchema("schema", group)
	var out bytes.Buffer
	w := parquet.NewGenericWriter[any](&out, append([]parquet.WriterOption{schema}, t.options...)...)
	for _, values := range t.rows {
		row := make(parquet.Row, len(values))
		for i, v := range values {
			leaf, _ := schema.Lookup(t.names[i])
			level := 0
			if v != nil && leaf.Node.Optional() {
				level = 1
			}
			row[leaf.ColumnIndex] = parquet.ValueOf(v).Level(0, level, leaf.ColumnIndex)
		}
		if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// A property over fifteen drawn data sets: with -race a parquet writer
// takes too long for a hundred.
func TestParquetRoundTrip(t *testing.T) {
	for i := range 15 {
		bars := rapid.Custom(anyBars).Example(i)
		back, err := readParquet(writeParquet(t, bars))
		if err != nil {
			t.Fatalf("example %d: %v", i, err)
		}
		if !slices.Equal(back, bars) {
			t.Fatalf("example %d: got %v, want %v", i, back, bars)
		}
	}
}

// Row groups, dictionaries that overflow into plain pages, and many pages.
func TestParquetRoundTripLong(t *testing.T) {
	bars := Generate(rowGroupBars+1000, 5)
	for i := range bars {
		// All volumes differ: no dictionary holds them.
		bars[i].Volume += float64(i) / 1e6
	}
	content := writeParquet(t, bars)
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	var groups []int64
	for _, g := range f.RowGroups() {
		groups = append(groups, g.NumRows())
	}
	if !slices.Equal(groups, []int64{rowGroupBars, 1000}) {
		t.Errorf("row groups of %v", groups)
	}
	back, err := readParquet(content)
	if err != nil {
		t.Fatal(err)
	}
	if Digest(back) != Digest(bars) {
		t.Error("what was read is not what was written")
	}
}

// plainPages fails if some column has pages or encodings that only some readers
// know: fastparquet, one of the two that pandas has, refuses texts with delta
// lengths, and misreads large dictionaries in pages of version 2.
func plainPages(t testing.TB, file *parquet.File) {
	t.Helper()
	for _, group := range file.Metadata().RowGroups {
		for _, c := range group.Columns {
			for _, s := range c.MetaData.EncodingStats {
				known := s.Encoding == format.Plain || s.Encoding == format.RLEDictionary
				if s.PageType == format.DataPageV2 || !known {
					t.Errorf("column %v: %v in a page of kind %v (want plain or a dictionary, pages of version 1)", c.MetaData.PathInSchema, s.Encoding, s.PageType)
				}
			}
			if len(c.MetaData.EncodingStats) == 0 {
				t.Errorf("column %v does not say how it is encoded", c.MetaData.PathInSchema)
			}
		}
	}
}

// What pandas, hyparquet and DuckDB rely on: names, order and types of the
// columns, and the note that makes `time` the index.
func TestParquetForm(t *testing.T) {
	content := writeParquet(t, Generate(3, 1))
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range f.Root().Columns() {
		got = append(got, c.Name()+" "+c.Type().String())
	}
	want := []string{"time TIMESTAMP(isAdjustedToUTC=true,unit=NANOS)"}
	for _, name := range strings.Split("open high low close volume bid_open bid_high bid_low bid_close ask_open ask_high ask_low ask_close", " ") {
		want = append(want, name+" DOUBLE")
	}
	if !slices.Equal(got, want) {
		t.Errorf("columns\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	plainPages(t, f)
	text, _ := f.Lookup("pandas")
	var meta struct {
		IndexColumns []string `json:"index_columns"`
		Columns      []struct {
			Name       string `json:"name"`
			PandasType string `json:"pandas_type"`
			Metadata   struct{ Timezone string }
		} `json:"columns"`
		PandasVersion string `json:"pandas_version"`
	}
	if err := json.Unmarshal([]byte(text), &meta); err != nil {
		t.Fatalf("pandas metadata: %v", err)
	}
	if !slices.Equal(meta.IndexColumns, []string{"time"}) || len(meta.Columns) != 14 || meta.PandasVersion == "" {
		t.Errorf("pandas metadata %+v", meta)
	}
	if last := meta.Columns[13]; last.Name != "time" || last.PandasType != "datetimetz" || last.Metadata.Timezone != "UTC" {
		t.Errorf("pandas metadata of the index %+v", last)
	}
}

func TestReadParquetAsPandasWrites(t *testing.T) {
	bars := Generate(3000, 6)
	scaled := func(unit int64) func(any) any { return func(v any) any { return v.(int64) / unit } }
	tests := map[string]func(*table){
		"as it is":         func(tb *table) {},
		"us":               func(tb *table) { tb.change("time", parquet.Timestamp(parquet.Microsecond), scaled(1e3)) },
		"ms":               func(tb *table) { tb.change("time", parquet.Timestamp(parquet.Millisecond), scaled(1e6)) },
		"without a zone":   func(tb *table) { tb.change("time", parquet.TimestampAdjusted(parquet.Nanosecond, false), scaled(1)) },
		"index unnamed":    func(tb *table) { tb.names[tb.column("time")] = "__index_level_0__" },
		"capitals":         func(tb *table) { tb.names[tb.column("bid_open")] = "Bid_Open" },
		"no mid prices":    func(tb *table) { tb.drop("open"); tb.drop("high"); tb.drop("low"); tb.drop("close") },
		"tick_volume":      func(tb *table) { tb.names[tb.column("volume")] = "tick_volume" },
		"volume of int64":  func(tb *table) { tb.change("volume", parquet.Int(64), func(v any) any { return int64(v.(float64)) }) },
		"volume of int32":  func(tb *table) { tb.change("volume", parquet.Int(32), func(v any) any { return int32(v.(float64)) }) },
		"volume of uint64": func(tb *table) { tb.change("volume", parquet.Uint(64), func(v any) any { return uint64(v.(float64)) }) },
		"required columns": func(tb *table) { tb.change("ask_low", parquet.Leaf(parquet.DoubleType), func(v any) any { return v }) },
		"a column more":    func(tb *table) { tb.names[tb.column("open")] = "comment" },
		"zstd, page v2": func(tb *table) {
			tb.options = append(tb.options, parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(2))
		},
		"no compression": func(tb *table) { tb.options = append(tb.options, parquet.Compression(&parquet.Uncompressed)) },
		"small pages":    func(tb *table) { tb.options = append(tb.options, parquet.PageBufferSize(1000)) },
		"dictionary": func(tb *table) {
			tb.change("bid_high", parquet.Encoded(tb.nodes[tb.column("bid_high")], &parquet.RLEDictionary), func(v any) any { return v })
		},
		"small dictionary": func(tb *table) {
			tb.change("bid_high", parquet.Encoded(tb.nodes[tb.column("bid_high")], &parquet.RLEDictionary), func(v any) any { return v })
			tb.options = append(tb.options, parquet.DictionaryMaxBytes(2000), parquet.PageBufferSize(1000))
		},
		"nulls that nobody reads": func(tb *table) { tb.change("open", tb.nodes[0], func(any) any { return nil }) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			tb := pandasTable(bars)
			change(tb)
			back, err := readParquet(tb.write(t))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(back, bars) {
				t.Errorf("%d bars, not the %d that were written", len(back), len(bars))
			}
		})
	}
}

// Floats are widened, not rounded to decimals.
func TestReadParquetFloats(t *testing.T) {
	bars := Generate(200, 6)
	tb := pandasTable(bars)
	for c := colBidOpen; c <= colVolume; c++ {
		tb.change(c.String(), parquet.Leaf(parquet.FloatType), func(v any) any { return float32(v.(float64)) })
	}
	back, err := readParquet(tb.write(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range back {
		for c := colBidOpen; c <= colVolume; c++ {
			if got, want := *c.float(&back[i]), float64(float32(*c.float(&bars[i]))); got != want {
				t.Fatalf("row %d, %s: %v, want %v", i+1, c, got, want)
			}
		}
	}
}

func TestReadParquetRefuses(t *testing.T) {
	set := func(name string, row int, v any) func(*table) {
		return func(tb *table) { tb.rows[row-1][tb.column(name)] = v }
	}
	tests := []struct {
		name   string
		change func(*table)
		want   string
	}{
		{"a null", set("bid_low", 7, nil), "row 7: bid_low: null (want a finite price above 0)"},
		{"a null volume", set("volume", 1, nil), "row 1: volume: null (want a finite volume of at least 0)"},
		{"a null time", set("time", 9, nil), "row 9: time: null (want a time"},
		{"NaN", set("ask_high", 3, math.NaN()), "row 3: ask_high: NaN"},
		{"the first of two", func(tb *table) { set("bid_open", 8, nil)(tb); set("ask_close", 5, nil)(tb) }, "row 5: ask_close: null"},
		{"NaN before a null", func(tb *table) { set("bid_open", 8, nil)(tb); set("bid_open", 5, math.NaN())(tb) }, "row 5: bid_open: NaN"},
		{"time goes back", set("time", 4, int64(syntheticStartNS)), "row 4: time: 2018-01-01T00:00:00+00:00 (want a time after"},
		{"a missing column", func(tb *table) { tb.drop("ask_low"); tb.drop("volume") }, "missing columns ask_low (found"},
		{"prices in words", func(tb *table) { tb.change("bid_open", parquet.String(), func(any) any { return "x" }) }, "column bid_open: STRING (want double or float, integers or decimals)"},
		{"another zone", func(tb *table) {
			tb.options = append(tb.options, parquet.KeyValueMetadata("pandas", strings.Replace(noteOfBars(), `"UTC"`, `"Europe/Oslo"`, 1)))
		}, `time: time zone "Europe/Oslo" (want UTC; --tz UTC`},
		{"LZ4", func(tb *table) { tb.options = append(tb.options, parquet.Compression(&parquet.Lz4Raw)) }, "column time: compressed by LZ4_RAW (want snappy"},
		{"no row", func(tb *table) { tb.rows = nil }, ErrEmpty.Error()},
		{"out of time", func(tb *table) {
			tb.change("time", parquet.Timestamp(parquet.Millisecond), func(v any) any { return v.(int64) / 1e3 })
		}, "row 1: time: 2262-"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tb := pandasTable(Generate(10, 1))
			test.change(tb)
			bars, err := readParquet(tb.write(t))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bars, error %v\nwant one with %s", len(bars), err, test.want)
			}
		})
	}
}

// The name of a column in an error is the file's.
func TestReadParquetNamesTheFilesColumn(t *testing.T) {
	tb := pandasTable(Generate(10, 1))
	tb.names[tb.column("volume")] = "Tick_Volume"
	tb.rows[2][tb.column("Tick_Volume")] = -1.0
	var cell *CellError
	if _, err := readParquet(tb.write(t)); !errors.As(err, &cell) || cell.Column != "Tick_Volume" || cell.Row != 3 {
		t.Errorf("error %v", err)
	}
}

func TestReadParquetDamaged(t *testing.T) {
	content := writeParquet(t, Generate(200, 1))
	long := slices.Clone(content)
	copy(long[len(long)-8:], "\xff\xff\xff\xff")
	for name, spoilt := range map[string][]byte{
		"cut in the middle":   content[:len(content)/2],
		"cut at the front":    content[1:],
		"the end alone":       content[len(content)-8:],
		"a footer of 4 GB":    long,
		"not a byte of pages": append(append([]byte("PAR1"), make([]byte, 8000)...), content[len(content)-9000:]...),
	} {
		if bars, err := readParquet(spoilt); err == nil {
			t.Errorf("%s: %d bars, want an error", name, len(bars))
		}
	}
}

// A footer that claims more than it has takes no memory for it.
func TestReadParquetFooterOfClaims(t *testing.T) {
	claim := binary.AppendUvarint(nil, 1<<30)
	list := func(kind byte) []byte { return append([]byte{0xF0 | kind}, claim...) }
	for name, footer := range map[string][]byte{
		"a schema of 2^30 columns":   append([]byte{0x15, 0x02, 0x19}, list(12)...),
		"2^30 row groups":            append([]byte{0x15, 0x02, 0x39}, list(12)...),
		"a text of 2^30 bytes":       append([]byte{0x15, 0x02, 0x58}, claim...),
		"lists in lists":             append([]byte{0x15, 0x02}, bytes.Repeat([]byte{0x19}, 200)...),
		"structs in structs":         bytes.Repeat([]byte{0x1C}, 200),
		"a value of an unknown type": {0x1E, 0},
		"no end":                     {0x15, 0x02},
	} {
		content := append([]byte("PAR1"), footer...)
		content = binary.LittleEndian.AppendUint32(content, uint32(len(footer)))
		content = append(content, "PAR1"...)
		if bars, err := readParquet(content); err == nil || !strings.Contains(err.Error(), "damaged parquet file: a footer") {
			t.Errorf("%s: %d bars, %v", name, len(bars), err)
		}
	}
}

// A few bytes that a disk or a download spoilt: an error or valid bars, and
// never a panic, nor a decoder that asks for more memory than there is.
func TestReadParquetSpoiltBytes(t *testing.T) {
	rng := random(1)
	bars := Generate(20, 1)
	for name, content := range map[string][]byte{"ours": writeParquet(t, bars), "pandas": pandasTable(bars).write(t)} {
		refused := 0
		for range 500 {
			spoilt := slices.Clone(content)
			for range 3 {
				spoilt[rng.next()%uint64(len(spoilt))] = byte(rng.next())
			}
			bars, err := readParquet(spoilt)
			if err != nil {
				refused++
			} else if err := Validate(bars); err != nil {
				t.Fatalf("%s: read, but not valid: %v", name, err)
			}
		}
		if refused == 0 {
			t.Errorf("%s: nothing was refused: the test spoils nothing", name)
		}
	}
}

// Files of DuckDB 1.5, a writer that is not ours, of Generate(50, 7): one
// plain with snappy, one with zstd, DELTA_BINARY_PACKED,
// BYTE_STREAM_SPLIT and times in us without a zone.
func TestReadParquetOfDuckDB(t *testing.T) {
	want := Digest(Generate(50, 7))
	for _, name := range []string{"duckdb_v1_snappy.parquet", "duckdb_v2_zstd_us.parquet"} {
		content, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		bars, err := readParquet(content)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if Digest(bars) != want {
			t.Errorf("%s: %d other bars", name, len(bars))
		}
	}
}

// The seeds are some 7 kB: give -fuzzminimizetime 20x, or the fuzzer spends
// its time on making them smaller.
func FuzzReadParquet(f *testing.F) {
	bars := Generate(20, 1)
	f.Add(writeParquet(f, bars))
	f.Add(pandasTable(bars).write(f))
	f.Add(plainTable(bars[:5]).write(f))
	f.Add(nautilusTable(bars[:5], "EUR/USD.SIM-5-MINUTE-BID-EXTERNAL", 16, 0, true).write(f))
	f.Fuzz(func(t *testing.T, content []byte) {
		bars, err := readParquet(content)
		if err == nil {
			err = Validate(bars)
			if err != nil {
				t.Fatalf("read, but not valid: %v", err)
			}
		}
	})
}

// floats are the columns after the time.
func (r fileRow) floats() [13]float64 {
	return [13]float64{
		r.Open, r.High, r.Low, r.Close, r.Volume,
		r.BidOpen, r.BidHigh, r.BidLow, r.BidClose,
		r.AskOpen, r.AskHigh, r.AskLow, r.AskClose,
	}
}

// noteOfBars is the note of pandas in a file without extra columns.
func noteOfBars() string {
	note, err := pandasMetadata(placeColumns(nil), nil)
	if err != nil {
		panic(err)
	}
	return note
}

// fileRow is a row of a file of ours, for a writer of rows.
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
