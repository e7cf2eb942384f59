package slow

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Replayed is what the slow engine prints.
type Replayed struct {
	Rows       []map[string]any `json:"rows"`
	Counts     map[string]int64 `json:"counts"`
	OpenPnlBps float64          `json:"open_pnl_bps"`
}

// Parse reads what the slow engine has printed.
func Parse(b []byte) (Replayed, error) {
	var r Replayed
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("reading what the slow engine printed: %w", err)
	}
	return r, nil
}

// perfFile is what is judged of a perf JSON.
type perfFile struct {
	Outcome string
	Exact   bool `json:"borders_exact"`
	Trades  struct{ File string }
	Chunks  []struct {
		Signals    int64            `json:"n_signals"`
		ModelCalls int64            `json:"n_model_calls"`
		Warmup     int64            `json:"bars_skipped_warmup"`
		Open       int64            `json:"trades_open"`
		OpenPnlBps float64          `json:"open_pnl_bps"`
		Drops      map[string]int64 `json:"drop_reasons"`
		Skips      map[string]int64 `json:"skip_reasons"`
	}
}

// maxDifferences keeps a judgement readable.
const maxDifferences = 20

// Judge says where the trades file and the counts of the complete run of the
// perf JSON at path are not those of want. An error means that there is nothing
// to judge.
func Judge(path string, want Replayed) (differences []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a perf JSON: %w", err)
	}
	var f perfFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if f.Outcome != "complete" || !f.Exact || f.Trades.File == "" {
		return nil, fmt.Errorf("%s: outcome %q, borders_exact %t, trades file %q (expected a complete run)", path, f.Outcome, f.Exact, f.Trades.File)
	}
	file, err := os.Open(filepath.Join(filepath.Dir(path), filepath.FromSlash(f.Trades.File)))
	if err != nil {
		return nil, fmt.Errorf("opening a trades file: %w", err)
	}
	defer file.Close() // it is only read
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("reading %s: %d lines, %w", f.Trades.File, len(rows), err)
	}
	differences = append(differences, f.counts(want)...)
	if got := len(rows) - 1; got != len(want.Rows) {
		differences = append(differences, fmt.Sprintf("%d trades (the slow engine has %d)", got, len(want.Rows)))
	}
	for i := range min(len(rows)-1, len(want.Rows)) {
		if len(differences) >= maxDifferences {
			return append(differences, "… and perhaps more"), nil
		}
		differences = append(differences, judgeRow(rows[0], rows[i+1], want.Rows[i])...)
	}
	return differences, nil
}

func (f perfFile) counts(want Replayed) (differences []string) {
	got, open := map[string]int64{}, 0.0
	for _, c := range f.Chunks {
		got["n_signals"] += c.Signals
		got["n_model_calls"] += c.ModelCalls
		got["bars_skipped_warmup"] += c.Warmup
		got["trades_open"] += c.Open
		open += c.OpenPnlBps
		for reason, n := range c.Drops {
			got["drop:"+reason] += n
		}
		for reason, n := range c.Skips {
			got["skip:"+reason] += n
		}
	}
	names := maps.Clone(got)
	maps.Copy(names, want.Counts)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got[name] != want.Counts[name] {
			differences = append(differences, fmt.Sprintf("%s is %d (the slow engine has %d)", name, got[name], want.Counts[name]))
		}
	}
	if math.Abs(open-want.OpenPnlBps) > 1e-9*(1+math.Abs(open)) {
		differences = append(differences, fmt.Sprintf("open_pnl_bps is %v (the slow engine has %v)", open, want.OpenPnlBps))
	}
	return differences
}

// judgeRow compares texts and numbers, each number to the bit but for the
// score, whose last digits are the exponential function's.
func judgeRow(header, got []string, want map[string]any) (differences []string) {
	if len(header) != len(want) {
		return []string{fmt.Sprintf("the columns are %s (the slow engine has %d)", strings.Join(header, ","), len(want))}
	}
	for i, column := range header {
		same := false
		switch w := want[column].(type) {
		case string:
			same = got[i] == w
		case float64:
			x, err := strconv.ParseFloat(got[i], 64)
			same = err == nil && (x == w || column == "score" && math.Abs(x-w) < 1e-14)
		}
		if !same {
			differences = append(differences, fmt.Sprintf("%s: %s is %s (the slow engine has %v)", got[0], column, got[i], want[column]))
		}
	}
	return differences
}
