package execengine

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
)

// memorySource is a data set in memory, which breaks on demand.
type memorySource struct {
	bars    []bars.Bar
	extra   []bars.Column
	failAt  int64 // bars before it come
	fail    error
	asked   []run.BarRange
	noExtra error
}

func (s *memorySource) Blocks(_ context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	s.asked = append(s.asked, r)
	return func(yield func([]bars.Bar, error) bool) {
		for i := r.First; i < r.End; i++ {
			if s.fail != nil && i >= s.failAt {
				yield(nil, s.fail)
				return
			}
			if i >= int64(len(s.bars)) || !yield(s.bars[i:i+1], nil) {
				return
			}
		}
	}
}

func (s *memorySource) Extra(_ context.Context, r run.BarRange) ([]bars.Column, error) {
	if s.noExtra != nil {
		return nil, s.noExtra
	}
	var list []bars.Column
	for i := range s.extra {
		list = append(list, s.extra[i].Slice(int(r.First), int(r.End)))
	}
	return list, nil
}

// newMemorySource has n bars and some columns beside them.
func newMemorySource(n int) *memorySource {
	s := &memorySource{bars: bars.Generate(int64(n), 4)}
	x := bars.Column{Shape: bars.Shape{Name: "x", Kind: bars.Float64}, Nulls: make([]bool, n)}
	id := bars.Column{Shape: bars.Shape{Name: "id", Kind: bars.Int64}}
	note := bars.Column{Shape: bars.Shape{Name: "note, of mine", Kind: bars.String}}
	at := bars.Column{Shape: bars.Shape{Name: "seen", Kind: bars.Time, Unit: 1e6, Zone: "UTC"}}
	for i := range n {
		if x.Nulls[i] = i%4 == 3; x.Nulls[i] {
			x.Bits = append(x.Bits, 0)
		} else {
			x.Bits = append(x.Bits, math.Float64bits(float64(i)/3))
		}
		id.Bits = append(id.Bits, 1<<53+uint64(i))
		note.Texts = append(note.Texts, fmt.Sprintf(`bar "%d"`, i))
		at.Bits = append(at.Bits, 1767366245123+uint64(i))
	}
	s.extra = []bars.Column{x, id, note, at}
	return s
}

func TestSliceRange(t *testing.T) {
	chunk := run.BarRange{First: 100, End: 200}
	for _, test := range []struct {
		warmup, tail, data int64
		want               run.BarRange
	}{
		{0, 0, 1000, run.BarRange{First: 100, End: 200}},
		{30, 7, 1000, run.BarRange{First: 70, End: 207}},
		{100, 800, 1000, run.BarRange{First: 0, End: 1000}},
		{101, 801, 1000, run.BarRange{First: 0, End: 1000}},
		{1 << 62, 1 << 62, 1000, run.BarRange{First: 0, End: 1000}},
		{-5, -5, 1000, run.BarRange{First: 100, End: 200}},
		{0, 50, 200, run.BarRange{First: 100, End: 200}},
	} {
		if got := SliceRange(chunk, test.data, test.warmup, test.tail); got != test.want {
			t.Errorf("warm-up %d, tail %d of %d: %v (want %v)", test.warmup, test.tail, test.data, got, test.want)
		}
	}
}

