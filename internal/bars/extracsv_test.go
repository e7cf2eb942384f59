package bars

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

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
