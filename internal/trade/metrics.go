package trade

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"time"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// FilesSchema is the version of the names and meanings in the metrics and the
// attribution file. Added fields do not raise it.
const FilesSchema = 1

// Figures sum up closed trades. Without trades all are 0; a standard
// deviation needs two. Names are those of the original's metrics.
type Figures struct {
	NTrades int64   `json:"n_trades"`
	WinRate float64 `json:"win_rate"` // trades with pnl > 0 / n_trades
	// TotalPnlBps is added up in the order of rows in the trades file, one
	// after the other: the order decides about the last digits.
	TotalPnlBps  float64 `json:"total_pnl_bps"`
	MeanPnlBps   float64 `json:"mean_pnl_bps"`
	MedianPnlBps float64 `json:"median_pnl_bps"`
	// StdPnlBps is the sample standard deviation, sqrt(Σ(x - mean)² / (n - 1)),
	// in two passes.
	StdPnlBps float64 `json:"std_pnl_bps"`
	MAEBps    float64 `json:"mae_bps"` // mean of the column of this name
	MFEBps    float64 `json:"mfe_bps"` // mean of the column of this name
	// P1Loss and P5Loss are the 1 % and the 5 % quantile of pnl_bps; see
	// quantile.
	P1Loss float64 `json:"p1_loss"`
	P5Loss float64 `json:"p5_loss"`
	// MaxDD is the deepest point of the curve below its highest one before,
	// ≤ 0, in bps. The curve is the sum of pnl_bps of all trades that are
	// closed, in the order of exit bars (equal ones: of entry bars), from 0.
	MaxDD float64 `json:"max_dd"`
	// MaxLossStreak is the greatest number of trades with pnl < 0 that
	// follow each other in that order.
	MaxLossStreak int64 `json:"max_loss_streak"`
	// Net is there where the policy has costs.
	Net *NetFigures `json:"net,omitempty"`
}

// NetFigures are the figures of net_pnl_bps in place of pnl_bps, and the sums of
// what was charged.
type NetFigures struct {
	CommissionBps float64 `json:"commission_bps"`
	SwapBps       float64 `json:"swap_bps"`
	SlippageBps   float64 `json:"slippage_bps"`
	WinRate       float64 `json:"win_rate"`
	TotalPnlBps   float64 `json:"total_pnl_bps"`
	MeanPnlBps    float64 `json:"mean_pnl_bps"`
	MedianPnlBps  float64 `json:"median_pnl_bps"`
	StdPnlBps     float64 `json:"std_pnl_bps"`
	P1Loss        float64 `json:"p1_loss"`
	P5Loss        float64 `json:"p5_loss"`
	MaxDD         float64 `json:"max_dd"`
	MaxLossStreak int64   `json:"max_loss_streak"`
}

// Metrics are the figures of all trades of a run, and of its parts.
type Metrics struct {
	Schema int `json:"schema"`
	Figures
	// BySession has every market session of the policy: that of the signal.
	BySession map[string]Figures `json:"by_session"`
	// ByMonth has the months (2026-01, UTC) of the entries that there are.
	ByMonth map[string]Figures `json:"by_month"`
}

// outcome is what the figures need of a trade.
type outcome struct {
	pnl, mae, mfe     float64
	entryBar, exitBar int64
	charges           Charges // zero without costs
}

func newOutcome(s *Signal, costs *policy.Costs) outcome {
	o := outcome{pnl: plus(s.PnlBps()), mae: -s.MAEBps, mfe: s.MFEBps, entryBar: s.EntryBar, exitBar: s.ExitBar}
	if costs != nil {
		o.charges = Charge(costs, s)
	}
	return o
}

// byExit is the order in which pnl is realised.
func byExit(a, b outcome) int {
	return cmp.Or(cmp.Compare(a.exitBar, b.exitBar), cmp.Compare(a.entryBar, b.entryBar))
}

// Measure makes the metrics of trades, which are closed and in the order of
// their signals. costs are the policy's, nil if it has none.
func Measure(trades iter.Seq[*Signal], sessions feature.SessionTable, costs *policy.Costs) Metrics {
	var all []outcome
	parts := make([][]outcome, sessions.Len())
	months := map[string][]outcome{}
	for s := range trades {
		o := newOutcome(s, costs)
		all = append(all, o)
		k := sessions.At(s.TimeNS)
		parts[k] = append(parts[k], o)
		month := monthOf(s.EntryTimeNS)
		months[month] = append(months[month], o)
	}
	figures := figuresOf(costs != nil)
	m := Metrics{Schema: FilesSchema, Figures: figures(all), BySession: map[string]Figures{}, ByMonth: map[string]Figures{}}
	for k, o := range parts {
		m.BySession[sessions.Name(k)] = figures(o)
	}
	for month, o := range months {
		m.ByMonth[month] = figures(o)
	}
	return m
}