// The rows of a slice are those of a file of the whole, wherever it is cut.
func TestSlicesAreRowsOfTheWhole(t *testing.T) {
	const n = blockBars + 500
	src := newMemorySource(n)
	dir := t.TempDir()
	for _, format := range []string{SliceParquet, SliceCSV} {
		read := func(r run.BarRange) bars.Set {
			t.Helper()
			path := filepath.Join(dir, "slice."+format)
			times, err := WriteSlice(t.Context(), path, format, TSRFC3339, src, r)
			if err != nil {
				t.Fatal(err)
			}
			set, err := bars.ReadFile(path, bars.ReadOptions{Extra: true})
			if err != nil {
				t.Fatal(err)
			}
			var want []int64
			for _, b := range src.bars[r.First:r.End] {
				want = append(want, b.TimeNS)
			}
			if !slices.Equal(times, want) {
				t.Errorf("%s of %v: %d times", format, r, len(times))
			}
			return set
		}
		whole := read(run.BarRange{First: 0, End: n})
		if len(whole.Extra) != 4 || len(whole.ExtraSkipped) != 0 {
			t.Fatalf("%s: %d extra columns", format, len(whole.Extra))
		}
		for _, r := range []run.BarRange{{First: 0, End: 1}, {First: 5, End: 90}, {First: blockBars - 1, End: blockBars + 1}, {First: blockBars, End: n}, {First: n - 1, End: n}} {
			set := read(r)
			if !slices.Equal(set.Bars, src.bars[r.First:r.End]) {
				t.Errorf("%s of %v: other bars", format, r)
			}
			for i := range whole.Extra {
				want := whole.Extra[i].Slice(int(r.First), int(r.End))
				if !slices.Contains(want.Nulls, true) {
					want.Nulls = nil // as who has not seen the others reads it
				}
				if !reflect.DeepEqual(values(set.Extra[i]), values(want)) {
					t.Errorf("%s of %v: column %s: %v (want %v)", format, r, want.Name, values(set.Extra[i]), values(want))
				}
			}
		}
	}
}

// values is a column with its rows in a form that can be compared.
func values(c bars.Column) []string {
	list := []string{c.Name, string(c.Kind)}
	for i := range c.Len() {
		switch {
		case c.Null(i):
			list = append(list, "null")
		case c.Kind == bars.Float64:
			list = append(list, fmt.Sprint(math.Float64frombits(c.Bits[i])))
		case c.Kind == bars.String:
			list = append(list, c.Texts[i])
		default:
			list = append(list, fmt.Sprint(c.Bits[i]))
		}
	}
	return list
}

func TestTimesOfACSVSlice(t *testing.T) {
	src := newMemorySource(6)
	path := filepath.Join(t.TempDir(), "slice.csv")
	for format, want := range map[string][2]string{
		TSRFC3339: {"2018-01-01T00:05:00+00:00", "2026-01-02T15:04:05.124+00:00"},
		TSNaive:   {"2018-01-01T00:05:00", "2026-01-02T15:04:05.124"},
		TSEpochMS: {"1514765100000", "1767366245124"},
	} {
		if _, err := WriteSlice(t.Context(), path, SliceCSV, format, src, run.BarRange{First: 1, End: 4}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		const header = "time open high low close volume bid_open bid_high bid_low bid_close ask_open ask_high ask_low ask_close x id"
		head := append(strings.Fields(header), "note, of mine", "seen")
		if !slices.Equal(rows[0], head) || len(rows) != 4 {
			t.Errorf("%s: %d rows under %q", format, len(rows)-1, rows[0])
		}
		if first := rows[1]; first[0] != want[0] || first[17] != want[1] || first[14] != "0.3333333333333333" || first[15] != "9007199254740993" || first[16] != `bar "1"` {
			t.Errorf("%s: %q (want the times %v)", format, first, want)
		}
		if null := rows[3][14]; null != "" {
			t.Errorf("%s: a null is %q", format, null)
		}
	}
}

// A slice without extra columns is one of the 14 that all our files have.
func TestSliceOfBarsAlone(t *testing.T) {
	src := newMemorySource(50)
	src.extra = nil
	dir := t.TempDir()
	for _, format := range []string{SliceParquet, SliceCSV} {
		path := filepath.Join(dir, "slice."+format)
		if _, err := WriteSlice(t.Context(), path, format, TSRFC3339, src, run.BarRange{First: 10, End: 50}); err != nil {
			t.Fatal(err)
		}
		set, err := bars.ReadFile(path, bars.ReadOptions{Extra: true})
		if err != nil || !slices.Equal(set.Bars, src.bars[10:50]) || set.Extra != nil || set.ExtraSkipped != nil {
			t.Errorf("%s: %d bars, %d extra columns, %v", format, len(set.Bars), len(set.Extra), err)
		}
	}
	var want strings.Builder
	if err := bars.WriteCSV(&want, src.bars[10:50]); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "slice.csv")); err != nil || string(text) != want.String() {
		t.Errorf("the text is not that of WriteCSV: %v", err)
	}
}

