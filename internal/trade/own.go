package trade

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
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
	outcome         // times in the place of bars
	session, reason string
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
			row.entryBar, ok = parse(text)
		case ownExit:
			row.exitBar, ok = parse(text)
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

// OwnFigures are Figures of which each is there only if the trades tell it.
type OwnFigures struct {
	NTrades       int64    `json:"n_trades"`
	WinRate       *float64 `json:"win_rate,omitzero"`
	TotalPnlBps   *float64 `json:"total_pnl_bps,omitzero"`
	MeanPnlBps    *float64 `json:"mean_pnl_bps,omitzero"`
	MedianPnlBps  *float64 `json:"median_pnl_bps,omitzero"`
	StdPnlBps     *float64 `json:"std_pnl_bps,omitzero"`
	MAEBps        *float64 `json:"mae_bps,omitzero"`
	MFEBps        *float64 `json:"mfe_bps,omitzero"`
	P1Loss        *float64 `json:"p1_loss,omitzero"`
	P5Loss        *float64 `json:"p5_loss,omitzero"`
	MaxDD         *float64 `json:"max_dd,omitzero"`
	MaxLossStreak *int64   `json:"max_loss_streak,omitzero"`
}

// OwnMetrics are Metrics of a command's own trades: what the command does not
// give is not there, and named.
type OwnMetrics struct {
	Schema int `json:"schema"`
	OwnFigures
	BySession map[string]OwnFigures `json:"by_session,omitzero"` // by the column session
	ByMonth   map[string]OwnFigures `json:"by_month,omitzero"`   // of the entries
	// Unreported names what is not there.
	Unreported []string `json:"unreported"`
}

// Measure makes the metrics of t, in the order of its rows.
func (t *OwnTrades) Measure() OwnMetrics {
	var all []outcome
	var sessions, months map[string][]outcome
	if t.given[ownSession] {
		sessions = map[string][]outcome{}
	}
	if t.given[ownEntry] {
		months = map[string][]outcome{}
	}
	for i := range t.rows {
		r := &t.rows[i]
		all = append(all, r.outcome)
		if sessions != nil {
			sessions[r.session] = append(sessions[r.session], r.outcome)
		}
		if months != nil {
			month := monthOf(r.entryBar)
			months[month] = append(months[month], r.outcome)
		}
	}
	m := OwnMetrics{Schema: FilesSchema, OwnFigures: t.figures(all), BySession: t.parts(sessions), ByMonth: t.parts(months), Unreported: []string{}}
	for _, f := range []struct {
		there bool
		names []string
	}{
		{t.given[ownPnl], []string{"win_rate", "total_pnl_bps", "mean_pnl_bps", "median_pnl_bps", "std_pnl_bps"}},
		{t.given[ownMAE], []string{"mae_bps"}},
		{t.given[ownMFE], []string{"mfe_bps"}},
		{t.given[ownPnl], []string{"p1_loss", "p5_loss"}},
		{t.HasCurve(), []string{"max_dd", "max_loss_streak"}},
		{t.given[ownSession], []string{"by_session"}},
		{t.given[ownEntry], []string{"by_month"}},
	} {
		if !f.there {
			m.Unreported = append(m.Unreported, f.names...)
		}
	}
	return m
}

func (t *OwnTrades) parts(of map[string][]outcome) map[string]OwnFigures {
	if of == nil {
		return nil
	}
	out := map[string]OwnFigures{}
	for name, list := range of {
		out[name] = t.figures(list)
	}
	return out
}

// HasCurve says whether it is known when pnl was realised: each trade has a pnl
// and an exit.
func (t *OwnTrades) HasCurve() bool { return t.given[ownPnl] && t.given[ownExit] }

func (t *OwnTrades) figures(list []outcome) OwnFigures {
	f := figures(list)
	o := OwnFigures{NTrades: f.NTrades}
	if t.given[ownPnl] {
		o.WinRate, o.TotalPnlBps, o.MeanPnlBps, o.MedianPnlBps, o.StdPnlBps = &f.WinRate, &f.TotalPnlBps, &f.MeanPnlBps, &f.MedianPnlBps, &f.StdPnlBps
		o.P1Loss, o.P5Loss = &f.P1Loss, &f.P5Loss
	}
	if t.given[ownMAE] {
		o.MAEBps = &f.MAEBps
	}
	if t.given[ownMFE] {
		o.MFEBps = &f.MFEBps
	}
	if t.HasCurve() {
		o.MaxDD, o.MaxLossStreak = &f.MaxDD, &f.MaxLossStreak
	}
	return o
}

// WriteJSON writes m as Metrics.WriteJSON does.
func (m OwnMetrics) WriteJSON(w io.Writer) error { return writeJSON(w, "metrics", m) }

// WriteCurve draws the curve of t; there is one only if HasCurve says so.
func (t *OwnTrades) WriteCurve(w io.Writer) error {
	exits := make([]outcome, len(t.rows))
	for i := range t.rows {
		exits[i] = t.rows[i].outcome
	}
	slices.SortStableFunc(exits, byExit)
	points := make([]point, len(exits))
	sum := 0.0
	for i, o := range exits {
		sum += o.pnl
		points[i] = point{o.exitBar, sum}
	}
	if _, err := io.WriteString(w, drawCurve(points, "pnl")); err != nil {
		return fmt.Errorf("writing the equity curve: %w", err)
	}
	return nil
}
