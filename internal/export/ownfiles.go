package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// readOwn reads the trades file that a command's own trades were joined in.
func readOwn(path string) (*trade.OwnTrades, error) {
	f, _, err := safefile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was read only
	t, err := trade.ReadOwn(f, execengine.ParseTime)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// footersOf are the footers that speak for chunks.
func footersOf(chunks []perf.Chunk) []footer.Footer {
	var list []footer.Footer
	for _, c := range chunks {
		if !c.Line.IsZero() {
			list = append(list, c.Line.Footer())
		}
	}
	return list
}

// writeOwnFiles writes the files about a command's own trades, which are in the
// trades file: metrics, attribution, summary, and the curve where the trades have
// one. What cannot be written is logged: the trades are there without it.
func (s *Selector) writeOwnFiles(ctx context.Context, r perf.Report, sel perf.Selection, chunks []perf.Chunk) error {
	t, err := readOwn(s.Target.TradesCSV())
	if err != nil {
		return err
	}
	r.Selection = sel
	totals := r.Count(chunks)
	summary := trade.OwnSummary{
		RunID: r.RunID, Outcome: string(totals.Outcome), Policy: r.Policy.Name, Data: r.Data,
		Bars: totals.Coverage.ReplayedBars, Counted: totals.TotalTrades, WithoutRows: sel.Trades.WithoutRows, PnlBps: totals.TotalPnlBps,
		Metrics: t.Measure(), Attribution: t.Attribute(footersOf(chunks)), Lacking: t.Lacking(),
	}
	files := []writtenFile{{s.Target.Metrics(), summary.Metrics.WriteJSON}, {s.Target.Attribution(), summary.Attribution.WriteJSON}}
	if t.HasCurve() {
		summary.CurveFile = filepath.Base(s.Target.Curve())
		files = append(files, writtenFile{s.Target.Curve(), t.WriteCurve})
	} else if err := os.Remove(s.Target.Curve()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the curve of an earlier export: %w", err)
	}
	return s.Config.writeAll(ctx, s.Target, append(files, writtenFile{s.Target.Summary(), summary.WriteMarkdown})...)
}

// ownFiles holds the files about a command's own trades that lie in dir against
// the trades file at path.
func (v *tradesVerifier) ownFiles(dir, path string) error {
	t, err := readOwn(path)
	if err != nil {
		return nil // the trades file itself is found wrong
	}
	id := string(v.f.Report.RunID)
	for _, o := range []struct {
		name string
		want any
	}{{"metrics_" + id + ".json", t.Measure()}, {"attribution_" + id + ".json", t.Attribute(footersOf(v.f.Chunks))}} {
		path := filepath.Join(dir, o.name)
		err := v.figures(path, o.want)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		v.found.Others = append(v.found.Others, path)
	}
	return nil
}

// digest is the SHA-256 of b, hex.
func digest(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}
