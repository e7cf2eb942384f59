package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gx1replay/internal/perf"
	"gx1replay/test/testsize"
)

// verifiable is a complete run of the built-in engine, as it lies on the disk.
type verifiable struct {
	t    *testing.T
	dir  string
	perf string
	good map[string][]byte // by path
}

// builtinRun replays the example policy over four chunks and returns where the
// run wrote.
func builtinRun(t *testing.T, id, data string, args ...string) string {
	t.Helper()
	ownPlaces(t)
	dir := t.TempDir()
	list := []string{"run", "--policy", "../../examples/policies/gated.yaml", "--data", data, "--run-id", id, "--output-dir", dir,
		"--workers", "1", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet"}
	if got := coordinates(t, append(list, args...)...); got.code != 0 {
		t.Fatalf("the run ended with exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	return dir
}

func newVerifiable(t *testing.T, args ...string) *verifiable {
	v := &verifiable{t: t, dir: builtinRun(t, "v1", "synthetic:9000", append(args, "--chunks", "4")...), good: map[string][]byte{}}
	v.perf = filepath.Join(v.dir, "perf_v1.json")
	for _, path := range []string{v.perf, v.csv(), v.of("trades_", ".parquet"), v.of("signals_", ".parquet"), v.of("metrics_", ".json"), v.of("attribution_", ".json")} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v.good[path] = b
	}
	return v
}

func (v *verifiable) of(prefix, suffix string) string {
	return filepath.Join(v.dir, "v1", prefix+"v1"+suffix)
}

func (v *verifiable) csv() string { return v.of("trades_", ".csv") }

// write replaces the content of a file.
func (v *verifiable) write(path string, b []byte) {
	v.t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		v.t.Fatal(err)
	}
}

// replace replaces what the first match of a pattern's group has.
func (v *verifiable) replace(path, pattern, with string) {
	v.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		v.t.Fatal(err)
	}
	at := regexp.MustCompile(pattern).FindSubmatchIndex(b)
	if at == nil {
		v.t.Fatalf("%s has no %s", path, pattern)
	}
	v.write(path, slices.Concat(b[:at[2]], []byte(with), b[at[3]:]))
}

