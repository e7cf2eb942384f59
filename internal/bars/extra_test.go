package bars

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// someColumns has a column of each kind with n rows: borders of its values,
// and one more with nulls in every third row.
func someColumns(n int) []Column {
	floats := []float64{0, math.Copysign(0, -1), 1.1, math.NaN(), math.Inf(1), math.Inf(-1), 5e-324, math.MaxFloat64, 1e300, -2.5}
	texts := []string{"", "plain", "a,b", `say "no"`, "two\nlines", " space ", "æøå ☃", "007", "NaN", "x;y"}
	var list []Column
	add := func(c Column, value func(c *Column, i int)) {
		nulls := strings.HasSuffix(c.Name, "nulls")
		for i := range n {
			if nulls && i%3 == 1 {
				if c.Kind == String {
					c.Texts = append(c.Texts, "")
				} else {
					c.Bits = append(c.Bits, 0)
				}
				c.sawRow(true)
				continue
			}
			value(&c, i)
			c.sawRow(false)
		}
		list = append(list, c)
	}
	for _, twice := range []string{"", " with nulls"} {
		for _, k := range []ColumnKind{Float64, Float32} {
			add(Column{Shape: Shape{Name: string(k) + twice, Kind: k}}, func(c *Column, i int) {
				if v := floats[i%len(floats)]; k == Float32 {
					c.Bits = append(c.Bits, bitsOf(float32(v))...)
				} else {
					c.Bits = append(c.Bits, bitsOf(v)...)
				}
			})
		}
		for _, k := range []ColumnKind{Int64, Int32, Int16, Int8} {
			bits := 8 * k.Width()
			add(Column{Shape: Shape{Name: string(k) + twice, Kind: k}}, func(c *Column, i int) {
				c.Bits = append(c.Bits, bitsOf([]int64{0, -1, 1<<(bits-1) - 1, -1 << (bits - 1), 1<<53 + 1, 42}[i%6]<<(64-bits)>>(64-bits))...)
			})
		}
		for _, k := range []ColumnKind{Uint64, Uint32, Uint16, Uint8} {
			bits := 8 * k.Width()
			add(Column{Shape: Shape{Name: string(k) + twice, Kind: k}}, func(c *Column, i int) {
				c.Bits = append(c.Bits, []uint64{0, 1, math.MaxUint64, 7}[i%4]<<(64-bits)>>(64-bits))
			})
		}
		add(Column{Shape: Shape{Name: "bool" + twice, Kind: Bool}}, func(c *Column, i int) { c.Bits = append(c.Bits, bitsOf(i%5 < 2)...) })
		add(Column{Shape: Shape{Name: "text, quoted" + twice, Kind: String}}, func(c *Column, i int) { c.Texts = append(c.Texts, texts[i%len(texts)]) })
		for _, unit := range []time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond} {
			for _, zone := range []string{"", "UTC", "Europe/Oslo"} {
				add(Column{Shape: Shape{Name: fmt.Sprint("time ", unit, zone, twice), Kind: Time, Unit: unit, Zone: zone}}, func(c *Column, i int) {
					c.Bits = append(c.Bits, uint64((1767366245123456789+int64(i))/int64(unit)))
				})
			}
		}
		add(Column{Shape: Shape{Name: "filler" + twice, Kind: Int64, Pandas: "Int64"}}, func(c *Column, i int) { c.Bits = append(c.Bits, uint64(i)) })
	}
	add(Column{Shape: Shape{Name: "flags", Kind: Bool, Pandas: "boolean"}}, func(c *Column, i int) { c.Bits = append(c.Bits, bitsOf(i%2 == 0)...) })
	return list
}

// bitsOf are values as Column.Bits has them.
func bitsOf[T bool | int64 | float32 | float64](values ...T) []uint64 {
	list := make([]uint64, len(values))
	for i, v := range values {
		switch v := any(v).(type) {
		case bool:
			if v {
				list[i] = 1
			}
		case int64:
			list[i] = uint64(v)
		case float32:
			list[i] = uint64(math.Float32bits(v))
		case float64:
			list[i] = math.Float64bits(v)
		}
	}
	return list
}

// differ names the first difference of two lists of columns, to the last bit;
// empty: there is none.
func differ(got, want []Column) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d columns (want %d)", len(got), len(want))
	}
	for i := range want {
		g, w := &got[i], &want[i]
		if g.Shape != w.Shape {
			return fmt.Sprintf("column %+v (want %+v)", g.Shape, w.Shape)
		}
		if g.Len() != w.Len() {
			return fmt.Sprintf("column %s of %d rows (want %d)", w.Name, g.Len(), w.Len())
		}
		for k := range w.Len() {
			a, b := cellOf(g, k), cellOf(w, k)
			if a != b {
				return fmt.Sprintf("column %s, row %d: %s (want %s)", w.Name, k+1, a, b)
			}
		}
	}
	return ""
}

