package perf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"gx1replay/internal/footer"
)

// ErrVerify: a perf JSON contradicts itself.
var ErrVerify = errors.New("perf JSON contradicts itself")

// Verify reads a perf JSON and computes from its chunks all that follows from
// them: statuses, counts, coverage, totals, outcome. Its error names the
// first field that does not fit, its value and what was expected; such an
// error is an ErrVerify, one of a file that cannot be read is not.
func Verify(b []byte) error {
	_, err := ParseVerified(b)
	return err
}

// ParseVerified is Parse and Verify in one, for half the work.
func ParseVerified(b []byte) (File, error) {
	d, err := decode(b)
	if err != nil {
		return File{}, fmt.Errorf("reading a perf JSON: %w", err)
	}
	f, err := d.file()
	if err != nil {
		return File{}, fmt.Errorf("reading a perf JSON: %w", err)
	}
	if err := d.verify(f); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrVerify, err)
	}
	return f, nil
}

// mismatch is the error of a field that does not fit.
func mismatch(field string, got, want any) error {
	return fmt.Errorf("%s is %v (expected %v)", field, got, want)
}

func (d decoded) verify(f File) error {
	if err := d.verifyChunks(f.Chunks); err != nil {
		return err
	}
	if err := d.verifySelection(f); err != nil {
		return err
	}
	// What newHeader writes for these chunks is what the file must say.
	got, want := d.header, newHeader(f.Report, f.Report.Count(f.Chunks))
	for _, c := range []struct {
		field     string
		got, want any
	}{
		{"schema_version", got.SchemaVersion, want.SchemaVersion},
		{"export_seq", got.ExportSeq, want.ExportSeq},
		{"chunks_total", got.ChunksTotal, want.ChunksTotal},
		{"chunks_completed", got.ChunksCompleted, want.ChunksCompleted},
		{"coverage.planned_bars", got.Coverage.PlannedBars, want.Coverage.PlannedBars},
		{"coverage.replayed_bars", got.Coverage.ReplayedBars, want.Coverage.ReplayedBars},
		{"coverage.missing_bars", got.Coverage.MissingBars, want.Coverage.MissingBars},
		{"total_bars", got.TotalBars, want.TotalBars},
		{"total_model_calls", got.TotalModelCalls, want.TotalModelCalls},
		{"total_trades", got.TotalTrades, want.TotalTrades},
		{"total_pnl_bps", got.TotalPnlBps, want.TotalPnlBps},
		{"trades_open", got.TradesOpen, want.TradesOpen},
		{"selection.stretches", got.Selection.Stretches, want.Selection.Stretches},
		{"outcome", got.Outcome, want.Outcome},
	} {
		if c.got != c.want {
			return mismatch(c.field, c.got, c.want)
		}
	}
	if err := verifyByStatus(got.Coverage.ByStatus, want.Coverage.ByStatus); err != nil {
		return err
	}
	// A recovery from footers alone does not know the data set.
	if planned := want.Coverage.PlannedBars; len(f.Chunks) > 0 && got.Data.Bars != 0 && got.Data.Bars != planned {
		return mismatch("data.bars", got.Data.Bars, fmt.Sprintf("%d, the sum of planned_bars", planned))
	}
	return nil
}

// verifyChunks holds each chunk against its neighbours, its own status and
// chunks_statuses.
func (d decoded) verifyChunks(chunks []Chunk) error {
	first := int64(0)
	for i, f := range d.footers {
		id := strconv.Itoa(i)
		for _, c := range []struct {
			field     string
			got, want any
		}{
			{"run_id", f.RunID, string(d.header.RunID)},
			{"chunk_id", f.ChunkID, id},
			{"first_bar", f.FirstBar, first},
			{"end_bar", f.EndBar, first + f.PlannedBars},
			// An ok chunk has an ok footer, and no other has.
			{"status", f.Status, chunks[i].settled(first).Status},
			{"bars_processed", f.BarsProcessed, chunks[i].Line.Bars()}, // of attempt 0: 0
		} {
			if c.got != c.want {
				return mismatch(fmt.Sprintf("chunks[%d].%s", i, c.field), c.got, c.want)
			}
		}
		if d.statuses[id] != f.Status {
			return mismatch(fmt.Sprintf("chunks_statuses[%q]", id), d.statuses[id], f.Status)
		}
		first += f.PlannedBars
	}
	if len(d.statuses) != len(d.footers) {
		return mismatch("chunks_statuses", fmt.Sprintf("of %d chunks", len(d.statuses)), len(d.footers))
	}
	return nil
}

// verifySelection holds the selection against the chunks.
func (d decoded) verifySelection(f File) error {
	if d.header.selected() {
		return f.Report.Selection.verify(f.Chunks)
	}
	for i, t := range d.trades {
		if t.Known {
			return mismatch("selection.scope", ScopeChunks, fmt.Sprintf("%s or %s: chunks[%d] has %s", ScopeRun, ScopeStretches, i, localKey))
		}
	}
	return nil
}

func verifyByStatus(got, want map[footer.Status]StatusCount) error {
	for _, s := range slices.Sorted(maps.Keys(want)) {
		if got[s] != want[s] {
			return mismatch("coverage.by_status."+string(s), fmt.Sprintf("%+v", got[s]), fmt.Sprintf("%+v", want[s]))
		}
	}
	for _, s := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[s]; !ok {
			return mismatch("coverage.by_status."+string(s), fmt.Sprintf("%+v", got[s]), "nothing")
		}
	}
	return nil
}
