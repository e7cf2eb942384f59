package perf

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"gx1replay/internal/footer"
)

// ErrVerify: a perf JSON contradicts itself.
var ErrVerify = errors.New("perf JSON contradicts itself")

// Verify reads a perf JSON and computes from its chunks all that follows
// from them: statuses, counts, coverage, totals, outcome. Its error holds Differences, one for each field that does not fit; such an error
// is an ErrVerify, one of a file that cannot be read is not.
func Verify(b []byte) error {
	_, err := ParseVerified(b)
	return err
}

// ParseVerified is Parse and Verify in one, for half the work. With an
// ErrVerify it returns what it read as well.
func ParseVerified(b []byte) (File, error) {
	d, err := decode(b)
	if err != nil {
		return File{}, fmt.Errorf("reading a perf JSON: %w", err)
	}
	f, err := d.file()
	if err != nil {
		return File{}, fmt.Errorf("reading a perf JSON: %w", err)
	}
	if err := d.verify(f).Err(); err != nil {
		return f, fmt.Errorf("%w: %w", ErrVerify, err)
	}
	return f, nil
}

// compared is a field, the value that the file has, and the one that follows
// from the rest.
type compared struct {
	field     string
	got, want any
}

func (d *Differences) compare(prefix string, list ...compared) {
	for _, c := range list {
		if c.got != c.want {
			d.Add(prefix+c.field, c.got, c.want)
		}
	}
}

// orAbsent is a number that a file need not have.
func orAbsent(x *float64) any {
	if x == nil {
		return "absent"
	}
	return *x
}

func (d decoded) verify(f File) Differences {
	diffs := d.verifyChunks(f.Chunks)
	diffs = append(diffs, d.verifySelection(f)...)
	// What newHeader writes for these chunks is what the file must say.
	got, want := d.header, newHeader(f.Report, f.Report.Count(f.Chunks))
	diffs.compare("",
		compared{"schema_version", got.SchemaVersion, want.SchemaVersion},
		compared{"export_seq", got.ExportSeq, want.ExportSeq},
		compared{"export_partial", got.ExportPartial, want.ExportPartial},
		compared{"chunks_total", got.ChunksTotal, want.ChunksTotal},
		compared{"chunks_completed", got.ChunksCompleted, want.ChunksCompleted},
		compared{"coverage.planned_bars", got.Coverage.PlannedBars, want.Coverage.PlannedBars},
		compared{"coverage.replayed_bars", got.Coverage.ReplayedBars, want.Coverage.ReplayedBars},
		compared{"coverage.missing_bars", got.Coverage.MissingBars, want.Coverage.MissingBars},
		compared{"total_bars", got.TotalBars, want.TotalBars},
		compared{"total_model_calls", got.TotalModelCalls, want.TotalModelCalls},
		compared{"total_trades", got.TotalTrades, want.TotalTrades},
		compared{"total_pnl_bps", got.TotalPnlBps, want.TotalPnlBps},
		compared{"total_net_pnl_bps", orAbsent(got.NetPnlBps), orAbsent(want.NetPnlBps)},
		compared{"trades_open", got.TradesOpen, want.TradesOpen},
		compared{"selection.stretches", got.Selection.Stretches, want.Selection.Stretches},
		compared{"outcome", got.Outcome, want.Outcome},
	)
	// A file of an earlier version has no such list.
	if got.TotalsUnreported != nil && !slices.Equal(got.TotalsUnreported, want.TotalsUnreported) {
		diffs.Add("totals_unreported", got.TotalsUnreported, want.TotalsUnreported)
	}
	diffs.byStatus(got.Coverage.ByStatus, want.Coverage.ByStatus)
	// A recovery from footers alone does not know the data set.
	if planned := want.Coverage.PlannedBars; len(f.Chunks) > 0 && got.Data.Bars != 0 && got.Data.Bars != planned {
		diffs.Add("data.bars", got.Data.Bars, fmt.Sprintf("%d, the sum of planned_bars", planned))
	}
	return diffs
}

// VerifyTime holds the time of a run against that of its sessions. It is apart
// from Verify: no export fails for it.
func (f File) VerifyTime() (diffs Differences) {
	const rounding = 1e-3 // seconds
	got, want := f.Report.Wall.Seconds(), WallOf(f.Report.Sessions).Seconds()
	if len(f.Report.Sessions) > 0 && math.Abs(got-want) > rounding {
		diffs.Add("total_wall_clock_sec", got, fmt.Sprintf("%v, the sum of sessions", want))
	}
	return diffs
}

// verifyChunks holds each chunk against its neighbours, its own status and
// chunks_statuses.
func (d decoded) verifyChunks(chunks []Chunk) (diffs Differences) {
	first := int64(0)
	for i, f := range d.footers {
		id := strconv.Itoa(i)
		for _, c := range [...]compared{
			{"run_id", f.RunID, string(d.header.RunID)},
			{"chunk_id", f.ChunkID, id},
			{"first_bar", f.FirstBar, first},
			{"end_bar", f.EndBar, first + f.PlannedBars},
			// An ok chunk has an ok footer, and no other has.
			{"status", f.Status, chunks[i].settled(first).Status},
			{"bars_processed", f.BarsProcessed, chunks[i].Line.Bars()}, // of attempt 0: 0
		} {
			if c.got != c.want {
				diffs.Add(fmt.Sprintf("chunks[%d].%s", i, c.field), c.got, c.want)
			}
		}
		if d.statuses[id] != f.Status {
			diffs.Add(fmt.Sprintf("chunks_statuses[%q]", id), d.statuses[id], f.Status)
		}
		first += f.PlannedBars
	}
	if len(d.statuses) != len(d.footers) {
		diffs.Add("chunks_statuses", fmt.Sprintf("of %d chunks", len(d.statuses)), len(d.footers))
	}
	return diffs
}

// verifySelection holds the selection against the chunks.
func (d decoded) verifySelection(f File) (diffs Differences) {
	if d.header.selected() {
		return f.Report.Selection.verify(f.Chunks)
	}
	for i, t := range d.trades {
		if t.Known {
			diffs.Add("selection.scope", ScopeChunks, fmt.Sprintf("%s or %s: chunks[%d] has %s", ScopeRun, ScopeStretches, i, localKey))
			break
		}
	}
	none := TradesFile{}
	diffs.compare("trades.",
		compared{"file", d.header.Trades.File, none.File},
		compared{"sha256", d.header.Trades.SHA256, none.SHA256},
		compared{"without_rows", d.header.Trades.WithoutRows, none.WithoutRows},
	)
	diffs.compare("signals.", compared{"file", d.header.Signals.File, ""}, compared{"sha256", d.header.Signals.SHA256, ""}, compared{"rows", d.header.Signals.Rows, int64(0)})
	return diffs
}

func (d *Differences) byStatus(got, want map[footer.Status]StatusCount) {
	for _, s := range slices.Sorted(maps.Keys(want)) {
		if got[s] != want[s] {
			d.Add("coverage.by_status."+string(s), fmt.Sprintf("%+v", got[s]), fmt.Sprintf("%+v", want[s]))
		}
	}
	for _, s := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[s]; !ok {
			d.Add("coverage.by_status."+string(s), fmt.Sprintf("%+v", got[s]), "nothing")
		}
	}
}
