package selection

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// ErrVerify: the files about a run's trades are not what follows from its perf
// JSON, or from each other.
var ErrVerify = errors.New("the files about the trades contradict the perf JSON")

// maxVerified bounds a file that is read to be verified: ten million trades.
const maxVerified = 4 << 30

// Verified is what was computed from the files about a run's trades.
type Verified struct {
	File   string  `json:"file"` // the CSV's path; empty: the perf JSON names none
	SHA256 string  `json:"sha256"`
	Rows   int64   `json:"rows"`
	PnlBps float64 `json:"pnl_bps"` // of the rows; 0 of a command's own trades
	// NetPnlBps is that after costs, of rows that have them.
	NetPnlBps *float64 `json:"net_pnl_bps,omitempty"`
	// Others are further files that were there and were compared.
	Others []string `json:"others"`
	// Missing are files that a run writes beside the CSV and that are not there,
	// so that nothing of them was compared.
	Missing []string `json:"missing"`
}

// Verify computes digest, rows and sums from the trades file that the perf
// JSON at path names, and holds them against f, run and chunk by chunk; and, if
// they lie beside it, the parquet's rows, the metrics and the attribution
// against its rows. Of a command's own trades the pnl is not known, and their
// number only where every chunk is done and has counted its own. An ErrVerify
// holds perf.Differences, one for each value that does not fit. Another error
// is that of a file that cannot be read.
func Verify(path string, f perf.File) (Verified, error) {
	v := verifier{perf: path, f: f, found: Verified{Others: []string{}, Missing: []string{}}}
	if f.Report.Selection.Trades.File == "" {
		return v.found, nil
	}
	err := v.verify()
	if err == nil {
		if err = v.diffs.Err(); err != nil {
			err = fmt.Errorf("%w: %w", ErrVerify, err)
		}
	}
	return v.found, err
}

type verifier struct {
	perf  string
	f     perf.File
	rows  []trade.Row
	found Verified
	diffs perf.Differences
}

func (v *verifier) verify() error {
	t := v.f.Report.Selection.Trades
	if !filepath.IsLocal(filepath.FromSlash(t.File)) {
		v.diffs.Add("trades.file", fmt.Sprintf("%.200q", t.File), "a path below the perf JSON's directory")
		return nil
	}
	// Beside the perf JSON stands the directory; beside its copy the file.
	path := filepath.Join(filepath.Dir(v.perf), filepath.FromSlash(t.File))
	b, err := safefile.Read(path, maxVerified)
	if errors.Is(err, fs.ErrNotExist) {
		near := filepath.Join(filepath.Dir(v.perf), filepath.Base(path))
		if beside, errNear := safefile.Read(near, maxVerified); !errors.Is(errNear, fs.ErrNotExist) {
			path, b, err = near, beside, errNear
		}
	}
	v.found.File = path
	if err != nil {
		return fmt.Errorf("reading the trades file: %w", err)
	}
	if v.found.SHA256 = digest(b); v.found.SHA256 != t.SHA256 {
		v.in(path, func(d *perf.Differences) {
			d.Add("sha256", v.found.SHA256, t.SHA256+", trades.sha256 of the perf JSON")
		})
	}
	if v.f.Report.Selection.Scope == perf.ScopeCommand {
		return v.command(path, b)
	}
	v.rows, err = trade.ReadCSV(b)
	v.found.Rows = int64(len(v.rows))
	if err != nil {
		v.in(path, func(d *perf.Differences) { addError(d, err) })
		return nil
	}
	v.csv(path)
	list := []file{{path: v.files().TradesParquet(), verify: (*verifier).parquet}}
	if v.f.Report.Selection.Signals.File != "" {
		list = append(list, file{path: v.files().Signals(), verify: (*verifier).signals})
	}
	return v.others(filepath.Dir(path), append(list, figureFiles(v.files(), trade.MeasureRows(v.rows), v.attribution())...))
}

// in adds what is found in the file at path.
func (v *verifier) in(path string, find func(*perf.Differences)) {
	var d perf.Differences
	find(&d)
	v.diffs = append(v.diffs, d.In(path)...)
}

// addError adds the error of reading a file.
func addError(d *perf.Differences, err error) {
	if cell := (*trade.CellError)(nil); errors.As(err, &cell) {
		addCell(d, fmt.Sprintf("line %d: ", cell.Line), cell)
		return
	}
	d.Add("content", strings.Join(strings.Fields(err.Error()), " "), "rows as the run writes them")
}

func addCell(d *perf.Differences, where string, c *trade.CellError) {
	d.Add(where+c.Column, c.Value, c.Want)
}

// shownRows is how many rows of a file are named that differ.
const shownRows = 20

// csv holds the rows of the CSV against each other and against the perf JSON.
func (v *verifier) csv(path string) {
	costs, known := v.costs()
	v.in(path, func(d *perf.Differences) {
		wrong := 0
		for i := range v.rows {
			r := &v.rows[i]
			v.found.PnlBps += r.PnlBps
			list := r.Check(i + 2)
			if known {
				list = append(list, r.CheckCharges(i+2, costs)...)
			}
			if r.Charged {
				if v.found.NetPnlBps == nil {
					v.found.NetPnlBps = new(float64)
				}
				*v.found.NetPnlBps += r.Charges.NetPnlBps
			}
			if i > 0 && r.SignalBar < v.rows[i-1].SignalBar {
				list = append(list, &trade.CellError{Line: i + 2, Column: "signal_bar", Value: fmt.Sprint(r.SignalBar),
					Want: fmt.Sprintf("%d, that of the row before, or later", v.rows[i-1].SignalBar)})
			}
			if len(list) == 0 {
				continue
			}
			if wrong++; wrong > shownRows {
				continue
			}
			for _, c := range list {
				addCell(d, fmt.Sprintf("line %d: ", c.Line), c)
			}
		}
		moreRows(d, wrong)
		sel := v.f.Report.Selection
		if want := v.f.Totals.TotalTrades - sel.Trades.WithoutRows; v.found.Rows != want {
			d.Add("rows", v.found.Rows, fmt.Sprintf("%d: total_trades %d less trades.without_rows %d", want, v.f.Totals.TotalTrades, sel.Trades.WithoutRows))
		}
	})
	v.chunks()
	v.net(path)
}

