package selection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// readTrades reads a trades file that a command's own trades were joined in.
func readTrades(r io.Reader) (*trade.OwnTrades, error) { return trade.ReadOwn(r, execengine.ParseTime) }

// footersOf are the authoritative footers of chunks.
func footersOf(chunks []perf.Chunk) []footer.Footer {
	var list []footer.Footer
	for _, c := range chunks {
		if !c.Line.IsZero() {
			list = append(list, c.Line.Footer())
		}
	}
	return list
}

// writeFigures writes the files about a command's own trades, which are in the
// trades file: metrics, attribution, summary, and the curve where the trades
// have one.
func (j *join) writeFigures(ctx context.Context, r perf.Report) error {
	path := j.Files.TradesCSV()
	f, _, err := safefile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // it was read only
	t, err := readTrades(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.Selection = j.sel
	totals := r.Count(j.chunks)
	summary := trade.Summary{
		RunID: r.RunID, Outcome: string(totals.Outcome), Policy: r.Policy.Name, Data: r.Data,
		Bars: totals.Coverage.ReplayedBars, WithoutRows: j.sel.Trades.WithoutRows,
		Own:     &trade.OwnCounts{Trades: totals.TotalTrades, PnlBps: totals.TotalPnlBps, Lacking: t.Lacking()},
		Metrics: t.Measure(), Attribution: t.Attribute(footersOf(j.chunks)),
	}
	list := figureFiles(j.Files, summary.Metrics, summary.Attribution)
	if t.HasCurve() {
		summary.CurveFile = filepath.Base(j.Files.Curve())
		list = append(list, file{path: j.Files.Curve(), write: t.WriteCurve})
	} else if err := os.Remove(j.Files.Curve()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the curve of an earlier export: %w", err)
	}
	return j.writeFiles(ctx, append(list, file{path: j.Files.Summary(), write: summary.WriteMarkdown})...)
}
