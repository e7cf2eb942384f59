//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sameness is all of a complete run that must not depend on how it was cut
// and done.
type sameness struct {
	TradesSHA      string `json:"trades_sha256"`
	ParquetSHA     string `json:"parquet_sha256"`
	MetricsSHA     string `json:"metrics_sha256"`
	AttributionSHA string `json:"attribution_sha256"`

	Trades  int64   `json:"total_trades"`
	PnlBps  float64 `json:"total_pnl_bps"`
	Open    int64   `json:"trades_open"`
	Signals int64   `json:"n_signals"`

	Bars       int64  `json:"total_bars"`
	Warmup     int64  `json:"bars_skipped_warmup"`
	Skips      int64  `json:"pregate_skips"`
	Passes     int64  `json:"pregate_passes"`
	Missing    int64  `json:"pregate_missing_inputs"`
	ModelCalls int64  `json:"total_model_calls"`
	Reasons    string `json:"reasons"` // of skips and drops, each with its number

	odd []string // what a run that was selected over its whole does not say
}

// cutChunk is what is read of a chunk of a perf JSON.
type cutChunk struct {
	Bars    int64            `json:"total_bars"`
	Calls   int64            `json:"n_model_calls"`
	Trades  int64            `json:"n_trades_closed"`
	Open    int64            `json:"trades_open"`
	Signals int64            `json:"n_signals"`
	Warmup  int64            `json:"bars_skipped_warmup"`
	Skips   int64            `json:"pregate_skips"`
	Passes  int64            `json:"pregate_passes"`
	Missing int64            `json:"pregate_missing_inputs"`
	Skipped map[string]int64 `json:"skip_reasons"`
	Dropped map[string]int64 `json:"drop_reasons"`
}

// readSameness reads the perf JSON of a run and the files about its trades.
func readSameness(out, id string) (sameness, error) {
	b, err := os.ReadFile(filepath.Join(out, "perf_"+id+".json"))
	if err != nil {
		return sameness{}, fmt.Errorf("reading the run's file: %w", err)
	}
	var f struct {
		Trades    int64   `json:"total_trades"`
		PnlBps    float64 `json:"total_pnl_bps"`
		Open      int64   `json:"trades_open"`
		Bars      int64   `json:"total_bars"`
		Calls     int64   `json:"total_model_calls"`
		Exact     bool    `json:"borders_exact"`
		Selection struct {
			Scope string `json:"scope"`
		} `json:"selection"`
		File struct {
			Name string `json:"file"`
			SHA  string `json:"sha256"`
			Lost int64  `json:"without_rows"`
		} `json:"trades"`
		Chunks []cutChunk `json:"chunks"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return sameness{}, fmt.Errorf("reading the run's file: %w", err)
	}
	s := sameness{TradesSHA: f.File.SHA, Trades: f.Trades, PnlBps: f.PnlBps, Open: f.Open, Bars: f.Bars, ModelCalls: f.Calls}
	wrong := func(format string, args ...any) { s.odd = append(s.odd, fmt.Sprintf(format, args...)) }
	if f.Selection.Scope != "run" || !f.Exact || f.File.Lost != 0 {
		wrong("selection.scope is %q, borders_exact %v, trades.without_rows %d (expected run, true, 0)", f.Selection.Scope, f.Exact, f.File.Lost)
	}
	skipped, dropped := map[string]int64{}, map[string]int64{}
	var sum cutChunk
	for _, c := range f.Chunks {
		sum.Bars += c.Bars
		sum.Calls += c.Calls
		sum.Trades += c.Trades
		sum.Open += c.Open
		s.Signals += c.Signals
		s.Warmup += c.Warmup
		s.Skips += c.Skips
		s.Passes += c.Passes
		s.Missing += c.Missing
		for name, n := range c.Skipped {
			skipped[name] += n
		}
		for name, n := range c.Dropped {
			dropped[name] += n
		}
	}
	s.Reasons = fmt.Sprint("skips ", skipped, " drops ", dropped)
	if sum.Bars != s.Bars || sum.Calls != s.ModelCalls || sum.Trades != s.Trades || sum.Open != s.Open {
		wrong("the chunks have %d bars, %d model calls, %d trades, %d open (the totals are %d, %d, %d, %d)",
			sum.Bars, sum.Calls, sum.Trades, sum.Open, s.Bars, s.ModelCalls, s.Trades, s.Open)
	}
	if want := id + "/trades_" + id + ".csv"; f.File.Name != want {
		wrong("trades.file is %q (expected %q)", f.File.Name, want)
	}
	for _, file := range []struct {
		to   *string
		name string
	}{
		{&s.TradesSHA, "trades_" + id + ".csv"}, {&s.ParquetSHA, "trades_" + id + ".parquet"},
		{&s.MetricsSHA, "metrics_" + id + ".json"}, {&s.AttributionSHA, "attribution_" + id + ".json"},
	} {
		b, err := os.ReadFile(filepath.Join(out, id, file.name))
		if err != nil {
			return s, fmt.Errorf("reading a file about the run's trades: %w", err)
		}
		sum := sha256.Sum256(b)
		*file.to = hex.EncodeToString(sum[:])
	}
	if s.TradesSHA != f.File.SHA {
		wrong("the trades file has SHA-256 %s (trades.sha256 is %s)", s.TradesSHA, f.File.SHA)
	}
	if s.Trades == 0 {
		wrong("there are no trades, which show nothing: give it more bars")
	}
	return s, nil
}

// judge says what is wrong with s, or differs from first, nil if there is
// none.
func (s sameness) judge(first *sameness) (wrong []string) {
	wrong = s.odd
	if first == nil {
		return wrong
	}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"the trades file", s.TradesSHA, first.TradesSHA}, {"the trades file as parquet", s.ParquetSHA, first.ParquetSHA},
		{"the metrics", s.MetricsSHA, first.MetricsSHA}, {"the attribution", s.AttributionSHA, first.AttributionSHA},
		{"total_trades", s.Trades, first.Trades}, {"total_pnl_bps", s.PnlBps, first.PnlBps}, {"trades_open", s.Open, first.Open},
		{"n_signals", s.Signals, first.Signals}, {"total_bars", s.Bars, first.Bars}, {"bars_skipped_warmup", s.Warmup, first.Warmup},
		{"pregate_skips", s.Skips, first.Skips}, {"pregate_passes", s.Passes, first.Passes},
		{"pregate_missing_inputs", s.Missing, first.Missing}, {"total_model_calls", s.ModelCalls, first.ModelCalls},
		{"reasons", s.Reasons, first.Reasons},
	} {
		if c.got != c.want {
			wrong = append(wrong, fmt.Sprintf("%s: %s (in the first run %s)", c.name, strings.TrimSpace(fmt.Sprint(c.got)), strings.TrimSpace(fmt.Sprint(c.want))))
		}
	}
	return wrong
}