// costs are those of the run's policy, nil if it has none, as far as its perf
// JSON tells: the values of a command's policy are the gate alone.
func (v *verifier) costs() (costs *policy.Costs, known bool) {
	r := v.f.Report
	if len(r.PolicyValues) == 0 || r.Env.Engine == footer.EngineExec {
		return nil, false
	}
	p, err := policy.Parse("policy.values", r.PolicyValues, policy.Options{})
	return p.Costs, err == nil // what is wrong with it VerifyPolicy says
}

// net holds the total after costs against the rows.
func (v *verifier) net(path string) {
	got, want := v.f.Report.Selection.NetPnlBps, v.found.NetPnlBps
	switch {
	case got == nil && (want == nil || v.f.Report.Selection.Trades.WithoutRows > 0):
	case got == nil:
		v.diffs.Add("total_net_pnl_bps", "absent", fmt.Sprintf("%v, the sum of the rows of %s", *want, filepath.Base(path)))
	case want == nil && len(v.rows) > 0:
		v.diffs.Add("total_net_pnl_bps", *got, "absent: the rows have no net_pnl_bps")
	case want == nil && *got != 0:
		v.diffs.Add("total_net_pnl_bps", *got, "0: there are no rows")
	case want != nil && *got != *want:
		v.diffs.Add("total_net_pnl_bps", *got, fmt.Sprintf("%v, the sum of the rows", *want))
	}
}

func moreRows(d *perf.Differences, wrong int) {
	if wrong > shownRows {
		d.Add("rows that differ", wrong, 0)
	}
}

// chunks holds the perf JSON's counts against the rows: those of each chunk
// whose rows are in the file, and the totals.
func (v *verifier) chunks() {
	var rows, withoutRows int64
	sum, without := 0.0, 0.0
	at, first := 0, int64(0)
	for i, c := range v.f.Chunks {
		end := first + c.Planned
		var n int64
		pnl := 0.0
		for ; at < len(v.rows) && v.rows[at].SignalBar < end; at++ {
			n++
			pnl += v.rows[at].PnlBps
			sum += v.rows[at].PnlBps
		}
		first = end
		rows += n
		t := v.f.ChunkTrades(i)
		field := func(name string) string { return fmt.Sprintf("chunks[%d].%s", i, name) }
		switch {
		case t.Known && t.Closed != n:
			v.diffs.Add(field("n_trades_closed"), t.Closed, fmt.Sprintf("%d, its rows in the trades file", n))
		case t.Known && t.PnlBps != pnl:
			v.diffs.Add(field("pnl_bps"), t.PnlBps, fmt.Sprintf("%v, the sum of its rows", pnl))
		case !t.Known && n > 0:
			v.diffs.Add(field("n_trades_closed"), t.Closed, fmt.Sprintf("trades without rows; the trades file has %d", n))
		}
		if !t.Known && !c.Line.IsZero() {
			withoutRows += t.Closed
			without += t.PnlBps
		}
	}
	if left := len(v.rows) - at; left > 0 {
		v.diffs.Add("data.bars", first, fmt.Sprintf("more: %d trades have signals behind the last chunk", left))
	}
	if want := rows + withoutRows; v.f.Totals.TotalTrades != want {
		v.diffs.Add("total_trades", v.f.Totals.TotalTrades, fmt.Sprintf("%d: %d rows and %d trades without rows", want, rows, withoutRows))
	}
	if want := sum + without; v.f.Totals.TotalPnlBps != want {
		v.diffs.Add("total_pnl_bps", v.f.Totals.TotalPnlBps, fmt.Sprintf("%v, the sum of rows and of trades without rows", want))
	}
}

// files are those of the run, wherever it wrote them.
func (v *verifier) files() layout.Run { return layout.Run{RunID: v.f.Report.RunID} }

// command holds the rows b of a command's own trades against f, and the files
// beside the one at path against them.
func (v *verifier) command(path string, b []byte) error {
	rows, err := parseTable(b)
	if err != nil {
		v.in(path, func(d *perf.Differences) { addError(d, err) })
		return nil
	}
	v.found.Rows = rows.n
	v.commandRows(path)
	t, err := readTrades(bytes.NewReader(b))
	if err != nil {
		v.in(path, func(d *perf.Differences) { addError(d, err) })
		return nil
	}
	return v.others(filepath.Dir(path), figureFiles(v.files(), t.Measure(), t.Attribute(footersOf(v.f.Chunks))))
}

// commandRows holds the number of rows of a command's own trades against f,
// where every chunk is done and has counted its own.
func (v *verifier) commandRows(path string) {
	for _, c := range v.f.Chunks {
		if c.Line.IsZero() {
			continue
		}
		if !c.Line.IsOK() || slices.Contains(c.Line.Footer().Unreported, "n_trades_closed") {
			return
		}
	}
	total, without := v.f.Totals.TotalTrades, v.f.Report.Selection.Trades.WithoutRows
	if want := total - without; v.found.Rows != want {
		v.in(path, func(d *perf.Differences) {
			d.Add("rows", v.found.Rows, fmt.Sprintf("%d: total_trades %d less trades.without_rows %d", want, total, without))
		})
	}
}
