package bars

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Columns that make the time, and those of a bar's names that were not taken,
// are no columns beside the bars.
func TestExtraBesideAliases(t *testing.T) {
	for _, test := range []struct {
		text, columns string
		extra         []string
		skipped       int
	}{
		{"date,time,open,high,low,close,volume,note\n2024.01.02,17:00,1,1,1,1,5,x\n", "", []string{"note"}, 0},
		{"Date,Time,open,high,low,close,f\n2024-01-02,07:00,1,1,1,1,2\n", "time=Date", []string{"f"}, 1},
		{"time,open,high,low,close,volume,Vol2\n2024-01-02,1,1,1,1,5,6\n", "volume=Vol2", []string{"Vol2"}, 1},
	} {
		set, err := readCSV(strings.NewReader(test.text), ReadOptions{Extra: true, Form: Form{Columns: test.columns}})
		if err != nil {
			t.Errorf("%v\n%s", err, test.text)
			continue
		}
		var names []string
		for _, c := range set.Extra {
			names = append(names, c.Name)
		}
		if !slices.Equal(names, test.extra) || len(set.ExtraSkipped) != test.skipped {
			t.Errorf("extra %q, skipped %q\n%s", names, set.ExtraSkipped, test.text)
		}
		if err := CheckColumns(set.Extra, len(set.Bars)); err != nil {
			t.Error(err)
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
