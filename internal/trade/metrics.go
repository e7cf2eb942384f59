package trade

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// FilesSchema is the version of the names and meanings in the metrics and the
// attribution file. Added fields do not raise it.
const FilesSchema = 1

// Figures sum up closed trades. Without trades all are 0; a standard
// deviation needs two. Names are those of the original's metrics. What is not
// known of each of a command's own trades is nil; of selected trades nothing is.
type Figures struct {
	NTrades int64 `json:"n_trades"`
	*PnlFigures
	MAEBps *float64 `json:"mae_bps,omitzero"` // mean of the column of this name
	MFEBps *float64 `json:"mfe_bps,omitzero"` // mean of the column of this name
	*TailFigures
	*CurveFigures
	Net *NetFigures `json:"net,omitzero"` // nil: the policy has no costs
}

// PnlFigures sum up pnl_bps.
type PnlFigures struct {
	WinRate float64 `json:"win_rate"` // trades with pnl > 0 / n_trades
	// TotalPnlBps is added up in the order of rows in the trades file, one
	// after the other: the order decides about the last digits.
	TotalPnlBps  float64 `json:"total_pnl_bps"`
	MeanPnlBps   float64 `json:"mean_pnl_bps"`
	MedianPnlBps float64 `json:"median_pnl_bps"`
	// StdPnlBps is the sample standard deviation, sqrt(Σ(x - mean)² / (n - 1)),
	// in two passes.
	StdPnlBps float64 `json:"std_pnl_bps"`
}

// TailFigures are the 1 % and the 5 % quantile of pnl_bps; see quantile.
type TailFigures struct {
	P1Loss float64 `json:"p1_loss"`
	P5Loss float64 `json:"p5_loss"`
}

// CurveFigures follow the order in which trades were closed.
type CurveFigures struct {
	// MaxDD is the deepest point of the curve below its highest one before,
	// ≤ 0, in bps. The curve is the sum of pnl_bps of all trades that are
	// closed, in the order of exit bars (equal ones: of entry bars), from 0.
	MaxDD float64 `json:"max_dd"`
	// MaxLossStreak is the greatest number of trades with pnl < 0 that
	// follow each other in that order.
	MaxLossStreak int64 `json:"max_loss_streak"`
}

// NetFigures are the figures of net_pnl_bps in place of pnl_bps, and the sums of
// what was charged.
type NetFigures struct {
	CommissionBps float64 `json:"commission_bps"`
	SwapBps       float64 `json:"swap_bps"`
	SlippageBps   float64 `json:"slippage_bps"`
	PnlFigures
	TailFigures
	CurveFigures
}

// Metrics are the figures of all trades of a run, and of its parts.
type Metrics struct {
	Schema int `json:"schema"`
	Figures
	// BySession has every market session of the policy: that of the signal. Of
	// a command's own trades it has the values of the column session.
	BySession map[string]Figures `json:"by_session,omitzero"`
	// ByMonth has the months (2026-01, UTC) of the entries that there are.
	ByMonth map[string]Figures `json:"by_month,omitzero"`
	// Unreported names what a command's own trades do not give; nil of
	// selected trades.
	Unreported []string `json:"unreported,omitzero"`
}

// outcome is what the figures need of a trade.
type outcome struct {
	pnl, mae, mfe     float64
	entryBar, exitBar int64 // of a command's own trades times, as below
	entryNS, exitNS   int64
	session           string
	charges           Charges // zero without costs
}

// newOutcome is that of s, without its market session. costs are the policy's,
// nil if it has none.
func newOutcome(s *Signal, costs *policy.Costs) outcome {
	o := outcome{
		pnl: plus(s.PnlBps()), mae: -s.MAEBps, mfe: s.MFEBps, entryBar: s.EntryBar, exitBar: s.ExitBar,
		entryNS: s.EntryTimeNS, exitNS: s.ExitTimeNS,
	}
	if costs != nil {
		o.charges = Charge(costs, s)
	}
	return o
}

// byExit is the order in which pnl is realised.
func byExit(a, b outcome) int {
	return cmp.Or(cmp.Compare(a.exitBar, b.exitBar), cmp.Compare(a.entryBar, b.entryBar))
}

// known says what is known of each trade.
type known struct{ pnl, mae, mfe, session, entry, exit, charges bool }

// selected is what is known of selected trades.
func selected(charged bool) known { return known{true, true, true, true, true, true, charged} }

// Measure makes the metrics of trades, which are closed and in the order of
// their signals. costs are the policy's, nil if it has none.
func Measure(trades iter.Seq[*Signal], sessions feature.SessionTable, costs *policy.Costs) Metrics {
	var list []outcome
	for s := range trades {
		o := newOutcome(s, costs)
		o.session = sessions.Name(sessions.At(s.TimeNS))
		list = append(list, o)
	}
	k := selected(costs != nil)
	m := measure(list, k)
	for id := range sessions.Len() {
		if name := sessions.Name(id); m.BySession[name].PnlFigures == nil {
			m.BySession[name] = figures(nil, k)
		}
	}
	return m
}

// MeasureRows is Measure of the rows of a trades file. A market session without
// trades is not in it, since no row names one. Without rows there is no Net.
func MeasureRows(rows []Row) Metrics {
	list := make([]outcome, len(rows))
	for i, r := range rows {
		list[i] = outcome{
			pnl: r.PnlBps, mae: r.MAEBps, mfe: r.MFEBps, entryBar: r.EntryBar, exitBar: r.ExitBar,
			entryNS: r.EntryTimeNS, exitNS: r.ExitTimeNS, session: r.Session, charges: r.Charges,
		}
	}
	return measure(list, selected(len(rows) > 0 && rows[0].Charged))
}

