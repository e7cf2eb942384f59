package execengine

import (
	"bytes"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// emptyParquet is a parquet file without rows: with the columns of row, or, as
// pandas writes a frame without columns, with none.
func emptyParquet(t *testing.T, columns ...string) []byte {
	t.Helper()
	group := parquet.Group{}
	for _, name := range columns {
		group[name] = parquet.Leaf(parquet.Int64Type)
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[any](&b, parquet.NewSchema("schema", group))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An empty frame is none, in trades and signals, as CSV and as parquet: a table
// without rows has no columns to impose.
func TestEmptyFrames(t *testing.T) {
	frames := map[string]struct {
		name string
		text []byte
	}{
		"no bytes":                        {".csv", nil},
		"pandas, index=False":             {".csv", []byte("\n")},
		"pandas":                          {".csv", []byte("\"\"\n")},
		"pandas, CRLF":                    {".csv", []byte("\"\"\r\n")},
		"a byte order mark":               {".csv", []byte("\uFEFF\n")},
		"other columns, no rows":          {".csv", []byte("foo,bar\n")},
		"parquet without columns":         {".parquet", emptyParquet(t)},
		"parquet of an index alone":       {".parquet", emptyParquet(t, parquetIndex)},
		"parquet, other columns, no rows": {".parquet", emptyParquet(t, "foo", "bar")},
	}
	for name, c := range frames {
		dir := t.TempDir()
		leaveFile(t, dir, "signals"+c.name, c.text)
		list, err := ReadSignals(in(t, dir), m5(10), 100, signalsOwn, false)
		if err != nil || len(list) != 0 {
			t.Errorf("signals, %s: %v, %v (want none)", name, list, err)
		}
		leaveFile(t, dir, "trades"+c.name, c.text)
		got, err := ReadTrades(in(t, dir), false)
		if err != nil || got == nil || got.Rows != 0 || !got.Pnl || got.PnlBps != 0 {
			t.Errorf("trades, %s: %+v, %v (want no rows)", name, got, err)
		}
	}
	// With a row, the columns count.
	for name, text := range map[string]string{"signals.csv": "foo,bar\n1,2\n", "scores.csv": "foo,bar\n1,2\n"} {
		dir := t.TempDir()
		leaveFile(t, dir, name, []byte(text))
		_, errSignals := ReadSignals(in(t, dir), m5(10), 100, signalsOwn, false)
		_, errScores := ReadScores(in(t, dir), m5(4), false)
		if errSignals == nil || errScores == nil {
			t.Errorf("%s: %v, %v (want errors)", name, errSignals, errScores)
		}
	}
}

// One empty cell of pnl_bps leaves the sum unknown; a table without rows has a
// sum, whatever its columns.
func TestOwnPnl(t *testing.T) {
	for text, want := range map[string]struct {
		sum   float64
		known bool
	}{
		"pnl_bps\n1\n-0.5\n":         {0.5, true},
		"id,pnl_bps\n1,1\n2,\n3,2\n": {0, false},
		"id,pnl_bps\n1,1\n2,nan\n":   {0, false},
		"id,pnl_bps\n1,1\n2,x\n":     {0, false},
		"id\n1\n":                    {0, false},
		"id\n":                       {0, true},
		"pnl_bps\n":                  {0, true},
	} {
		dir := t.TempDir()
		leaveFile(t, dir, "trades.csv", []byte(text))
		if got, err := ReadTrades(in(t, dir), false); err != nil || got.Pnl != want.known || got.PnlBps != want.sum {
			t.Errorf("%q: %+v, %v (want %+v)", text, got, err, want)
		}
	}
}