// The source is asked for a block at a time, cut where its own slices are.
func TestBlocksOfASlice(t *testing.T) {
	src := newMemorySource(2*blockBars + 10)
	src.extra = nil
	r := run.BarRange{First: blockBars - 5, End: 2*blockBars + 10}
	if _, err := WriteSlice(t.Context(), filepath.Join(t.TempDir(), "s.parquet"), SliceParquet, TSRFC3339, src, r); err != nil {
		t.Fatal(err)
	}
	want := []run.BarRange{{First: blockBars - 5, End: blockBars}, {First: blockBars, End: 2 * blockBars}, {First: 2 * blockBars, End: 2*blockBars + 10}}
	if !slices.Equal(src.asked, want) {
		t.Errorf("asked for %v (want %v)", src.asked, want)
	}
}

func TestASliceThatFailsLeavesNothing(t *testing.T) {
	broken := errors.New("broken")
	all := run.BarRange{First: 0, End: 20}
	stopped, stop := context.WithCancelCause(t.Context())
	why := errors.New("the run is stopped")
	stop(why)
	for name, c := range map[string]struct {
		ctx    context.Context
		change func(*memorySource)
		format string
		r      run.BarRange
		want   string
	}{
		"bars break off":    {t.Context(), func(s *memorySource) { s.fail, s.failAt = broken, 7 }, SliceParquet, all, broken.Error()},
		"no extra columns":  {t.Context(), func(s *memorySource) { s.noExtra = broken }, SliceCSV, all, broken.Error()},
		"too few bars":      {t.Context(), func(s *memorySource) { s.bars = s.bars[:9] }, SliceParquet, all, "gave 9 bars of [0, 20)"},
		"an empty range":    {t.Context(), nil, SliceParquet, run.BarRange{First: 3, End: 3}, "there are none"},
		"an unknown format": {t.Context(), nil, "xlsx", all, `format "xlsx" (want parquet or csv)`},
		"a stop":            {stopped, nil, SliceParquet, all, why.Error()},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "slice")
		if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		src := newMemorySource(20)
		if c.change != nil {
			c.change(src)
		}
		times, err := WriteSlice(c.ctx, path, c.format, TSRFC3339, src, c.r)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || times != nil {
			t.Errorf("%s: %d times, error %v (want one that names the file and says %s)", name, len(times), err, c.want)
		}
		if list, _ := os.ReadDir(dir); len(list) != 1 {
			t.Errorf("%s: %d files are left", name, len(list))
		}
		if text, _ := os.ReadFile(path); string(text) != "before" {
			t.Errorf("%s: the file holds %q", name, text)
		}
	}
	if _, err := WriteSlice(t.Context(), filepath.Join(t.TempDir(), "none", "s"), SliceCSV, TSRFC3339, newMemorySource(3), run.BarRange{First: 0, End: 3}); err == nil {
		t.Error("written into a directory that is not there")
	}
}

func BenchmarkWriteSlice(b *testing.B) {
	plain := newMemorySource(blockBars)
	plain.extra = nil
	for name, src := range map[string]*memorySource{"bars": plain, "4 extra columns": newMemorySource(blockBars)} {
		for _, format := range []string{SliceParquet, SliceCSV} {
			b.Run(format+" of "+name, func(b *testing.B) {
				path := filepath.Join(b.TempDir(), "slice")
				for b.Loop() {
					if _, err := WriteSlice(b.Context(), path, format, TSRFC3339, src, run.BarRange{First: 0, End: blockBars}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
