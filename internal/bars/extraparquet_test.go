package bars

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// add puts a column into a table.
func (t *table) add(name string, node parquet.Node, value func(row int) any) {
	t.names, t.nodes = append(t.names, name), append(t.nodes, node)
	for i := range t.rows {
		t.rows[i] = append(t.rows[i], value(i))
	}
}

func TestReadParquetExtraAsPandasWrites(t *testing.T) {
	const n = 3000
	bars := Generate(n, 6)
	tb := pandasTable(bars)
	optional := func(node parquet.Node) parquet.Node { return parquet.Optional(node) }
	dict := func(node parquet.Node) parquet.Node { return parquet.Encoded(node, &parquet.RLEDictionary) }
	null := func(every int, value func(int) any) func(int) any {
		return func(row int) any {
			if row%every == every-1 {
				return nil
			}
			return value(row)
		}
	}
	tb.add("b", optional(parquet.Leaf(parquet.BooleanType)), null(7, func(i int) any { return i%3 == 0 }))
	tb.add("B", parquet.Leaf(parquet.BooleanType), func(i int) any { return i%5 == 0 })
	tb.add("c, with comma", optional(dict(parquet.String())), null(4, func(i int) any { return strings.Repeat("ab", i%9) }))
	tb.add("f", optional(parquet.Leaf(parquet.FloatType)), func(i int) any { return float32(i) / 3 })
	tb.add("i", optional(dict(parquet.Int(64))), null(11, func(i int) any { return int64(1)<<53 + int64(i%100) }))
	tb.add("u", optional(parquet.Uint(32)), func(i int) any { return uint32(4294967295 - i) })
	tb.add("z", optional(parquet.Timestamp(parquet.Microsecond)), func(i int) any { return int64(i) })
	note := strings.Replace(noteOfBars(), `{"name":"open"`,
		`{"name":"i","field_name":"i","pandas_type":"int64","numpy_type":"Int64","metadata":null},`+
			`{"name":"z","field_name":"z","pandas_type":"datetimetz","numpy_type":"datetime64[us]","metadata":{"timezone":"Europe/Oslo"}},{"name":"open"`, 1)
	tb.options = append(tb.options, parquet.KeyValueMetadata("pandas", note), parquet.PageBufferSize(4000))

	set := readExtraParquet(t, tb.write(t))
	if len(set.ExtraSkipped) != 0 {
		t.Errorf("left out: %v", set.ExtraSkipped)
	}
	var got []string
	for i := range set.Extra {
		c := &set.Extra[i]
		got = append(got, strings.Join([]string{c.Name, string(c.Kind), c.Zone, c.Pandas, cellOf(c, 3), cellOf(c, 6), cellOf(c, 10)}, "|"))
	}
	// In the file's order, which is that of the names: this test's own writer
	// sorts them.
	want := []string{
		"B|bool|||false|false|true",
		"b|bool|||true|null|false",
		`c, with comma|string|||null|"abababababab"|"ab"`,
		"f|float32|||3ff0000000000000|4000000000000000|400aaaaaa0000000",
		"i|int64||Int64|9007199254740995|9007199254740998|null",
		"u|uint32|||4294967292|4294967289|4294967285",
		"z|time|Europe/Oslo||3|6|10",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What was read is written and read again.
	var out bytes.Buffer
	if err := writeParquetExtra(&out, set.Bars, set.Extra); err != nil {
		t.Fatal(err)
	}
	if d := differ(readExtraParquet(t, out.Bytes()).Extra, set.Extra); d != "" {
		t.Error(d)
	}
}

// A file of DuckDB 1.5, a writer that is not ours: the bars of Generate(6, 7)
// with a close of its own and columns of every type, in parquet's version 2:
// delta, byte-split and dictionary encodings.
func TestReadParquetExtraOfDuckDB(t *testing.T) {
	content, err := os.ReadFile("testdata/duckdb_extra.parquet")
	if err != nil {
		t.Fatal(err)
	}
	set := readExtraParquet(t, content)
	bars := Generate(6, 7)
	if Digest(set.Bars) != Digest(bars) {
		t.Error("other bars")
	}
	rows := func(of func(i int64) int64) (list []uint64) {
		for i := range int64(6) {
			list = append(list, uint64(of(i)))
		}
		return list
	}
	third := Column{Shape: Shape{Name: "f32", Kind: Float32}}
	third64 := Column{Shape: Shape{Name: "f64", Kind: Float64}}
	higher := Column{Shape: Shape{Name: "close", Kind: Float64}}
	for i := range bars {
		third.Bits = append(third.Bits, bitsOf(float32(float64(i)/3))...)
		third64.Bits = append(third64.Bits, bitsOf(float64(i)/3)...)
		higher.Bits = append(higher.Bits, bitsOf(bars[i].MidClose()+0.5)...)
	}
	start := time.Date(2026, 1, 2, 15, 4, 5, 123456000, time.UTC).UnixMicro()
	want := []Column{
		higher,
		{Shape: Shape{Name: "i", Kind: Int32}, Bits: rows(func(i int64) int64 { return i })},
		{Shape: Shape{Name: "flag", Kind: Bool}, Bits: bitsOf[bool](false, false, false, true, false, false), Nulls: []bool{true, false, true, false, true, false}},
		{Shape: Shape{Name: "word", Kind: String}, Texts: []string{`a "b", 0`, `a "b", 1`, `a "b", 2`, "", `a "b", 4`, `a "b", 5`}, Nulls: []bool{false, false, false, true, false, false}},
		{Shape: Shape{Name: "big", Kind: Int64}, Bits: rows(func(i int64) int64 { return 9007199254740993 + i })},
		third, third64,
		{Shape: Shape{Name: "u8", Kind: Uint8}, Bits: rows(func(i int64) int64 { return 250 + i })},
		{Shape: Shape{Name: "i8", Kind: Int8}, Bits: rows(func(i int64) int64 { return -i })},
		{Shape: Shape{Name: "u64", Kind: Uint64}, Bits: rows(func(i int64) int64 { return -1 - i })},
		{Shape: Shape{Name: "naive", Kind: Time, Unit: time.Microsecond}, Bits: rows(func(i int64) int64 { return start + i*1e6 })},
		{Shape: Shape{Name: "zoned", Kind: Time, Unit: time.Microsecond, Zone: "UTC"}, Bits: rows(func(int64) int64 { return start })},
		{Shape: Shape{Name: "ns", Kind: Time, Unit: time.Nanosecond}, Bits: rows(func(int64) int64 { return start*1e3 + 789 })},
		{Shape: Shape{Name: "mood", Kind: String}, Texts: []string{"calm", "calm", "calm", "wild", "wild", "wild"}},
	}
	if d := differ(set.Extra, want); d != "" {
		t.Error(d)
	}
	left := strings.Join(set.ExtraSkipped, "; ")
	if want := `"day" (DATE); "clock" (TIME(isAdjustedToUTC=false,unit=MICROS)); "list" (nested); "pair" (nested); "span" (INTERVAL); "dec" (DECIMAL(9,2)); "id" (UUID); "raw" (BYTE_ARRAY)`; left != want {
		t.Errorf("left out: %s\nwant %s", left, want)
	}
}

func TestReadParquetLeavesOut(t *testing.T) {
	bars := Generate(10, 6)
	tb := pandasTable(bars)
	long := strings.Repeat("x", MaxText+1)
	for _, c := range []struct {
		name  string
		node  parquet.Node
		value any
	}{
		{"bad text", parquet.String(), "\xff"},
		{"bytes", parquet.Leaf(parquet.ByteArrayType), "x"},
		{"date", parquet.Date(), int32(7)},
		{"decimal", parquet.Decimal(2, 18, parquet.Int64Type), int64(7)},
		{"good", parquet.Int(8), int32(-3)},
		{"long text", parquet.String(), long},
		{"lz4", parquet.Compressed(parquet.Int(64), &parquet.Lz4Raw), int64(1)},
		{"span", parquet.Int(64), int64(5)},
		{"__index_level_0__", parquet.Int(64), int64(5)},
		{strings.Repeat("n", MaxColumnName+1), parquet.Int(64), int64(5)},
	} {
		tb.add(c.name, c.node, func(int) any { return c.value })
	}
	tb.options = append(tb.options, parquet.KeyValueMetadata("pandas", strings.Replace(noteOfBars(), `{"name":"open"`,
		`{"name":"span","field_name":"span","pandas_type":"int64","numpy_type":"timedelta64[ns]","metadata":null},{"name":"open"`, 1)))
	set := readExtraParquet(t, tb.write(t))
	want := []Column{{Shape: Shape{Name: "good", Kind: Int8}, Bits: bitsOf[int64](-3, -3, -3, -3, -3, -3, -3, -3, -3, -3)}}
	if d := differ(set.Extra, want); d != "" {
		t.Error(d)
	}
	left := []string{
		`"__index_level_0__" (an index without a name)`,
		`"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"… (a name of 257 bytes (at most 256))`,
		`"bytes" (BYTE_ARRAY)`, `"date" (DATE)`, `"decimal" (DECIMAL(18,2))`,
		`"lz4" (compressed by LZ4_RAW)`, `"span" (timedelta64[ns])`,
		`"bad text" (row 1: not UTF-8)`, `"long text" (row 1: a text of 65537 bytes, at most 65536)`,
	}
	got := slices.Clone(set.ExtraSkipped)
	slices.Sort(got)
	slices.Sort(left)
	if !slices.Equal(got, left) {
		t.Errorf("left out:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(left, "\n"))
	}
}

func TestReadParquetLeavesOutWhatIsNested(t *testing.T) {
	type row struct {
		fileRow
		List   []int64 `parquet:"list"`
		Inside struct {
			X int64 `parquet:"x"`
		} `parquet:"inside"`
		Extra float32 `parquet:"extra"`
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[row](&out)
	bars := Generate(5, 1)
	for i := range bars {
		if _, err := w.Write([]row{{fileRow: newFileRow(&bars[i]), List: make([]int64, i), Extra: float32(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	set := readExtraParquet(t, out.Bytes())
	if d := differ(set.Extra, []Column{{Shape: Shape{Name: "extra", Kind: Float32}, Bits: bitsOf[float32](0, 1, 2, 3, 4)}}); d != "" {
		t.Error(d)
	}
	if !slices.Equal(set.ExtraSkipped, []string{`"list" (nested)`, `"inside" (nested)`}) {
		t.Errorf("left out: %v", set.ExtraSkipped)
	}
}

// What pandas, hyparquet and DuckDB rely on: names, order and types, and the
// note for pandas.
func TestParquetExtraForm(t *testing.T) {
	bars := Generate(3, 1)
	extra := []Column{{Shape: Shape{Name: "low", Kind: Float64}, Bits: make([]uint64, 3)}}
	for _, c := range someColumns(3) {
		if !strings.HasSuffix(c.Name, "nulls") { // the form is the same
			extra = append(extra, c)
		}
	}
	var out bytes.Buffer
	if err := writeParquetExtra(&out, bars, extra); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	plainPages(t, f)
	var form bytes.Buffer
	for _, c := range f.Root().Columns() {
		presence := "required"
		if c.Optional() {
			presence = "optional"
		}
		form.WriteString(c.Name() + ": " + presence + " " + c.Type().String() + "\n")
	}
	text, _ := f.Lookup("pandas")
	form.WriteByte('\n')
	if err := json.Indent(&form, []byte(text), "", " "); err != nil {
		t.Fatal(err)
	}
	golden(t, "extra_form.txt", append(form.Bytes(), '\n'))

	// Without extra columns the note is that of all our files.
	out.Reset()
	if err := writeParquetExtra(&out, bars, nil); err != nil {
		t.Fatal(err)
	}
	if f, err = parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
		t.Fatal(err)
	}
	if text, _ := f.Lookup("pandas"); text != noteOfBars() {
		t.Errorf("the note without extra columns\n%s\nwant\n%s", text, noteOfBars())
	}
}

// As TestReadParquetSpoiltBytes, with the extra columns.
func TestReadParquetExtraSpoiltBytes(t *testing.T) {
	rng := random(1)
	var out bytes.Buffer
	if err := writeParquetExtra(&out, Generate(20, 1), someColumns(20)[:13]); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 150 {
		spoilt := slices.Clone(out.Bytes())
		for range 3 {
			spoilt[rng.next()%uint64(len(spoilt))] = byte(rng.next())
		}
		set, err := decodeParquet(bytes.NewReader(spoilt), int64(len(spoilt)), ReadOptions{Extra: true}, &form{})
		if err != nil {
			refused++
		} else if err := CheckColumns(set.Extra, len(set.Bars)); err != nil {
			t.Fatalf("read, but not sound: %v", err)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the test spoils nothing")
	}
}

// See FuzzReadParquet.
func FuzzReadParquetExtra(f *testing.F) {
	var out bytes.Buffer
	if err := writeParquetExtra(&out, Generate(5, 1), someColumns(5)); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	tb := pandasTable(Generate(5, 1))
	tb.add("s", parquet.Optional(parquet.Encoded(parquet.String(), &parquet.RLEDictionary)), func(i int) any { return strings.Repeat("a", i) })
	f.Add(tb.write(f))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, err := decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{Extra: true}, &form{})
		if err != nil {
			return
		}
		if err := CheckColumns(set.Extra, len(set.Bars)); err != nil {
			t.Fatalf("read, but not sound: %v", err)
		}
		if err := writeParquetExtra(new(bytes.Buffer), set.Bars, set.Extra); err != nil {
			t.Fatalf("read, but cannot be written: %v", err)
		}
	})
}

func FuzzReadCSVExtra(f *testing.F) {
	var out bytes.Buffer
	if err := writeCSVExtra(&out, Generate(3, 1), someColumns(3)[:14]); err != nil {
		f.Fatal(err)
	}
	f.Add(out.String())
	f.Add("time,open,high,low,close,volume,a,b\n2024-01-02 00:00:00,10,12,9,11,5,007,NA\n2024-01-02 00:05:00,10,12,9,11,5,True,1e3\n")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := readCSV(strings.NewReader(text), ReadOptions{Extra: true})
		if err != nil {
			return
		}
		if err := CheckColumns(set.Extra, len(set.Bars)); err != nil {
			t.Fatalf("read, but not sound: %v", err)
		}
		// What was read is written, and read as the same columns.
		var out bytes.Buffer
		if err := writeCSVExtra(&out, set.Bars, set.Extra); err != nil {
			t.Fatal(err)
		}
		back, err := readCSV(&out, ReadOptions{Extra: true})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "\r") || set.SpreadBps != 0 {
			return // the reader of text eats a carriage return; bids come back as quotes
		}
		byName := func(a, b Column) int { return strings.Compare(a.Name, b.Name) } // mid prices have their own place
		slices.SortFunc(back.Extra, byName)
		slices.SortFunc(set.Extra, byName)
		if d := differ(back.Extra, set.Extra); d != "" {
			t.Fatal(d)
		}
	})
}
