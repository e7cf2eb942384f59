package bars

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Inspection is all that is wrong or odd in a data set.
type Inspection struct {
	Source string  `json:"source"`
	Read   Reading `json:"read"`
	// OK: a run takes the data.
	OK bool `json:"ok"`
	// Error is why the data could not be read at all.
	Error string `json:"error,omitempty"`

	Bars         int        `json:"bars"`
	FirstTS      *time.Time `json:"first_ts,omitempty"`
	LastTS       *time.Time `json:"last_ts,omitempty"`
	BarLengthSec float64    `json:"bar_length_sec"`
	Point        float64    `json:"point"` // the last decimal place of most prices, or --point

	AssumedSpreadBps float64    `json:"assumed_spread_bps"` // 0 where the data has bid and ask
	SpreadAssumed    bool       `json:"spread_assumed"`     // the data has one price only
	SpreadBps        *Quantiles `json:"spread_bps,omitempty"`
	NoSpread         int        `json:"no_spread"` // bars whose ask is their bid at the close
	NoVolume         bool       `json:"no_volume"`

	Findings []Finding `json:"findings"`
	Market   Market    `json:"market"`
}

// Inspect reads a data set as Open does and says everything that is wrong with
// it, where Open says the first. The error is one of the flags or of the file
// itself.
func Inspect(spec string, opt ReadOptions) (Inspection, error) {
	opt.tolerant, opt.Extra = true, false
	told := opt.Form.Point
	in := Inspection{Source: spec, Findings: []Finding{}}
	set, err := Open(spec, opt)
	if err != nil {
		return in, err
	}
	raw := set.raw
	if raw == nil { // generated
		raw = &rawBars{bars: set.Bars}
	}
	in.Read, in.AssumedSpreadBps, in.SpreadAssumed, in.NoVolume = set.Read, set.SpreadBps, set.SpreadAssumed, set.NoVolume
	in.Bars = len(raw.bars)
	in.Point = pointOf(raw.bars, !set.SpreadAssumed && told == "")
	if told != "" {
		in.Point, _ = strconv.ParseFloat(told, 64)
	}
	if raw.unreadable > 0 {
		f := Finding{Kind: KindUnreadable, Refused: true, Count: raw.unreadable, First: []string{}}
		for _, c := range raw.cells {
			f.First = append(f.First, c.Error())
		}
		in.Findings = append(in.Findings, f)
	}
	if raw.refused != nil {
		in.Error = raw.refused.Error()
	}
	in.faults(raw)
	if good := rising(raw); len(good.bars) > 0 {
		in.look(good)
	}
	in.OK = in.Bars > 0 && in.Error == "" && !slices.ContainsFunc(in.Findings, func(f Finding) bool { return f.Refused })
	if in.Bars == 0 && in.Error == "" {
		in.Error = ErrEmpty.Error()
	}
	return in, nil
}

// faults finds what a run refuses.
func (in *Inspection) faults(raw *rawBars) {
	for _, f := range look(raw).list {
		if f.kind == KindHighLow {
			in.splitHighLow(raw)
			continue
		}
		in.add(raw, f)
		if raw.refused != nil && (f.kind == KindOrder || f.kind == KindDuplicate) {
			in.Findings[len(in.Findings)-1].Repair = "" // they may be of two files, which no repair makes one
		}
	}
}

// add reports what was found, if there is any.
func (in *Inspection) add(raw *rawBars, f *faults) {
	if f.rows.count > 0 {
		in.Findings = append(in.Findings, raw.finding(f))
	}
}

// splitHighLow tells highs and lows that are off by a point at most, as
// rounding does, from others.
func (in *Inspection) splitHighLow(raw *rawBars) {
	within, beyond := &faults{kind: KindPoint}, &faults{kind: KindHighLow}
	for i := range raw.bars {
		b := &raw.bars[i]
		by := outside(b)
		if in.SpreadAssumed { // asks are off by a little more than the file's prices
			by = outsideOn(b, 0)
		}
		if widened := *b; by > 0 {
			if widen(&widened); outside(&widened) == 0 {
				continue
			}
		}
		switch {
		case !(by > 0):
		case by <= in.Point*1.0001:
			within.see(i, by)
		default:
			beyond.see(i, by)
		}
	}
	in.add(raw, within)
	in.add(raw, beyond)
}

// rising are the bars whose time is later than that of all before, with prices
// that can be computed with: what is odd is looked for in these.
func rising(raw *rawBars) *rawBars {
	good := &rawBars{lines: raw.lines, parts: raw.parts, order: []int{}}
	last := int64(math.MinInt64)
	for i := range raw.bars {
		b := &raw.bars[i]
		if b.TimeNS <= last || !inTime(b) {
			continue
		}
		priced := true
		for c := colBidOpen; c <= colAskClose; c++ {
			p := *c.float(b)
			priced = priced && p > 0 && p <= math.MaxFloat64
		}
		if !priced {
			continue
		}
		last = b.TimeNS
		good.bars = append(good.bars, *b)
		good.order = append(good.order, i)
	}
	return good
}

