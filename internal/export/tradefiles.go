package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
	if err := mkdir(s.Target.RunDir()); err != nil {
		return "", "", err
	}
	r.Selection = p.sel
	totals := r.Count(p.chunks)
	metrics := trade.Measure(p.closed(), p.sessions)
	summary := trade.Summary{
		RunID: r.RunID, Outcome: string(totals.Outcome), Scope: string(p.sel.Scope), Policy: r.Policy.Name, Fill: r.Fill, Data: r.Data,
		OpenPnlBps: p.openPnlBps, Metrics: metrics, Attribution: p.attribution, CurveFile: filepath.Base(s.Target.Curve()),
	}
	sum := sha256.New()
	for _, f := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{s.Target.TradesCSV(), func(w io.Writer) error {
			return trade.WriteCSV(io.MultiWriter(w, sum), p.closed(), p.sessions)
		}},
		{s.Target.TradesParquet(), func(w io.Writer) error { return trade.WriteParquet(w, p.closed(), p.sessions) }},
		{s.Target.Metrics(), metrics.WriteJSON},
		{s.Target.Attribution(), p.attribution.WriteJSON},
		{s.Target.Curve(), func(w io.Writer) error { return trade.WriteCurve(w, p.closed()) }},
		{s.Target.Summary(), summary.WriteMarkdown},
	} {
		if err := context.Cause(ctx); err != nil {
			return "", "", err
		}
		var took Steps
		if _, err := s.Config.replace(f.path, s.Target.RunID, f.write, &took, nil); err != nil {
			return "", "", err
		}
	}
	if err := syncDir(s.Target.RunDir()); err != nil {
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

// ErrTrades: a trades file is not the one that its perf JSON names, or says
// something else.
var ErrTrades = errors.New("the trades file does not fit the perf JSON")

// VerifyTrades holds the trades file that the perf JSON at path names against
// it: its bytes by their digest, the number of rows and the sum of their pnl.
// Of a command's own trades the pnl is not known, and their number only where
// every chunk is done and has counted its own. It returns the file's path,
// empty if f names none. Such an error, but for a
// file that cannot be read, is an ErrTrades.
func VerifyTrades(path string, f perf.File) (string, error) {
	sel := f.Report.Selection
	if sel.Trades.File == "" {
		return "", nil
	}
	if !filepath.IsLocal(filepath.FromSlash(sel.Trades.File)) {
		return "", fmt.Errorf("%w: trades.file is %.200q (want a path below the perf JSON's directory)", ErrTrades, sel.Trades.File)
	}
	// Beside the perf JSON stands the directory; beside its copy the file.
	name := filepath.Join(filepath.Dir(path), filepath.FromSlash(sel.Trades.File))
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		if near := filepath.Join(filepath.Dir(path), filepath.Base(name)); fileExists(near) {
			name = near
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return name, fmt.Errorf("reading the trades file: %w", err)
	}
	if sum := digest(b); sum != sel.Trades.SHA256 {
		return name, fmt.Errorf("%w: %s has SHA-256 %s (trades.sha256 is %s)", ErrTrades, name, sum, sel.Trades.SHA256)
	}
	if sel.Scope == perf.ScopeCommand {
		return name, verifyOwn(name, b, f)
	}
	rows, total, err := trade.SumCSV(b)
	if err != nil {
		return name, fmt.Errorf("%w: %s: %w", ErrTrades, name, err)
	}
	without := 0.0
	for i, c := range f.Chunks {
		if t := f.ChunkTrades(i); !t.Known && !c.Line.IsZero() {
			without += t.PnlBps
		}
	}
	if n := rows + sel.Trades.WithoutRows; n != f.Totals.TotalTrades {
		return name, fmt.Errorf("%w: %s has %d rows, with trades.without_rows %d these are %d (total_trades is %d)", ErrTrades, name, rows, sel.Trades.WithoutRows, n, f.Totals.TotalTrades)
	}
	if total+without != f.Totals.TotalPnlBps {
		return name, fmt.Errorf("%w: pnl_bps of %s adds up to %v (total_pnl_bps is %v)", ErrTrades, name, total+without, f.Totals.TotalPnlBps)
	}
	return name, nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
