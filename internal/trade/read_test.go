package trade

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// someTrades are the closed signals of the fixture, in order.
func someTrades(t testing.TB) []Signal {
	t.Helper()
	list := slices.DeleteFunc(fixture(), func(s Signal) bool { return !s.Closed() })
	if len(list) < 3 {
		t.Fatalf("%d closed signals in the fixture", len(list))
	}
	return list
}

// What was written is read back, from either file, and measured alike.
func TestTradesAreReadBack(t *testing.T) {
	list := someTrades(t)
	var want []Row
	for i := range list {
		r, err := NewRow(&list[i], testSessions(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := r.Check(i + 2); len(wrong) > 0 {
			t.Errorf("row %d: %v", i, wrong)
		}
		want = append(want, r)
	}
	got, err := ReadCSV(writeCSV(t, list))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("CSV: %v, got\n%+v\nwant\n%+v", err, got, want)
	}
	b := writeParquet(t, list)
	got, n, err := ReadParquet(bytes.NewReader(b), int64(len(b)), int64(len(want)))
	if err != nil || n != int64(len(want)) || !slices.Equal(got, want) {
		t.Errorf("parquet: %d rows, %v, got\n%+v\nwant\n%+v", n, err, got, want)
	}
	if _, n, err := ReadParquet(bytes.NewReader(b), int64(len(b)), 1); !errors.Is(err, ErrRows) || n != int64(len(want)) {
		t.Errorf("one row expected: %d, %v", n, err)
	}
	m, fromRows := Measure(closedOf(list), testSessions(t), nil), MeasureRows(want)
	if !reflect.DeepEqual(m.Figures, fromRows.Figures) {
		t.Errorf("of rows: %+v, of signals %+v", fromRows.Figures, m.Figures)
	}
	for name, f := range m.BySession {
		if _, traded := fromRows.BySession[name]; traded != (f.NTrades > 0) || traded && !reflect.DeepEqual(fromRows.BySession[name], f) {
			t.Errorf("session %s: of rows %+v, of signals %+v", name, fromRows.BySession[name], f)
		}
	}
}

func TestReadCSVNamesTheCell(t *testing.T) {
	good := string(writeCSV(t, someTrades(t)))
	lines := strings.SplitAfter(good, "\n")
	cell := func(n int, with string) string {
		cells := strings.Split(lines[2], ",")
		cells[n] = with
		return lines[0] + lines[1] + strings.Join(cells, ",")
	}
	for _, c := range []struct{ text, want string }{
		{cell(3, "inf"), `line 3: pnl_bps is "inf" (expected a finite number)`},
		{cell(10, "1.5"), `line 3: duration_bars is "1.5" (expected a whole number)`},
		{cell(1, "yesterday"), `line 3: entry_time is "yesterday" (expected a time`},
		{lines[0] + lines[1] + "a,b\n", "line 3: wrong number of fields"},
		{lines[1], "line 1: "}, {"", "line 1: "},
	} {
		if _, err := ReadCSV([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v (want %s)", err, c.want)
		}
	}
}

// Files that others may write make errors, never a panic.
func FuzzReadTrades(f *testing.F) {
	list := someTrades(f)
	f.Add(writeCSV(f, list))
	f.Add(writeParquet(f, list))
	f.Add([]byte(header(columnsOf(false))))
	f.Add(writeCharged(f, list, exampleCosts()))
	f.Add(writeChargedParquet(f, list, exampleCosts()))
	f.Add([]byte(header(columnsOf(true))))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := ReadCSV(b)
		if err == nil {
			for i := range rows {
				_ = rows[i].Check(i + 2)
				_ = rows[i].CheckCharges(i+2, exampleCosts())
				_ = rows[i].cells(columnsOf(rows[i].Charged))
			}
			_ = MeasureRows(rows)
		}
		got, _, err := ReadParquet(bytes.NewReader(b), int64(len(b)), 3)
		if err == nil && len(got) != 3 {
			t.Errorf("%d rows without an error", len(got))
		}
	})
}
