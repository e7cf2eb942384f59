package trade

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/footer"
)

// Columns of a command's own trades that figures are made of, by their names.
const (
	ownEntry   = "entry_time"
	ownExit    = "exit_time"
	ownPnl     = "pnl_bps"
	ownMAE     = "mae_bps"
	ownMFE     = "mfe_bps"
	ownSession = "session"
	ownReason  = "exit_reason"
)

var ownColumns = []string{ownEntry, ownExit, ownPnl, ownMAE, ownMFE, ownSession, ownReason}

// OwnTrades is what figures are made of in the trades that a command has made by
// itself. A column counts if each row has a value in it: what is made of a part of
// the rows would be taken for the whole.
type OwnTrades struct {
	rows []ownRow
	// given are the columns that count. lacking says how many rows have no value
	// in one that is there and does not.
	given   map[string]bool
	lacking map[string]int64
}

// mostBps bounds a number of bps, as in a footer: sums and squares stay finite.
const mostBps = 1 << 53

type ownRow struct {
	outcome
	reason string
}

// ReadOwn reads a CSV of a command's own trades. parse reads a time, as ns since
// 1970 UTC. Columns are found by name, whatever their order and case.
func ReadOwn(r io.Reader, parse func(string) (ns int64, ok bool)) (*OwnTrades, error) {
	cr := csv.NewReader(r)
	cr.ReuseRecord = true
	header, err := cr.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header of the trades: %w", err)
	}
	at := map[string]int{}
	for _, name := range ownColumns {
		is := func(h string) bool { return strings.EqualFold(strings.TrimSpace(CellText(h)), name) }
		if k := slices.IndexFunc(header, is); k >= 0 && !slices.ContainsFunc(header[k+1:], is) {
			at[name] = k
		}
	}
	t := &OwnTrades{given: map[string]bool{}, lacking: map[string]int64{}}
	for {
		record, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the trades: %w", err)
		}
		t.rows = append(t.rows, t.row(record, at, parse))
	}
	for name := range at {
		t.given[name] = t.lacking[name] == 0
	}
	return t, nil
}

// row reads one trade and counts the values that it lacks.
func (t *OwnTrades) row(record []string, at map[string]int, parse func(string) (int64, bool)) ownRow {
	var row ownRow
	number := func(text string) (x float64, ok bool) {
		x, err := strconv.ParseFloat(text, 64)
		return x, err == nil && math.Abs(x) <= mostBps
	}
	for name, k := range at {
		text := strings.TrimSpace(CellText(record[k]))
		ok := text != ""
		switch name {
		case ownEntry:
			row.entryNS, ok = parse(text)
			row.entryBar = row.entryNS
		case ownExit:
			row.exitNS, ok = parse(text)
			row.exitBar = row.exitNS
		case ownPnl:
			row.pnl, ok = number(text)
		case ownMAE:
			row.mae, ok = number(text)
		case ownMFE:
			row.mfe, ok = number(text)
		case ownSession:
			row.session = strings.Clone(text)
		case ownReason:
			row.reason = strings.Clone(text)
		}
		if !ok {
			t.lacking[name]++
		}
	}
	return row
}

// Rows is how many trades there are.
func (t *OwnTrades) Rows() int64 { return int64(len(t.rows)) }

// Lacking says, for each column of figures that is there and does not count, how
// many rows have no value in it.
func (t *OwnTrades) Lacking() []string {
	var list []string
	for _, name := range ownColumns {
		if n := t.lacking[name]; n > 0 {
			list = append(list, fmt.Sprintf("%s in %d of %d rows", name, n, len(t.rows)))
		}
	}
	return list
}

func (t *OwnTrades) outcomes() []outcome {
	list := make([]outcome, len(t.rows))
	for i := range t.rows {
		list[i] = t.rows[i].outcome
	}
	return list
}

// Measure makes the metrics of t, in the order of its rows.
func (t *OwnTrades) Measure() Metrics {
	m := measure(t.outcomes(), known{
		pnl: t.given[ownPnl], mae: t.given[ownMAE], mfe: t.given[ownMFE],
		session: t.given[ownSession], entry: t.given[ownEntry], exit: t.given[ownExit],
	})
	m.Unreported = unreported(reflect.ValueOf(m))
	return m
}

// HasCurve says whether it is known when pnl was realised: each trade has a pnl
// and an exit.
func (t *OwnTrades) HasCurve() bool { return t.given[ownPnl] && t.given[ownExit] }

// WriteCurve draws the curve of t; there is one only if HasCurve says so.
func (t *OwnTrades) WriteCurve(w io.Writer) error { return writeCurve(w, t.outcomes(), "pnl") }

// Attribute makes the attribution of t by the footers that speak for the run's
// chunks. A count is there only if all footers report it.
func (t *OwnTrades) Attribute(footers []footer.Footer) Attribution {
	a := Attribution{Schema: FilesSchema, NTrades: t.Rows(), Unreported: []string{}}
	for _, c := range []struct {
		name  string
		to    **int64
		count func(*footer.Footer) int64
	}{
		{"bars_processed", &a.BarsProcessed, func(f *footer.Footer) int64 { return f.BarsProcessed }},
		{"bars_skipped_warmup", &a.BarsSkippedWarmup, func(f *footer.Footer) int64 { return f.BarsSkippedWarmup }},
		{"pregate_skips", &a.PregateSkips, func(f *footer.Footer) int64 { return f.PregateSkips }},
		{"pregate_passes", &a.PregatePasses, func(f *footer.Footer) int64 { return f.PregatePasses }},
		{"n_signals", &a.NSignals, func(f *footer.Footer) int64 { return f.NSignals }},
		{"trades_open", &a.TradesOpen, func(f *footer.Footer) int64 { return f.TradesOpen }},
	} {
		if slices.ContainsFunc(footers, func(f footer.Footer) bool { return slices.Contains(f.Unreported, c.name) }) {
			a.Unreported = append(a.Unreported, c.name)
			continue
		}
		*c.to = new(int64)
		for i := range footers {
			**c.to += c.count(&footers[i])
		}
	}
	// Reasons of skips and drops are no fields that a command can leave out;
	// they count where their sum is reported.
	for _, r := range []struct {
		name  string
		there bool
		to    *footer.Counts
		count func(footer.Counts)
	}{
		{"skip_reasons", a.PregateSkips != nil, &a.SkipReasons, func(sum footer.Counts) {
			for i := range footers {
				add(sum, footers[i].SkipReasons)
			}
		}},
		{"drop_reasons", a.NSignals != nil, &a.DropReasons, func(sum footer.Counts) {
			for i := range footers {
				add(sum, footers[i].DropReasons)
			}
		}},
		{"exit_reasons", t.given[ownReason], &a.ExitReasons, func(sum footer.Counts) {
			for i := range t.rows {
				sum[t.rows[i].reason]++
			}
		}},
	} {
		if !r.there {
			a.Unreported = append(a.Unreported, r.name)
			continue
		}
		*r.to = footer.Counts{}
		r.count(*r.to)
	}
	return a
}