func measure(trades []outcome, k known) Metrics {
	m := Metrics{Schema: FilesSchema, Figures: figures(trades, k)}
	parts := func(known bool, of func(outcome) string) map[string]Figures {
		if !known {
			return nil
		}
		lists := map[string][]outcome{}
		for _, o := range trades {
			lists[of(o)] = append(lists[of(o)], o)
		}
		all := map[string]Figures{}
		for name, list := range lists {
			all[name] = figures(list, k)
		}
		return all
	}
	m.BySession = parts(k.session, func(o outcome) string { return o.session })
	m.ByMonth = parts(k.entry, func(o outcome) string { return time.Unix(0, o.entryNS).UTC().Format("2006-01") })
	return m
}

// figures computes all figures of trades in the order of their signals.
// Products are rounded before they are added, so that no machine fuses them.
func figures(trades []outcome, k known) Figures {
	f := Figures{NTrades: int64(len(trades))}
	if k.pnl {
		f.PnlFigures, f.TailFigures = pnlFigures(trades)
	}
	if k.mae {
		f.MAEBps = meanOf(trades, func(o outcome) float64 { return o.mae })
	}
	if k.mfe {
		f.MFEBps = meanOf(trades, func(o outcome) float64 { return o.mfe })
	}
	if k.pnl && k.exit {
		f.CurveFigures = curveFigures(trades)
	}
	if k.charges {
		f.Net = netFigures(trades)
	}
	return f
}

func netFigures(trades []outcome) *NetFigures {
	net := slices.Clone(trades)
	var n NetFigures
	for i := range net {
		x := &net[i].charges
		n.CommissionBps += x.CommissionBps
		n.SwapBps += x.SwapBps
		n.SlippageBps += x.SlippageBps
		net[i].pnl = x.NetPnlBps
	}
	pnl, tails := pnlFigures(net)
	n.PnlFigures, n.TailFigures, n.CurveFigures = *pnl, *tails, *curveFigures(net)
	return &n
}

func meanOf(trades []outcome, of func(outcome) float64) *float64 {
	if len(trades) == 0 {
		return new(float64)
	}
	var sum float64
	for _, o := range trades {
		sum += of(o)
	}
	return new(plus(sum / float64(len(trades))))
}

func pnlFigures(trades []outcome) (*PnlFigures, *TailFigures) {
	var f PnlFigures
	if len(trades) == 0 {
		return &f, &TailFigures{}
	}
	var wins float64
	pnl := make([]float64, len(trades))
	for i, o := range trades {
		pnl[i] = o.pnl
		f.TotalPnlBps += o.pnl
		if o.pnl > 0 {
			wins++
		}
	}
	n := float64(len(trades))
	f.WinRate, f.MeanPnlBps = wins/n, f.TotalPnlBps/n
	if len(trades) > 1 {
		var squares float64
		for _, x := range pnl {
			d := x - f.MeanPnlBps
			squares += float64(d * d)
		}
		f.StdPnlBps = math.Sqrt(squares / (n - 1))
	}
	slices.Sort(pnl)
	f.MedianPnlBps = quantile(pnl, 0.5)
	return &f, &TailFigures{quantile(pnl, 0.01), quantile(pnl, 0.05)}
}

// quantile interpolates between the two values around place q · (n - 1),
// counted from 0: lo + (hi - lo) · fraction. It is pandas' default, and
// definition 7 of Hyndman & Fan, "Sample Quantiles in Statistical Packages"
// (1996).
func quantile(sorted []float64, q float64) float64 {
	place := float64(q * float64(len(sorted)-1))
	i := int(place)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + float64((sorted[i+1]-sorted[i])*(place-float64(i)))
}

func curveFigures(trades []outcome) *CurveFigures {
	var f CurveFigures
	var sum, peak float64
	var losing int64
	for _, o := range slices.SortedStableFunc(slices.Values(trades), byExit) {
		sum += o.pnl
		peak = max(peak, sum)
		f.MaxDD = min(f.MaxDD, sum-peak)
		losing++
		if o.pnl >= 0 {
			losing = 0
		}
		f.MaxLossStreak = max(f.MaxLossStreak, losing)
	}
	return &f
}

// unreported are the names of the figures that v, a Metrics, does not have.
func unreported(v reflect.Value) []string {
	names := []string{}
	for f, value := range v.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && value.Kind() == reflect.Struct:
			names = append(names, unreported(value)...)
		case value.Kind() != reflect.Pointer && value.Kind() != reflect.Map, !value.IsNil(), name == "net":
		case f.Anonymous: // a group of figures
			for figure := range f.Type.Elem().Fields() {
				names = append(names, figure.Tag.Get("json"))
			}
		default:
			names = append(names, name)
		}
	}
	return names
}

// WriteJSON writes m as metrics_<run_id>.json holds it: indented, names
// within by_session and by_month in order of the alphabet, no null.
func (m Metrics) WriteJSON(w io.Writer) error { return writeJSON(w, "metrics", m) }

func writeJSON(w io.Writer, what string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the %s: %w", what, err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("writing the %s: %w", what, err)
	}
	return nil
}
