package selection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"syscall"

	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Files are the files about a run's trades, which stand in the run's directory.
type Files struct {
	Dir   string // of the perf JSON
	RunID run.ID
}

// RunDir is the run's directory for readers.
func (f Files) RunDir() string { return filepath.Join(f.Dir, string(f.RunID)) }

// TradesCSV is the path of the run's trades, the file that its perf JSON names.
func (f Files) TradesCSV() string { return f.path("trades_", ".csv") }

// TradesParquet is the path of the same rows as parquet.
func (f Files) TradesParquet() string { return f.path("trades_", ".parquet") }

// Metrics is the path of the figures of the run's trades.
func (f Files) Metrics() string { return f.path("metrics_", ".json") }

// Attribution is the path of the counts of where bars and signals went.
func (f Files) Attribution() string { return f.path("attribution_", ".json") }

// Summary is the path of the text for people; Curve is its picture.
func (f Files) Summary() string { return f.path("summary_", ".md") }

// Curve is the path of the equity curve.
func (f Files) Curve() string { return f.path("equity_", ".svg") }

func (f Files) path(prefix, suffix string) string {
	return filepath.Join(f.RunDir(), prefix+string(f.RunID)+suffix)
}

// writeFiles writes the files about the trades of p, each aside, synced and
// renamed, and returns the name of the CSV, relative to the perf JSON's
// directory, and its SHA-256. The files are there before the perf JSON that
// names one of them is.
func (s *Selector) writeFiles(ctx context.Context, r perf.Report, p *pass) (name, sha string, err error) {
	if err := mkdir(s.Files.RunDir()); err != nil {
		return "", "", err
	}
	r.Selection = p.sel
	totals := r.Count(p.chunks)
	metrics := trade.Measure(p.closed(), p.sessions, s.Policy.Costs)
	summary := trade.Summary{
		RunID: r.RunID, Outcome: string(totals.Outcome), Scope: string(p.sel.Scope), Policy: r.Policy.Name, Fill: r.Fill, Data: r.Data,
		OpenPnlBps: p.openPnlBps, WithoutRows: p.sel.Trades.WithoutRows, Remarks: p.sel.Remarks, Metrics: metrics, Attribution: p.attribution, CurveFile: filepath.Base(s.Files.Curve()),
	}
	sum := sha256.New()
	for _, f := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{s.Files.TradesCSV(), func(w io.Writer) error {
			return trade.WriteCSV(io.MultiWriter(w, sum), p.closed(), p.sessions, s.Policy.Costs)
		}},
		{s.Files.TradesParquet(), func(w io.Writer) error {
			return trade.WriteParquet(w, p.closed(), p.sessions, s.Policy.Costs)
		}},
		{s.Files.Metrics(), metrics.WriteJSON},
		{s.Files.Attribution(), p.attribution.WriteJSON},
		{s.Files.Curve(), func(w io.Writer) error { return trade.WriteCurve(w, p.closed(), s.Policy.Costs) }},
		{s.Files.Summary(), summary.WriteMarkdown},
	} {
		if err := context.Cause(ctx); err != nil {
			return "", "", err
		}
		if err := s.Replace(f.path, f.write); err != nil {
			return "", "", err
		}
	}
	if err := syncDir(s.Files.RunDir()); err != nil {
		return "", "", err
	}
	rel, err := filepath.Rel(s.Files.Dir, s.Files.TradesCSV())
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

func digest(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// syncDir makes renames in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
