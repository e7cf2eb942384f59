package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"os"
	"path/filepath"

	"gx1replay/internal/perf"
	"gx1replay/internal/trade"
)

// TradesCSV is the path of the run's trades, the file that its perf JSON names.
func (t Target) TradesCSV() string { return t.readers("trades_", ".csv") }

// TradesParquet is the path of the same rows as parquet.
func (t Target) TradesParquet() string { return t.readers("trades_", ".parquet") }

// Metrics is the path of the figures of the run's trades.
func (t Target) Metrics() string { return t.readers("metrics_", ".json") }

// Attribution is the path of the counts of where bars and signals went.
func (t Target) Attribution() string { return t.readers("attribution_", ".json") }

// Summary is the path of the text for people; Curve is its picture.
func (t Target) Summary() string { return t.readers("summary_", ".md") }

// Curve is the path of the equity curve.
func (t Target) Curve() string { return t.readers("equity_", ".svg") }

func (t Target) readers(prefix, suffix string) string {
	return filepath.Join(t.RunDir(), prefix+string(t.RunID)+suffix)
}

// writeFiles writes the files about the trades of p, each aside, synced and
// renamed, and returns the name of the CSV, relative to the perf JSON's
// directory, and its SHA-256. The files are there before the perf JSON that
// names one of them is.
func (s *Selector) writeFiles(ctx context.Context, r perf.Report, p *pass) (name, sha string, err error) {
	r.Selection = p.sel
	totals := r.Count(p.chunks)
	metrics := trade.Measure(p.closed(), p.sessions, s.Policy.Costs)
	summary := trade.Summary{
		RunID: r.RunID, Outcome: string(totals.Outcome), Scope: string(p.sel.Scope), Policy: r.Policy.Name, Fill: r.Fill, Data: r.Data,
		OpenPnlBps: p.openPnlBps, WithoutRows: p.sel.Trades.WithoutRows, Remarks: p.sel.Remarks, Metrics: metrics, Attribution: p.attribution, CurveFile: filepath.Base(s.Target.Curve()),
	}
	sum := sha256.New()
	err = s.Config.writeAll(ctx, s.Target, []writtenFile{
		{s.Target.TradesCSV(), func(w io.Writer) error {
			return trade.WriteCSV(io.MultiWriter(w, sum), p.closed(), p.sessions, s.Policy.Costs)
		}},
		{s.Target.TradesParquet(), func(w io.Writer) error {
			return trade.WriteParquet(w, p.closed(), p.sessions, s.Policy.Costs)
		}},
		{s.Target.Metrics(), metrics.WriteJSON},
		{s.Target.Attribution(), p.attribution.WriteJSON},
		{s.Target.Curve(), func(w io.Writer) error { return trade.WriteCurve(w, p.closed(), s.Policy.Costs) }},
		{s.Target.Summary(), summary.WriteMarkdown},
	}...)
	if err != nil {
		return "", "", err
	}
	rel, err := filepath.Rel(s.Target.Dir, s.Target.TradesCSV())
	return filepath.ToSlash(rel), hex.EncodeToString(sum.Sum(nil)), err
}

// closed yields the closed trades, in order of their signals.
func (p *pass) closed() iter.Seq[*trade.Signal] {
	return func(yield func(*trade.Signal) bool) {
		for i := range p.trades {
			if !yield(&p.trades[i]) {
				return
			}
		}
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