// sign makes the perf JSON name the CSV as it is now.
func (v *verifiable) sign() {
	v.t.Helper()
	b, err := os.ReadFile(v.csv())
	if err != nil {
		v.t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	v.replace(v.perf, `"trades": \{\s*"file": "[^"]*",\s*"sha256": "([0-9a-f]*)"`, hex.EncodeToString(sum[:]))
}

// rows edits the lines of the CSV behind the header.
func (v *verifiable) rows(edit func([]string) []string) {
	v.t.Helper()
	lines := strings.SplitAfter(strings.TrimSuffix(string(v.good[v.csv()]), "\n"), "\n")
	last := len(lines) - 1
	lines[last] += "\n"
	if len(lines) < 4 {
		v.t.Fatalf("%d lines of trades are too few for this test", len(lines))
	}
	v.write(v.csv(), []byte(lines[0]+strings.Join(edit(lines[1:]), "")))
}

// Whatever is changed in the files of a run, verify names it.
func TestVerifyNamesWhatWasChanged(t *testing.T) {
	v := newVerifiable(t)
	got := coordinates(t, "verify", v.perf)
	if got.code != 0 {
		t.Fatalf("the run as it is: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	cut := func(rows []string) []string { return rows[:len(rows)-1] }
	column := func(n int, with func(string) string) func([]string) []string {
		return func(rows []string) []string {
			cells := strings.Split(rows[1], ",")
			cells[n] = with(cells[n])
			return slices.Concat(rows[:1], []string{strings.Join(cells, ",")}, rows[2:])
		}
	}
	csv, parquet := filepath.Base(v.csv()), "trades_v1.parquet"
	for _, c := range []struct {
		name   string
		change func()
		want   []string // each in some line
	}{
		{"a row removed", func() { v.rows(cut) }, []string{csv + ": rows is", csv + ": sha256 is"}},
		{"a row removed, digest adapted", func() { v.rows(cut); v.sign() }, []string{csv + ": rows is", ".n_trades_closed is", parquet + ": rows is", "metrics_v1.json: n_trades is"}},
		{"a row added, digest adapted", func() {
			v.rows(func(rows []string) []string { return append(rows, rows[len(rows)-1]) })
			v.sign()
		}, []string{csv + ": rows is", ".n_trades_closed is"}},
		{"a pnl changed", func() { v.rows(column(3, func(string) string { return "7.25" })) }, []string{csv + ": line 3: pnl_bps is 7.25 (expected ", csv + ": sha256 is"}},
		{"a pnl changed, digest adapted", func() { v.rows(column(3, func(string) string { return "7.25" })); v.sign() },
			[]string{csv + ": line 3: pnl_bps is 7.25 (expected ", "total_pnl_bps is", parquet + ": row 2: pnl_bps is", "metrics_v1.json: total_pnl_bps is"}},
		{"a price changed, digest adapted", func() { v.rows(column(15, func(s string) string { return "1" + s })); v.sign() }, []string{csv + ": line 3: pnl_bps is"}},
		{"an id changed, digest adapted", func() { v.rows(column(0, func(string) string { return "T000000001" })); v.sign() }, []string{csv + ": line 3: trade_id is T000000001 (expected T"}},
		{"a cell that is no number", func() { v.rows(column(3, func(string) string { return "NaN" })); v.sign() }, []string{csv + ": line 3: pnl_bps is \"NaN\" (expected a finite number)"}},
		{"no CSV", func() { _ = os.Remove(v.csv()) }, []string{csv}},
		{"total_trades", func() { v.replace(v.perf, `"total_trades": ([0-9]+)`, "9999") }, []string{"perf_v1.json: total_trades is 9999 (expected "}},
		{"total_pnl_bps", func() { v.replace(v.perf, `"total_pnl_bps": ([-0-9.e]+)`, "1234.5") }, []string{"perf_v1.json: total_pnl_bps is 1234.5 (expected "}},
		{"total_pnl_bps in the last digits", func() { v.replace(v.perf, `"total_pnl_bps": [-0-9]+\.[0-9]{4}([0-9]*)`, "1") }, []string{"perf_v1.json: total_pnl_bps is"}},
		{"without_rows", func() { v.replace(v.perf, `"without_rows": (0)`, "3") }, []string{"perf_v1.json: trades.without_rows is 3 (expected 0)", csv + ": rows is"}},
		{"a chunk's trades", func() { v.replace(v.perf, `"chunk_id":"1".*?"n_trades_closed":([0-9]+)`, "77") }, []string{"perf_v1.json: chunks[1].n_trades_closed is 77 (expected ", "total_trades is"}},
		{"a chunk's pnl in the last digits", func() { v.replace(v.perf, `"chunk_id":"1".*?"pnl_bps":[-0-9]+\.[0-9]{4}([0-9]*)`, "1") }, []string{"perf_v1.json: chunks[1].pnl_bps is"}},
		{"more than one", func() {
			v.replace(v.perf, `"total_bars": ([0-9]+)`, "1")
			v.replace(v.perf, `"total_model_calls": ([0-9]+)`, "2")
			v.replace(v.perf, `"total_wall_clock_sec": ([0-9.]+)`, "9999")
		}, []string{"total_bars is 1 (expected 9000)", "total_model_calls is 2 (expected ", "total_wall_clock_sec is 9999"}},
		{"policy.values", func() { v.replace(v.perf, `"values": \{[^}]*"enabled": (true)`, "false") }, []string{"policy.values.replay_config.replay_pregate.enabled is false (expected true)"}},
		{"the parquet is another", func() { v.replace(v.of("trades_", ".parquet"), `(?s)PAR1.*(PAR1)`, "XXXX") }, []string{parquet + ": content is"}},
		{"the signals are others", func() { v.replace(v.of("signals_", ".parquet"), `(?s)PAR1.*(PAR1)`, "XXXX") }, []string{"signals_v1.parquet: content is"}},
		{"the signals are cut", func() { b := v.good[v.of("signals_", ".parquet")]; v.write(v.of("signals_", ".parquet"), b[:len(b)/2]) }, []string{"signals_v1.parquet: sha256 is", "signals_v1.parquet: content is"}},
		{"the parquet is cut", func() { b := v.good[v.of("trades_", ".parquet")]; v.write(v.of("trades_", ".parquet"), b[:len(b)/2]) }, []string{parquet + ": content is"}},
		{"metrics", func() { v.replace(v.of("metrics_", ".json"), `"n_trades": ([0-9]+)`, "3") }, []string{"metrics_v1.json: n_trades is 3 (expected "}},
		{"metrics of a session", func() { v.replace(v.of("metrics_", ".json"), `(?s)"by_session".*?"mean_pnl_bps": ([-0-9.]+)`, "5.5") }, []string{"metrics_v1.json: by_session."}},
		{"metrics are no JSON", func() { v.write(v.of("metrics_", ".json"), []byte("{")) }, []string{"metrics_v1.json: content is"}},
		{"attribution", func() { v.replace(v.of("attribution_", ".json"), `"n_trades": ([0-9]+)`, "3") }, []string{"attribution_v1.json: n_trades is 3 (expected "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for path, b := range v.good {
				v.write(path, b)
			}
			v.t = t
			c.change()
			got := coordinates(t, "verify", v.perf)
			if got.code != 1 {
				t.Errorf("exit code %d (want 1)", got.code)
			}
			holds(t, "verify", got.stdout+got.stderr, c.want...)

			got = coordinates(t, "verify", v.perf, "--json")
			var out struct {
				OK          bool `json:"ok"`
				Differences []struct{ File, Field, Value, Expected string }
			}
			if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code != 1 || out.OK {
				t.Fatalf("--json: exit code %d, %v\n%s", got.code, err, got.stdout)
			}
			var lines bytes.Buffer
			for _, d := range out.Differences {
				lines.WriteString(d.File + ": " + d.Field + " is " + d.Value + " (expected " + d.Expected + ")\n")
			}
			if c.name != "no CSV" {
				holds(t, "verify --json", lines.String(), c.want...)
			}
		})
	}
}

// Each number that verify prints is computed from the file beside it.
func TestVerifyPrintsWhatItComputed(t *testing.T) {
	testsize.All(t)
	v := newVerifiable(t)
	got := coordinates(t, "verify", v.perf)
	rows := bytes.Count(v.good[v.csv()], []byte("\n")) - 1
	sum := sha256.Sum256(v.good[v.csv()])
	if got.code != 0 || rows < 3 {
		t.Fatalf("exit code %d, %d rows\n%s%s", got.code, rows, got.stdout, got.stderr)
	}
	holds(t, "verify", got.stdout, "run v1, complete, 9000 of 9000 bars in 4 chunks", "trades_v1.csv: ", "trades_v1.parquet: agrees", "metrics_v1.json: ", "attribution_v1.json: ")
	got = coordinates(t, "verify", v.perf, "--json")
	var out struct {
		OK     bool `json:"ok"`
		Trades struct {
			Rows   int
			PnlBps float64 `json:"pnl_bps"`
			SHA256 string
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
		t.Fatal(err)
	}
	if !out.OK || out.Trades.Rows != rows || out.Trades.SHA256 != hex.EncodeToString(sum[:]) || out.Trades.PnlBps == 0 {
		t.Errorf("%+v (want %d rows)", out, rows)
	}
}

// Trades whose rows were lost are counted apart. What verify prints of rows and
// of lost ones is computed, and a wrong number of lost ones is named.
func TestVerifyOfLostRows(t *testing.T) {
	testsize.All(t)
	v := newVerifiable(t)
	for _, path := range []string{v.of("trades_", ".parquet"), v.of("signals_", ".parquet"), v.of("metrics_", ".json"), v.of("attribution_", ".json")} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	f, err := perf.Parse(v.good[v.perf])
	if err != nil {
		t.Fatal(err)
	}
	// The signals of chunk 1 are lost: its own counts stand, without rows.
	lost := f.Chunks[1].Line.Footer()
	sel := &f.Report.Selection
	sel.Chunks[1] = perf.ChunkTrades{}
	sel.Scope, sel.Exact, sel.TotalPnlBps = perf.ScopeStretches, false, 0
	sel.Trades.WithoutRows = lost.NTradesClosed
	first, end := lost.FirstBar, lost.EndBar
	kept := 0
	v.rows(func(rows []string) []string {
		return slices.DeleteFunc(rows, func(row string) bool {
			cells := strings.Split(row, ",")
			bar, errBar := strconv.ParseInt(cells[17], 10, 64)
			pnl, errPnl := strconv.ParseFloat(cells[3], 64)
			if errBar != nil || errPnl != nil {
				t.Fatal(errBar, errPnl)
			}
			if bar >= first && bar < end {
				return true
			}
			sel.TotalPnlBps += pnl
			kept++
			return false
		})
	})
	sel.TotalPnlBps += lost.PnlBps
	b, err := perf.Append(nil, f.Report, f.Chunks)
	if err != nil {
		t.Fatal(err)
	}
	v.write(v.perf, b)
	v.sign()
	if lost.NTradesClosed < 1 || kept < 1 {
		t.Fatalf("%d rows are kept and %d lost: too few for this test", kept, lost.NTradesClosed)
	}
	got := coordinates(t, "verify", v.perf)
	if got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "verify", got.stdout, "trades_v1.csv: "+strconv.Itoa(kept)+" rows, ", counted(int(lost.NTradesClosed), "further trade")+" without rows")
	for _, wrong := range []int64{0, lost.NTradesClosed - 1, lost.NTradesClosed + 1} {
		v.write(v.perf, b)
		v.sign()
		v.replace(v.perf, `"without_rows": ([0-9]+)`, strconv.FormatInt(wrong, 10))
		got := coordinates(t, "verify", v.perf)
		if got.code != 1 {
			t.Errorf("without_rows %d: exit code %d\n%s", wrong, got.code, got.stdout)
		}
		holds(t, "verify", got.stdout, fmt.Sprintf("trades.without_rows is %d (expected %d)", wrong, lost.NTradesClosed), "trades_v1.csv: rows is "+strconv.Itoa(kept))
	}
}

// A file about the trades that is gone is named: nothing of it was compared.
func TestVerifyNamesWhatIsGone(t *testing.T) {
	v := newVerifiable(t)
	gone := []string{v.of("trades_", ".parquet"), v.of("signals_", ".parquet"), v.of("metrics_", ".json"), v.of("attribution_", ".json")}
	for i, path := range gone {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		got := coordinates(t, "verify", v.perf)
		if got.code != 0 {
			t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
		for k, path := range gone {
			if said := strings.Contains(got.stdout, path+": not found, so not compared"); said != (k <= i) {
				t.Errorf("%s is said to be gone: %v (want %v)\n%s", path, said, k <= i, got.stdout)
			}
		}
	}
	var out struct {
		OK     bool `json:"ok"`
		Trades struct {
			Others  []string `json:"others"`
			Missing []string `json:"missing"`
		} `json:"trades"`
	}
	got := coordinates(t, "verify", v.perf, "--json")
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
		t.Fatal(err)
	}
	if !out.OK || len(out.Trades.Others) != 0 || !slices.Equal(out.Trades.Missing, gone) {
		t.Errorf("%+v (want missing %q)", out, gone)
	}
}
