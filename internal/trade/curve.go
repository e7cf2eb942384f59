package trade

import (
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gx1replay/internal/policy"
)

// The drawing, in its own units.
const (
	curveWidth, curveHeight = 800, 320
	plotLeft, plotRight     = 70, 785
	plotTop, plotBottom     = 20, 285
	labelHeight             = 12
)

// point is the curve just after an exit.
type point struct {
	timeNS int64
	sum    float64
}

// WriteCurve draws the cumulated pnl_bps of trades, which are closed, over the
// time of their exits: the curve of Figures.MaxDD, as SVG. Where the policy has
// costs, which are nil otherwise, it is that of net_pnl_bps. Its size is bounded
// whatever the number of trades: of each column of the drawing it keeps the
// first, least, greatest and last value. Colours read on a light and on a dark
// page.
func WriteCurve(w io.Writer, trades iter.Seq[*Signal], costs *policy.Costs) error {
	pnl := "pnl"
	if costs != nil {
		pnl = "net pnl"
	}
	var list []outcome
	for s := range trades {
		o := newOutcome(s, costs)
		if costs != nil {
			o.pnl = o.charges.NetPnlBps
		}
		list = append(list, o)
	}
	return writeCurve(w, list, pnl)
}

// writeCurve draws the pnl of trades, which is called that.
func writeCurve(w io.Writer, trades []outcome, pnl string) error {
	if _, err := io.WriteString(w, drawCurve(curvePoints(trades), pnl)); err != nil {
		return fmt.Errorf("writing the equity curve: %w", err)
	}
	return nil
}

func curvePoints(trades []outcome) []point {
	points := make([]point, len(trades))
	var sum float64
	for i, x := range slices.SortedStableFunc(slices.Values(trades), byExit) {
		sum += x.pnl
		points[i] = point{x.exitNS, sum}
	}
	return points
}

func drawCurve(points []point, pnl string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="sans-serif" font-size="11">`+"\n",
		curveWidth, curveHeight, curveWidth, curveHeight)
	fmt.Fprintf(&b, "<title>Equity curve: cumulated %s in bps over %d trades</title>\n", pnl, len(points))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", curveWidth, curveHeight)
	if len(points) == 0 {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#555555">no trades</text>`+"\n</svg>\n", curveWidth/2, curveHeight/2)
		return b.String()
	}
	s := newScale(points)
	for _, v := range s.marks() {
		y := s.y(v)
		fmt.Fprintf(&b, `<path d="M%d %sH%d" stroke="#cccccc"/><text x="%d" y="%s" text-anchor="end" dominant-baseline="middle" fill="#555555">%s</text>`+"\n",
			plotLeft, tenth(y), plotRight, plotLeft-6, tenth(y), tenth(v))
	}
	first, last := time.Unix(0, s.from).UTC(), time.Unix(0, s.to).UTC()
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#555555">%s</text>`+"\n", plotLeft, plotBottom+20, first.Format(time.DateOnly))
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#555555">%s</text>`+"\n", plotRight, plotBottom+20, last.Format(time.DateOnly))
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#555555">cumulated %s, bps, at exits (UTC)</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+20, pnl)
	fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#1f6feb" stroke-width="1.5" stroke-linejoin="round"/>`+"\n</svg>\n", s.path(points))
	return b.String()
}

// scale maps time and pnl to the drawing.
type scale struct {
	from, to   int64
	low, high  float64
	wide, tall float64
}

func newScale(points []point) scale {
	s := scale{from: points[0].timeNS, to: points[len(points)-1].timeNS, wide: plotRight - plotLeft, tall: plotBottom - plotTop}
	for _, p := range points {
		s.low, s.high = min(s.low, p.sum), max(s.high, p.sum)
	}
	return s
}

// marks are the values with a line of their own: the greatest, 0, the least.
func (s scale) marks() []float64 {
	marks := []float64{0}
	for _, v := range []float64{s.high, s.low} {
		// A line too near to that of 0 would print over its number.
		if math.Abs(s.y(v)-s.y(0)) >= labelHeight {
			marks = append(marks, v)
		}
	}
	return marks
}

func (s scale) x(timeNS int64) float64 {
	if s.to == s.from {
		return plotRight
	}
	return plotLeft + float64(s.wide*(float64(timeNS-s.from)/float64(s.to-s.from)))
}

func (s scale) y(v float64) float64 {
	if s.high == s.low {
		return plotBottom
	}
	return plotTop + float64(s.tall*((s.high-v)/(s.high-s.low)))
}

// path is a line of steps from 0. Each whole column of the drawing is one
// step, with its extremes.
func (s scale) path(points []point) string {
	b := append(make([]byte, 0, 4096), 'M')
	b = append(b, tenth(plotLeft)...)
	b = append(b, ' ')
	b = append(b, tenth(s.y(0))...)
	for i := 0; i < len(points); {
		x := s.x(points[i].timeNS)
		column := math.Floor(x)
		first, low, high := points[i].sum, points[i].sum, points[i].sum
		last := first
		for ; i < len(points) && math.Floor(s.x(points[i].timeNS)) == column; i++ {
			last = points[i].sum
			low, high = min(low, last), max(high, last)
		}
		b = append(append(b, 'H'), tenth(x)...)
		at := math.NaN()
		for _, v := range []float64{first, low, high, last} {
			if v != at {
				b = append(append(b, 'V'), tenth(s.y(v))...)
			}
			at = v
		}
	}
	return string(b)
}

// tenth is v with one digit after the point, or none if it is 0.
func tenth(v float64) string {
	t := strconv.FormatFloat(v, 'f', 1, 64)
	t = strings.TrimSuffix(t, ".0")
	if t == "-0" {
		return "0"
	}
	return t
}