// MeasureRows is Measure of the rows of a trades file. A market session without
// trades is not in it, since no row names one. Without rows there is no Net.
func MeasureRows(rows []Row) Metrics {
	all := make([]outcome, len(rows))
	parts, months := map[string][]outcome{}, map[string][]outcome{}
	for i := range rows {
		r := &rows[i]
		all[i] = outcome{pnl: r.PnlBps, mae: r.MAEBps, mfe: r.MFEBps, entryBar: r.EntryBar, exitBar: r.ExitBar, charges: r.Charges}
		parts[r.Session] = append(parts[r.Session], all[i])
		month := monthOf(r.EntryTimeNS)
		months[month] = append(months[month], all[i])
	}
	figures := figuresOf(len(rows) > 0 && rows[0].Charged)
	m := Metrics{Schema: FilesSchema, Figures: figures(all), BySession: map[string]Figures{}, ByMonth: map[string]Figures{}}
	for name, o := range parts {
		m.BySession[name] = figures(o)
	}
	for month, o := range months {
		m.ByMonth[month] = figures(o)
	}
	return m
}

// monthOf is the month of a time, in UTC.
func monthOf(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01") }

// figuresOf computes figures, those after costs too if charged.
func figuresOf(charged bool) func([]outcome) Figures {
	if !charged {
		return figures
	}
	return func(trades []outcome) Figures {
		f := figures(trades)
		f.Net = netFigures(trades)
		return f
	}
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
	f := figures(net)
	n.WinRate, n.TotalPnlBps, n.MeanPnlBps, n.MedianPnlBps, n.StdPnlBps = f.WinRate, f.TotalPnlBps, f.MeanPnlBps, f.MedianPnlBps, f.StdPnlBps
	n.P1Loss, n.P5Loss, n.MaxDD, n.MaxLossStreak = f.P1Loss, f.P5Loss, f.MaxDD, f.MaxLossStreak
	return &n
}

// figures computes all figures of trades in the order of their signals.
// Products are rounded before they are added, so that no machine fuses them.
func figures(trades []outcome) Figures {
	f := Figures{NTrades: int64(len(trades))}
	if len(trades) == 0 {
		return f
	}
	var wins, mae, mfe float64
	pnl := make([]float64, len(trades))
	for i, o := range trades {
		pnl[i] = o.pnl
		f.TotalPnlBps += o.pnl
		mae += o.mae
		mfe += o.mfe
		if o.pnl > 0 {
			wins++
		}
	}
	n := float64(len(trades))
	f.WinRate, f.MeanPnlBps, f.MAEBps, f.MFEBps = wins/n, f.TotalPnlBps/n, plus(mae/n), plus(mfe/n)
	if len(trades) > 1 {
		var squares float64
		for _, x := range pnl {
			d := x - f.MeanPnlBps
			squares += float64(d * d)
		}
		f.StdPnlBps = math.Sqrt(squares / (n - 1))
	}
	slices.Sort(pnl)
	f.MedianPnlBps, f.P1Loss, f.P5Loss = quantile(pnl, 0.5), quantile(pnl, 0.01), quantile(pnl, 0.05)
	f.MaxDD, f.MaxLossStreak = drawdown(trades)
	return f
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

// drawdown is MaxDD and MaxLossStreak.
func drawdown(trades []outcome) (deepest float64, streak int64) {
	var sum, peak float64
	var losing int64
	for _, o := range slices.SortedStableFunc(slices.Values(trades), byExit) {
		sum += o.pnl
		peak = max(peak, sum)
		deepest = min(deepest, sum-peak)
		losing++
		if o.pnl >= 0 {
			losing = 0
		}
		streak = max(streak, losing)
	}
	return deepest, streak
}

// WriteJSON writes m as metrics_<run_id>.json holds it: indented, names
// within by_session and by_month in order of the alphabet, no null.
func (m Metrics) WriteJSON(w io.Writer) error {
	if m.BySession == nil {
		m.BySession = map[string]Figures{}
	}
	if m.ByMonth == nil {
		m.ByMonth = map[string]Figures{}
	}
	return writeJSON(w, "metrics", m)
}

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