// look finds what is odd in bars that are in order.
func (in *Inspection) look(raw *rawBars) {
	bars := raw.bars
	first, last := bars[0].time(), bars[len(bars)-1].time()
	in.FirstTS, in.LastTS = &first, &last
	length := BarLength(bars)
	in.BarLengthSec = length.Seconds()
	spreads := make([]float64, len(bars))
	for i := range bars {
		if spreads[i] = bars[i].spreadBps(); spreads[i] == 0 {
			in.NoSpread++
		}
	}
	q := quantiles(spreads)
	in.SpreadBps = &q
	if length > 0 {
		in.irregular(raw, length)
		in.Market = marketOf(bars, length)
		in.gaps(raw, length)
	}
	in.stale(raw)
	in.spikes(raw)
}

// irregular finds bars that are not a whole number of bar lengths after the one
// before.
func (in *Inspection) irregular(raw *rawBars, length time.Duration) {
	f := &faults{kind: KindIrregular}
	for i := 1; i < len(raw.bars); i++ {
		if d := raw.bars[i].TimeNS - raw.bars[i-1].TimeNS; d%int64(length) != 0 {
			f.see(i, float64(d)/1e9)
		}
	}
	in.add(raw, f)
}

// staleBars is how many bars in a row with one and the same price are odd: an
// hour of M5, in which a market that is open moves.
const staleBars = 12

func (in *Inspection) stale(raw *rawBars) {
	f := &faults{kind: KindStale}
	begin := 0
	end := func(i int) {
		if n := i - begin; n >= staleBars {
			f.see(begin, float64(n))
		}
	}
	for i := 1; i < len(raw.bars); i++ {
		if !flatAs(&raw.bars[i], &raw.bars[begin]) {
			end(i)
			begin = i
		}
	}
	end(len(raw.bars))
	in.add(raw, f)
}

// flatAs tells whether b has one price only, which is that of the bar before.
func flatAs(b, before *Bar) bool {
	return b.BidOpen == b.BidHigh && b.BidOpen == b.BidLow && b.BidOpen == b.BidClose && b.BidOpen == before.BidClose &&
		b.AskOpen == b.AskHigh && b.AskOpen == b.AskLow && b.AskOpen == b.AskClose && b.AskOpen == before.AskClose
}

// spikeTimes is how many times the median move a close must be off both its
// neighbours to be a spike.
const spikeTimes = 25

func (in *Inspection) spikes(raw *rawBars) {
	bars := raw.bars
	if len(bars) < 10 {
		return
	}
	moves := make([]float64, 0, len(bars)-1)
	move := func(i, k int) float64 { return (bars[k].MidClose()/bars[i].MidClose() - 1) * 1e4 }
	for i := 1; i < len(bars); i++ {
		if m := math.Abs(move(i-1, i)); m > 0 {
			moves = append(moves, m)
		}
	}
	if len(moves) == 0 {
		return
	}
	usual := quantiles(moves).Median
	f := &faults{kind: KindSpike}
	for i := 1; i+1 < len(bars); i++ {
		in, out := move(i-1, i), move(i, i+1)
		if math.Min(math.Abs(in), math.Abs(out)) > spikeTimes*usual && (in > 0) != (out > 0) &&
			math.Abs(move(i-1, i+1)) < math.Abs(in)/2 {
			f.see(i, math.Abs(in))
		}
	}
	in.add(raw, f)
}

// pointOf is the last decimal place in which prices differ: the smallest power
// of ten that 95 of 100 of them have whole, since arithmetic leaves its dust in a
// few. Asks count where they are the file's own. 0: prices have more places than
// are meant.
func pointOf(bars []Bar, asks bool) float64 {
	last := colBidClose
	if asks {
		last = colAskClose
	}
	const most = 10
	var with [most + 1]int // prices by their number of places
	all := 0
	step := max(1, len(bars)/10_000)
	for i := 0; i < len(bars); i += step {
		for c := colBidOpen; c <= last; c++ {
			all++
			v, places := *c.float(&bars[i]), 0
			for places <= most && !hasPlaces(v, places) {
				places++
			}
			if places <= most {
				with[places]++
			}
		}
	}
	sum := 0
	for places, n := range with {
		if sum += n; all > 0 && sum*100 >= all*95 {
			return 1 / exactPowers[places]
		}
	}
	return 0
}

// hasPlaces tells whether v is written with so many digits behind the point.
func hasPlaces(v float64, places int) bool {
	back, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', places, 64), 64)
	return err == nil && back == v || math.IsNaN(v) || math.IsInf(v, 0)
}

// quantiles sorts values, of which there is one at least.
func quantiles(values []float64) Quantiles {
	slices.Sort(values)
	n := len(values)
	return Quantiles{Min: values[0], Median: values[(n+1)/2-1], P95: values[(95*n+99)/100-1], Max: values[n-1]}
}

// String is a line for people.
func (f Finding) String() string {
	text := fmt.Sprintf("%d", f.Count)
	if f.Unit != "" {
		largest := formatPrice(f.Largest)
		switch f.Unit {
		case "s":
			largest = span(f.Largest)
		case "bars", "bps":
			largest = strconv.FormatFloat(f.Largest, 'f', -1, 64) + " " + f.Unit
			if f.Unit == "bps" {
				largest = fmt.Sprintf("%.1f bps", f.Largest)
			}
		}
		text += fmt.Sprintf(", the largest %s (%s)", largest, f.LargestAt)
	}
	return text
}
