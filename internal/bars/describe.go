package bars

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Info says what a data set holds. Times are UTC; a bar's time is its
// opening. The bars are valid (Validate).
type Info struct {
	Source string `json:"source,omitempty"`
	// Read says how the file was read; nil: the bars are of no file.
	Read             *Reading `json:"read,omitempty"`
	AssumedSpreadBps float64  `json:"assumed_spread_bps"` // 0 where the data has bid and ask
	SpreadAssumed    bool     `json:"spread_assumed"`     // the data has one price only

	SHA256       string    `json:"sha256"` // of the canonical content
	Bars         int64     `json:"bars"`
	FirstTS      time.Time `json:"first_ts"`
	LastTS       time.Time `json:"last_ts"`
	BarLengthSec float64   `json:"bar_length_sec"` // the commonest distance; 0: one bar

	PriceMin  float64    `json:"price_min"` // lowest bid_low
	PriceMax  float64    `json:"price_max"` // highest ask_high
	SpreadBps Quantiles  `json:"spread_bps"`
	Gaps      Gaps       `json:"gaps"`
	Years     []YearBars `json:"years"`
}

// Quantiles are by nearest rank: the value of rank ⌈q·n⌉ of n.
type Quantiles struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

// Gaps are the places where neighbouring bars are further apart than one
// bar length.
type Gaps struct {
	Count      int64   `json:"count"`
	TotalSec   float64 `json:"total_sec"`   // sum of the lengths
	LongestSec float64 `json:"longest_sec"` // 0: no gap
	List       []Gap   `json:"list"`        // all, in time order
}

// Gap is one of them: the market's silence from the end of a bar to the
// opening of the next.
type Gap struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	LengthSec float64   `json:"length_sec"`
}

// YearBars counts the bars that open in a year (UTC).
type YearBars struct {
	Year int   `json:"year"`
	Bars int64 `json:"bars"`
}

// Describe says what the bars hold; of no bars, Info is zero but for the
// digest. spread_bps is (ask_close − bid_close) / bid_close · 10^4.
func Describe(bars []Bar) Info {
	info := Info{SHA256: Digest(bars), Gaps: Gaps{List: []Gap{}}, Years: []YearBars{}}
	if len(bars) == 0 {
		return info
	}
	length := BarLength(bars)
	info.Bars = int64(len(bars))
	info.FirstTS, info.LastTS = bars[0].time(), bars[len(bars)-1].time()
	info.BarLengthSec = length.Seconds()
	info.PriceMin, info.PriceMax = bars[0].BidLow, bars[0].AskHigh
	spreads := make([]float64, len(bars))
	for i := range bars {
		b := &bars[i]
		info.PriceMin = min(info.PriceMin, b.BidLow)
		info.PriceMax = max(info.PriceMax, b.AskHigh)
		spreads[i] = b.spreadBps()
		year := b.time().Year()
		if n := len(info.Years); n == 0 || info.Years[n-1].Year != year {
			info.Years = append(info.Years, YearBars{Year: year})
		}
		info.Years[len(info.Years)-1].Bars++
		if i > 0 {
			info.Gaps.add(bars[i-1].time().Add(length), b.time())
		}
	}
	info.SpreadBps = quantiles(spreads)
	return info
}

// spreadBps is the spread at the close.
func (b *Bar) spreadBps() float64 { return (b.AskClose - b.BidClose) / b.BidClose * 1e4 }

func (b *Bar) time() time.Time { return time.Unix(0, b.TimeNS).UTC() }

// add counts the silence from from to to, if there is any.
func (g *Gaps) add(from, to time.Time) {
	if !to.After(from) {
		return
	}
	sec := to.Sub(from).Seconds()
	g.List = append(g.List, Gap{From: from, To: to, LengthSec: sec})
	g.Count++
	g.TotalSec += sec
	g.LongestSec = max(g.LongestSec, sec)
}

// longestGaps is how many gaps WriteText lists.
const longestGaps = 10

// WriteText writes the info for people: some thirty lines and one a year,
// with the ten longest gaps in time order.
func (info Info) WriteText(w io.Writer) error {
	var t strings.Builder
	line := func(name, form string, args ...any) {
		fmt.Fprintf(&t, "%-12s%s\n", name, fmt.Sprintf(form, args...))
	}
	if info.Source != "" {
		line("source", "%s", info.Source)
	}
	if info.Read != nil {
		info.Read.writeText(line)
	}
	line("bars", "%d", info.Bars)
	line("sha256", "%s", info.SHA256)
	if info.Bars > 0 {
		line("first", "%s", stamp(info.FirstTS))
		line("last", "%s", stamp(info.LastTS))
		line("bar length", "%s", span(info.BarLengthSec))
		line("prices", "%s to %s", formatFloat(info.PriceMin), formatFloat(info.PriceMax))
		line("spread", "min %.2f, median %.2f, p95 %.2f, max %.2f bps",
			info.SpreadBps.Min, info.SpreadBps.Median, info.SpreadBps.P95, info.SpreadBps.Max)
		if info.SpreadAssumed {
			line("", "assumed: the data has no ask prices")
		}
		for i, y := range info.Years {
			name := ""
			if i == 0 {
				name = "by year"
			}
			line(name, "%d  %8d bars", y.Year, y.Bars)
		}
		info.Gaps.writeText(line)
	}
	if _, err := io.WriteString(w, t.String()); err != nil {
		return fmt.Errorf("writing the description of %d bars: %w", info.Bars, err)
	}
	return nil
}

func (g Gaps) writeText(line func(name, form string, args ...any)) {
	if g.Count == 0 {
		line("gaps", "none")
		return
	}
	line("gaps", "%d, together %s, the longest %s", g.Count, span(g.TotalSec), span(g.LongestSec))
	shown := slices.Clone(g.List)
	slices.SortStableFunc(shown, func(a, b Gap) int { return cmp.Compare(b.LengthSec, a.LengthSec) })
	shown = shown[:min(longestGaps, len(shown))]
	slices.SortFunc(shown, func(a, b Gap) int { return a.From.Compare(b.From) })
	for _, gap := range shown {
		line("", "%s  to  %s  %s", stamp(gap.From), stamp(gap.To), span(gap.LengthSec))
	}
	if rest := len(g.List) - len(shown); rest > 0 {
		line("", "and %d shorter ones", rest)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span prints seconds as days, hours, minutes.
func span(sec float64) string {
	d := time.Duration(sec * float64(time.Second))
	days := d / (24 * time.Hour)
	if days == 0 {
		return d.String()
	}
	return fmt.Sprintf("%dd %s", days, d%(24*time.Hour))
}