func cellOf(c *Column, i int) string {
	switch {
	case c.Null(i):
		return "null"
	case c.Kind == Float64 || c.Kind == Float32:
		return fmt.Sprintf("%x", math.Float64bits(c.float(i)))
	case c.Kind == Bool:
		return fmt.Sprint(c.Bits[i] == 1)
	case c.Kind == String:
		return fmt.Sprintf("%q", c.Texts[i])
	}
	return fmt.Sprint(int64(c.Bits[i]))
}

func readExtraParquet(t testing.TB, content []byte) Set {
	t.Helper()
	set, err := decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{Extra: true}, &form{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestExtraParquetRoundTrip(t *testing.T) {
	const n = 1000
	bars, extra := Generate(n, 3), someColumns(n)
	var out bytes.Buffer
	if err := writeParquetExtra(&out, bars, extra); err != nil {
		t.Fatal(err)
	}
	set := readExtraParquet(t, out.Bytes())
	if !slices.Equal(set.Bars, bars) {
		t.Error("the bars are others")
	}
	if d := differ(set.Extra, extra); d != "" || len(set.ExtraSkipped) != 0 {
		t.Errorf("%s; left out: %v", d, set.ExtraSkipped)
	}
	// Who does not ask for them gets the same bars.
	if back, err := readParquet(out.Bytes()); err != nil || Digest(back) != Digest(bars) {
		t.Errorf("read without extra columns: %d bars, %v", len(back), err)
	}
}

// Blocks of any size make the same file.
func TestExtraParquetInBlocks(t *testing.T) {
	testsize.All(t)
	const n = rowGroupBars + 3000
	bars := Generate(n, 3)
	extra := []Column{{Shape: Shape{Name: "x", Kind: Int64}}, {Shape: Shape{Name: "s", Kind: String}}}
	for i := range n {
		extra[0].Bits = append(extra[0].Bits, uint64(i))
		extra[0].sawRow(i == n-5) // the first null is far behind
		extra[1].Texts = append(extra[1].Texts, fmt.Sprint(strings.Repeat("x", i%7), i*i))
	}
	var whole, pieces bytes.Buffer
	if err := writeParquetExtra(&whole, bars, extra); err != nil {
		t.Fatal(err)
	}
	pw, err := NewParquetWriter(&pieces, ShapesOf(extra))
	if err != nil {
		t.Fatal(err)
	}
	for at, end := 0, 0; at < n; at = end {
		end = min(at+20_011, n)
		var rows []Column
		for i := range extra {
			rows = append(rows, extra[i].Slice(at, end))
		}
		if err := pw.Write(bars[at:end], rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"whole": whole.Bytes(), "in blocks": pieces.Bytes()} {
		set := readExtraParquet(t, content)
		if d := differ(set.Extra, extra); d != "" || !slices.Equal(set.Bars, bars) {
			t.Errorf("%s: %d bars; %s", name, len(set.Bars), d)
		}
	}
	if err := pw.Write(bars[:2], []Column{extra[0].Slice(0, 2)}); err == nil {
		t.Error("a block without a column was taken")
	}
	if err := pw.Write(bars[:2], []Column{extra[0].Slice(0, 1), extra[1].Slice(0, 2)}); err == nil {
		t.Error("a block with a row too few was taken")
	}
}

// Of text, kinds are told by their cells; an empty text is a null, and times
// stay text.
func TestExtraCSVRoundTrip(t *testing.T) {
	const n = 300
	bars, extra := Generate(n, 3), someColumns(n)
	var out bytes.Buffer
	if err := writeCSVExtra(&out, bars, extra); err != nil {
		t.Fatal(err)
	}
	set, err := readCSV(bytes.NewReader(out.Bytes()), ReadOptions{Extra: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set.Bars, bars) || len(set.ExtraSkipped) != 0 || len(set.Extra) != len(extra) {
		t.Fatalf("%d bars and %d columns; left out: %v", len(set.Bars), len(set.Extra), set.ExtraSkipped)
	}
	for i, c := range extra {
		want := c
		switch c.Kind {
		case Float32: // the shortest text of a float32, read as a float64
			want.Kind = Float64
			want.Bits = nil
			for i := range c.Bits {
				want.Bits = append(want.Bits, bitsOf(shortest32(c.float(i)))...)
			}
		case Int32, Int16, Int8, Uint32, Uint16, Uint8:
			want.Kind = Int64
		case String:
			want.Nulls = slices.Clone(c.Nulls)
			if want.Nulls == nil {
				want.Nulls = make([]bool, n)
			}
			for k, s := range c.Texts {
				want.Nulls[k] = want.Nulls[k] || s == ""
			}
		case Uint64, Time:
			continue // below
		}
		want.Pandas = ""
		if d := differ([]Column{set.Extra[i]}, []Column{want}); d != "" {
			t.Error(d)
		}
	}
	for name, want := range map[string]string{
		"uint64":                     "18446744073709551615", // more than an int64: text, nothing lost
		"time 1nsUTC":                "2026-01-02T15:04:05.123456791+00:00",
		"time 1ns":                   "2026-01-02T15:04:05.123456791",
		"time 1msEurope/Oslo":        "2026-01-02T15:04:05.123+00:00",
		"time 1µsUTC with nulls":     "2026-01-02T15:04:05.123456+00:00",
		"time 1µsEurope/Oslo":        "2026-01-02T15:04:05.123456+00:00",
		"time 1ms":                   "2026-01-02T15:04:05.123",
		"time 1nsUTC with nulls":     "2026-01-02T15:04:05.123456791+00:00",
		"time 1ns with nulls":        "2026-01-02T15:04:05.123456791",
		"time 1msUTC with nulls":     "2026-01-02T15:04:05.123+00:00",
		"time 1µsEurope/Oslo with n": "",
	} {
		i := slices.IndexFunc(set.Extra, func(c Column) bool { return c.Name == name })
		if want == "" {
			if i >= 0 {
				t.Errorf("a column %s", name)
			}
			continue
		}
		if i < 0 || set.Extra[i].Kind != String || set.Extra[i].Texts[2] != want {
			t.Errorf("column %s: %+v, want text with %s in row 3", name, i, want)
		}
	}
	// Written again, the text is the same to the byte.
	var again bytes.Buffer
	if err := writeCSVExtra(&again, set.Bars, set.Extra); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(out.Bytes(), []byte(`""`), nil), bytes.ReplaceAll(again.Bytes(), []byte(`""`), nil)) {
		t.Error("written again, the text is another")
	}
}

func shortest32(v float64) float64 {
	text := string(appendNumber(nil, v, 32))
	if text == "nan" {
		return math.NaN()
	}
	var back float64
	if _, err := fmt.Sscan(text, &back); err != nil {
		panic(err)
	}
	return back
}

func TestCSVKinds(t *testing.T) {
	for _, test := range []struct {
		cells []string
		kind  ColumnKind
		want  []string // by cellOf
	}{
		{[]string{"1", "-2", "9007199254740993"}, Int64, []string{"1", "-2", "9007199254740993"}},
		{[]string{"1", "", "NA"}, Int64, []string{"1", "null", "null"}},
		{[]string{" 1", "2 "}, Int64, []string{"1", "2"}},
		{[]string{"1", "2.5"}, Float64, []string{"3ff0000000000000", "4004000000000000"}},
		{[]string{"1", "nan", "<NA>"}, Float64, []string{"3ff0000000000000", "7ff8000000000001", "null"}},
		{[]string{"-0", "+3", "1e3"}, Float64, []string{"8000000000000000", "4008000000000000", "408f400000000000"}},
		{[]string{"inf", "-Infinity"}, Float64, []string{"7ff0000000000000", "fff0000000000000"}},
		{[]string{"", ""}, Float64, []string{"null", "null"}},
		{[]string{"True", "False", ""}, Bool, []string{"true", "false", "null"}},
		{[]string{"TRUE", "false"}, Bool, []string{"true", "false"}},
		{[]string{"True", "1"}, String, []string{`"True"`, `"1"`}},
		{[]string{"True", "NA"}, String, []string{`"True"`, `"NA"`}},
		{[]string{"007", "008"}, String, []string{`"007"`, `"008"`}},
		{[]string{"1", "9223372036854775808"}, String, []string{`"1"`, `"9223372036854775808"`}},
		{[]string{"0x10", "1_000"}, String, []string{`"0x10"`, `"1_000"`}},
		{[]string{"1", " "}, String, []string{`"1"`, `" "`}},
		{[]string{"a", "", "NA", " b "}, String, []string{`"a"`, "null", `"NA"`, `" b "`}},
		{[]string{"2026-01-02 00:00:00"}, String, []string{`"2026-01-02 00:00:00"`}},
	} {
		var c textColumn
		for _, cell := range test.cells {
			c.add(cell)
		}
		got := c.column()
		var cells []string
		for i := range got.Len() {
			cells = append(cells, cellOf(&got, i))
		}
		if got.Kind != test.kind || !slices.Equal(cells, test.want) {
			t.Errorf("%q: %s %v, want %s %v", test.cells, got.Kind, cells, test.kind, test.want)
		}
	}
}

// The six columns of MetaTrader: prices are bids and nobody's mid prices, the
// ticks keep their name, too.
func TestExtraOfBids(t *testing.T) {
	const text = "Time,Open,High,Low,Close,Tick_Volume,spread,label\n" +
		"2024-01-02 00:00:00,10,12,9,11,5,3,up\n2024-01-02 00:05:00,10,12,9,11,6,4,\"do,wn\"\n"
	set, err := readCSV(strings.NewReader(text), ReadOptions{Extra: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []Column{
		{Shape: Shape{Name: "Tick_Volume", Kind: Int64}, Bits: bitsOf[int64](5, 6)},
		{Shape: Shape{Name: "spread", Kind: Int64}, Bits: bitsOf[int64](3, 4)},
		{Shape: Shape{Name: "label", Kind: String}, Texts: []string{"up", "do,wn"}},
	}
	if d := differ(set.Extra, want); d != "" || set.Bars[1].Volume != 6 || set.SpreadBps != DefaultSpreadBps {
		t.Errorf("%s; %+v", d, set)
	}
}

// The file's own mid prices are kept where they are not ours, and stand in
// place of ours in what we write.
func TestOwnMidPrices(t *testing.T) {
	bars := Generate(50, 2)
	other := Column{Shape: Shape{Name: "close", Kind: Float32}}
	same := Column{Shape: Shape{Name: "high", Kind: Float64}}
	for i := range bars {
		other.Bits = append(other.Bits, bitsOf(float32(bars[i].MidClose()))...)
		same.Bits = append(same.Bits, bitsOf(bars[i].MidHigh())...)
	}
	gap := Column{Shape: Shape{Name: "low", Kind: Float64}, Nulls: make([]bool, len(bars))}
	for i := range bars {
		gap.Bits = append(gap.Bits, bitsOf(bars[i].MidLow())...)
	}
	gap.Nulls[7], gap.Bits[7] = true, 0
	for format, write := range map[string]func(*bytes.Buffer) (Set, error){
		"parquet": func(b *bytes.Buffer) (Set, error) {
			if err := writeParquetExtra(b, bars, []Column{same, other, gap}); err != nil {
				return Set{}, err
			}
			return decodeParquet(bytes.NewReader(b.Bytes()), int64(b.Len()), ReadOptions{Extra: true}, &form{})
		},
		"CSV": func(b *bytes.Buffer) (Set, error) {
			if err := writeCSVExtra(b, bars, []Column{same, other, gap}); err != nil {
				return Set{}, err
			}
			if n := bytes.Count(b.Bytes()[:bytes.IndexByte(b.Bytes(), '\n')], []byte(",")); n != 13 {
				return Set{}, fmt.Errorf("%d commas in the header", n)
			}
			return readCSV(bytes.NewReader(b.Bytes()), ReadOptions{Extra: true})
		},
	} {
		set, err := write(new(bytes.Buffer))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range set.Extra {
			names = append(names, c.Name)
		}
		// In a file's order, high, which is ours, left out.
		if !slices.Equal(names, []string{"low", "close"}) {
			t.Errorf("%s: columns %v", format, names)
			continue
		}
		if d := differ(set.Extra[:1], []Column{gap}); d != "" {
			t.Errorf("%s: %s", format, d)
		}
		if format == "parquet" {
			if d := differ(set.Extra[1:], []Column{other}); d != "" {
				t.Errorf("%s: %s", format, d)
			}
		}
	}
}

func TestCheckColumns(t *testing.T) {
	good := func() Column { return Column{Shape: Shape{Name: "x", Kind: Int64}, Bits: bitsOf[int64](1, 2)} }
	many := make([]Column, MaxExtraColumns+1)
	for i := range many {
		many[i] = good()
		many[i].Name = fmt.Sprint("x", i)
	}
	if err := CheckColumns(many[1:], 2); err != nil {
		t.Error(err)
	}
	if err := CheckColumns(many, 2); err == nil {
		t.Errorf("%d columns were taken", len(many))
	}
	for want, change := range map[string]func(*Column){
		"no name":                     func(c *Column) { c.Name = "" },
		"a name of 257 bytes":         func(c *Column) { c.Name = strings.Repeat("n", 257) },
		"not UTF-8":                   func(c *Column) { c.Name = "\xff" },
		"a zero byte":                 func(c *Column) { c.Name = "a\x00" },
		"a bar's own":                 func(c *Column) { c.Name = "bid_low" },
		"kind \"decimal\" is unknown": func(c *Column) { c.Kind = "decimal" },
		"3 values":                    func(c *Column) { c.Bits = bitsOf[int64](1, 2, 3) },
		"marks of 1 nulls":            func(c *Column) { c.Nulls = []bool{true} },
		"units of 0s":                 func(c *Column) { c.Kind = Time },
		"units of 1m0s":               func(c *Column) { c.Kind, c.Unit = Time, time.Minute },
		"time zone":                   func(c *Column) { c.Zone = "UTC" },
		"type \"Float64\" of pandas":  func(c *Column) { c.Pandas = "Float64" },
		"appears twice":               func(c *Column) { c.Name = "y" },
	} {
		c, y := good(), good()
		y.Name = "y"
		change(&c)
		err := CheckColumns([]Column{y, c}, 2)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
		if writeParquetExtra(new(bytes.Buffer), Generate(2, 1), []Column{y, c}) == nil || writeCSVExtra(new(bytes.Buffer), Generate(2, 1), []Column{y, c}) == nil {
			t.Errorf("a file with it was written: %s", want)
		}
	}
}

func TestReadFileKeepsExtra(t *testing.T) {
	bars, extra := Generate(20, 1), []Column{{Shape: Shape{Name: "label", Kind: Bool}, Bits: make([]uint64, 20)}}
	dir := t.TempDir()
	for name, write := range map[string]func(b *bytes.Buffer) error{
		"a.parquet": func(b *bytes.Buffer) error { return writeParquetExtra(b, bars, extra) },
		"a.csv":     func(b *bytes.Buffer) error { return writeCSVExtra(b, bars, extra) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, ask := range []bool{true, false} {
			set, err := Open(path, ReadOptions{Extra: ask})
			if err != nil {
				t.Fatal(err)
			}
			want := extra
			if !ask {
				want = nil
			}
			if d := differ(set.Extra, want); d != "" || set.Source != path || !reflect.DeepEqual(set.Bars, bars) {
				t.Errorf("%s, asked for: %v: %s", name, ask, d)
			}
		}
	}
}

func TestCSVLeavesOut(t *testing.T) {
	var head, row strings.Builder
	head.WriteString("time,open,high,low,close,volume,,twice,twice,\xff,latin,long")
	row.WriteString("2024-01-02 00:00:00,10,12,9,11,5,1,2,3,4,\xe6," + strings.Repeat("x", MaxText+1))
	for i := range MaxExtraColumns {
		fmt.Fprintf(&head, ",c%d", i)
		fmt.Fprintf(&row, ",%d", i)
	}
	set, err := readCSV(strings.NewReader(head.String()+"\n"+row.String()+"\n"), ReadOptions{Extra: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`"" (column 7: no name)`, `"twice" (the second of this name)`, `"\xff" (a name that is not UTF-8)`,
		`"c1021" (more than 1024 columns)`, `"c1022" (more than 1024 columns)`, `"c1023" (more than 1024 columns)`,
		`"latin" (row 1: not UTF-8)`, `"long" (row 1: a text of 65537 bytes, at most 65536)`,
	}
	if !slices.Equal(set.ExtraSkipped, want) || len(set.Extra) != MaxExtraColumns-2 || set.Extra[0].Name != "twice" || set.Extra[0].Bits[0] != 2 {
		t.Errorf("%d columns; left out:\n%s\nwant\n%s", len(set.Extra), strings.Join(set.ExtraSkipped, "\n"), strings.Join(want, "\n"))
	}
}

// writeParquetExtra writes a whole file by a ParquetWriter, writeCSVExtra one by a
// CSVWriter.
func writeParquetExtra(w io.Writer, bars []Bar, extra []Column) error {
	if err := CheckColumns(extra, len(bars)); err != nil {
		return err
	}
	pw, err := NewParquetWriter(w, ShapesOf(extra))
	if err != nil {
		return err
	}
	if err := pw.Write(bars, extra); err != nil {
		return err
	}
	return pw.Close()
}

func writeCSVExtra(w io.Writer, bars []Bar, extra []Column) error {
	if err := CheckColumns(extra, len(bars)); err != nil {
		return err
	}
	cw, err := NewCSVWriter(w, ShapesOf(extra), formatTime)
	if err != nil {
		return err
	}
	if err := cw.Write(bars, extra); err != nil {
		return err
	}
	return cw.Close()
}
