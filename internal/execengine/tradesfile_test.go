package execengine

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func TestReadTrades(t *testing.T) {
	for name, c := range map[string]struct {
		file, text, want string
		rows             int
	}{
		"as it is":           {"trades.csv", "id,pnl,\"note, long\"\n1,2.50,\"a\nb\"\n2,-0,x\n", "id,pnl,\"note, long\"\n1,2.50,\"a\nb\"\n2,-0,x\n", 2},
		"CRLF, no last end":  {"trades.csv", "id,pnl\r\n1,2", "id,pnl\r\n1,2\n", 1},
		"a byte order mark":  {"trades.csv", "\uFEFFid,pnl\n1,2\n", "id,pnl\n1,2\n", 1},
		"the header alone":   {"trade_outcomes_x.csv", "id,pnl\n", "id,pnl\n", 0},
		"the original's":     {"trade_outcomes_run_chunk_3.csv", ",trade_id\n0,T1\n", ",trade_id\n0,T1\n", 1},
		"an empty one":       {"trades.csv", "", "", 0},
		"of an empty frame":  {"trades.csv", "\n", "", 0},
		"with its index":     {"trades.csv", "\"\"\n", "", 0},
		"blank lines":        {"trade_outcomes_1.csv", "\r\n \n", "", 0},
		"none that is known": {"positions.csv", "id\n1\n", "", 0},
	} {
		dir := t.TempDir()
		leaveFile(t, dir, c.file, []byte(c.text))
		got, err := ReadTrades(in(t, dir), false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.want == "" {
			if none := strings.HasPrefix(name, "none"); none != (got == nil) || got != nil && (got.Content != nil || got.Rows != 0 || !got.Pnl || got.PnlBps != 0) {
				t.Errorf("%s: %+v", name, got)
			}
			if got, err := ReadTrades(in(t, dir), true); got != nil && len(got.Content) > 0 || err != nil {
				t.Errorf("%s, of a stopped command: %+v, %v", name, got, err)
			}
			continue
		}
		if got == nil || string(got.Content) != c.want || got.Rows != c.rows {
			t.Errorf("%s: %+v (want %q, %d rows)", name, got, c.want, c.rows)
		}
	}
	// trades.csv goes before all others.
	dir := t.TempDir()
	leaveFile(t, dir, "trades.csv", []byte("a\n1\n"))
	leaveFile(t, dir, "trade_outcomes_1.csv", []byte("b\n1\n"))
	leaveFile(t, dir, "trade_outcomes_2.csv", []byte("b\n1\n"))
	if got, err := ReadTrades(in(t, dir), false); err != nil || !bytes.HasPrefix(got.Content, []byte("a")) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadTradesParquet(t *testing.T) {
	type row struct {
		TradeID string   `parquet:"trade_id"`
		Exit    int64    `parquet:"exit_time,timestamp(microsecond)"`
		Pnl     float32  `parquet:"pnl_bps"`
		Price   float64  `parquet:"price"`
		N       int64    `parquet:"n"`
		U       uint64   `parquet:"u"`
		B       bool     `parquet:"B"`
		Lower   bool     `parquet:"b"`
		Score   *float64 `parquet:"score,optional"`
		Day     int32    `parquet:"day,date"`
	}
	third := 1.0 / 3
	content := parquetOf(t, []row{
		{"T,1", 1767366245000000, 0.1, 2000.25, 1 << 60, 1 << 63, true, false, &third, 20455},
		{"T\"2\"", 1767366245000001, -2, 1e300, -1, 1, false, true, nil, 0},
	}, parquet.Compression(&parquet.Snappy))
	dir := t.TempDir()
	leaveFile(t, dir, "trade_outcomes_1.parquet", content)
	got, err := ReadTrades(in(t, dir), false)
	if err != nil {
		t.Fatal(err)
	}
	const want = "trade_id,exit_time,pnl_bps,price,n,u,B,b,score,day\n" +
		"\"T,1\",2026-01-02T15:04:05Z,0.1,2000.25,1152921504606846976,9223372036854775808,true,false,0.3333333333333333,2026-01-02T00:00:00Z\n" +
		"\"T\"\"2\"\"\",2026-01-02T15:04:05.000001Z,-2,1e+300,-1,1,false,true,,1970-01-01T00:00:00Z\n"
	if string(got.Content) != want || got.Rows != 2 {
		t.Errorf("%d rows:\n%s\nwant\n%s", got.Rows, got.Content, want)
	}
	leaveFile(t, dir, "trade_outcomes_1.parquet", content[:len(content)-1])
	if got, err := ReadTrades(in(t, dir), true); err != nil || got != nil {
		t.Errorf("a torn file of a stopped command: %v, %v", got, err)
	}
	if _, err := ReadTrades(in(t, dir), false); err == nil {
		t.Error("a torn file is taken")
	}
}

func TestReadTradesErrors(t *testing.T) {
	for want, text := range map[string]string{
		"wrong number of fields":              "id,pnl\n1\n",
		`line 1: "1" names no column`:         "1,2.5\n2,3.5\n",
		"is not UTF-8":                        "id\n\xff\n",
		`extraneous or missing " in quoted`:   "id\n\"1\n",
		`parse error on line 2, column 3: ba`: "id\n1 \"x\n",
	} {
		dir := t.TempDir()
		leaveFile(t, dir, "trades.csv", []byte(text))
		if _, err := ReadTrades(in(t, dir), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v (want an error with %s)", text, err, want)
		}
	}
	dir := t.TempDir()
	leaveFile(t, dir, "trade_outcomes_1.csv", []byte("b\n1\n"))
	leaveFile(t, dir, "trade_outcomes_2.csv", []byte("b\n1\n"))
	if _, err := ReadTrades(in(t, dir), false); err == nil || !strings.Contains(err.Error(), "trade_outcomes_1.csv, trade_outcomes_2.csv") {
		t.Errorf("two files: %v", err)
	}
	dir = t.TempDir()
	leaveFile(t, dir, "trades.csv", []byte("id,pnl\n1,2.5\n2,3."))
	if got, err := ReadTrades(in(t, dir), true); err != nil || string(got.Content) != "id,pnl\n1,2.5\n" {
		t.Errorf("a torn row: %+v, %v", got, err)
	}
}

func TestPnlOfTwoColumns(t *testing.T) {
	for header, known := range map[string]bool{"pnl_bps,tag": true, "pnl_bps,pnl_bps": false, "pnl_bps, pnl_bps ": false} {
		dir := t.TempDir()
		leaveFile(t, dir, "trades.csv", []byte(header+"\n1,2\n"))
		got, err := ReadTrades(in(t, dir), false)
		if err != nil || got.Pnl != known || got.Rows != 1 || (got.PnlBps != 0) != known {
			t.Errorf("%s: %+v, %v (want a known sum: %v)", header, got, err, known)
		}
	}
}

func FuzzReadTrades(f *testing.F) {
	f.Add([]byte("id,pnl\n1,2.5\n\"a\nb\",x"), false, false)
	f.Add([]byte("id,pnl\r\n1,2.5\r\n2,"), false, true)
	f.Add([]byte(""), false, false)
	f.Add([]byte("\"\"\n"), false, false)
	type row struct {
		ID   string  `parquet:"id"`
		Time int64   `parquet:"time,timestamp(millisecond)"`
		X    float64 `parquet:"x,optional"`
	}
	f.Add(parquetOf(f, []row{{"a,b", 1, 2.5}, {"c\n", -1, 0}}), true, false)
	f.Fuzz(func(t *testing.T, content []byte, asParquet, partial bool) {
		dir, name := t.TempDir(), "trades.csv"
		if asParquet {
			name = "trades.parquet"
		}
		leaveFile(t, dir, name, content)
		got, err := ReadTrades(in(t, dir), partial)
		if err != nil || got == nil {
			return
		}
		if got.Content == nil { // an empty table; in CSV there is no cell to lose
			if name := strings.Trim(string(content), "\ufeff\" \t\r\n\v\f\u0085\u00a0"); got.Rows != 0 || !asParquet && strings.ContainsAny(name, ",;0123456789") {
				t.Fatalf("%q is read as an empty table of %d rows", content, got.Rows)
			}
			return
		}
		rows, err := csv.NewReader(bytes.NewReader(got.Content)).ReadAll()
		if err != nil || len(rows) != got.Rows+1 || got.Content[len(got.Content)-1] != '\n' {
			t.Fatalf("%d rows are read as %d: %v", got.Rows, len(rows)-1, err)
		}
	})
}
