package selection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/trade"
)

// named is how a perf JSON names the file at that path, whose bytes sum has seen.
func named(f layout.Run, at string, sum hash.Hash) (name, sha string) {
	return path.Join(string(f.RunID), filepath.Base(at)), hex.EncodeToString(sum.Sum(nil))
}

// file is one of the files about a run's trades.
type file struct {
	path  string
	write func(io.Writer) error
	// verify holds the file at path, of that name, against what v has read.
	verify func(v *verifier, path string) error
}

// figureFiles are the files of numbers, written and verified by the same values.
func figureFiles(f layout.Run, metrics trade.Metrics, attribution trade.Attribution) []file {
	return []file{
		{f.Metrics(), metrics.WriteJSON, func(v *verifier, path string) error { return v.numbers(path, metrics) }},
		{f.Attribution(), attribution.WriteJSON, func(v *verifier, path string) error { return v.numbers(path, attribution) }},
	}
}

// writeFiles writes files of the run's directory, each aside, synced and
// renamed, until ctx ends. They are there before the perf JSON that names one of
// them is.
func (s *Selector) writeFiles(ctx context.Context, list ...file) error {
	if err := os.Mkdir(s.Files.RunDir(), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for _, f := range list {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := s.Replace(f.path, f.write); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(s.Files.RunDir())
}

// writeFiles writes the files about the selected trades, and names the CSV in the
// selection.
func (p *pass) writeFiles(ctx context.Context, r perf.Report) error {
	r.Selection = p.sel
	costs, sum := p.policy.Costs, sha256.New()
	metrics := trade.Measure(p.closed(), p.sessions, costs)
	summary := trade.Summary{
		RunID: r.RunID, Outcome: string(r.Count(p.chunks).Outcome), Scope: string(p.sel.Scope), Policy: r.Policy.Name, Fill: r.Fill, Data: r.Data,
		Bars: *p.attribution.BarsProcessed, OpenPnlBps: p.openPnlBps, WithoutRows: p.sel.Trades.WithoutRows, Remarks: p.sel.Remarks, Metrics: metrics, Attribution: p.attribution, CurveFile: filepath.Base(p.Files.Curve()),
	}
	list := []file{
		{path: p.Files.TradesCSV(), write: func(w io.Writer) error {
			return trade.WriteCSV(io.MultiWriter(w, sum), p.closed(), p.sessions, costs)
		}},
		{path: p.Files.TradesParquet(), write: func(w io.Writer) error { return trade.WriteParquet(w, p.closed(), p.sessions, costs) }},
	}
	list = append(list, figureFiles(p.Files, metrics, p.attribution)...)
	list = append(list,
		file{path: p.Files.Curve(), write: func(w io.Writer) error { return trade.WriteCurve(w, p.closed(), costs) }},
		file{path: p.Files.Summary(), write: summary.WriteMarkdown})
	err := p.Selector.writeFiles(ctx, list...)
	if err == nil {
		p.sel.Trades.File, p.sel.Trades.SHA256 = named(p.Files, p.Files.TradesCSV(), sum)
	}
	return err
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

func digest(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}
