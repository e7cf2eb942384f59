package execcheck

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// rollingStd is pandas' rolling(window).std(): values are added and taken away
// one by one, with a compensated mean, so what was in the window once leaves its
// rounding errors.
func rollingStd(x []float64, window int) []float64 {
	out := make([]float64, len(x))
	var n, mean, squares, addErr, removeErr float64
	for i, v := range x {
		if i >= window {
			old := x[i-window]
			n--
			before := mean - removeErr
			y := old - removeErr
			d := y - mean
			removeErr = d + mean - y
			mean -= d / n
			squares -= (old - before) * (old - mean)
		}
		n++
		before := mean - addErr
		y := v - addErr
		d := y - mean
		addErr = d + mean - y
		mean += d / n
		squares += (v - before) * (v - mean)
		out[i] = math.NaN()
		if n >= float64(window) {
			out[i] = math.Sqrt(max(squares, 0) / (n - 1))
		}
	}
	return out
}

// ema is an average that begins with its first value.
func ema(x []float64, span int) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		if out[i] = v; i > 0 {
			out[i] = out[i-1] + (v-out[i-1])*2/float64(span+1)
		}
	}
	return out
}

// closes is a walk of prices of gold.
func closes(n int) []float64 {
	r := rand.New(rand.NewPCG(7, 7))
	x := make([]float64, n)
	price := 2000.0
	for i := range x {
		price *= 1 + 2e-4*r.NormFloat64()
		if i%5000 == 2500 {
			price *= 1.02 // a gap, which leaves a large error behind
		}
		x[i] = math.Round(price*100) / 100
	}
	return x
}

// What drifts in its last digits passes by the default tolerance, and what begins
// with its slice does not.
func TestTheDefaultTolerance(t *testing.T) {
	const bars, border, window = 20_000, 10_000, 20
	x := closes(bars)
	k := aChecker(bars)
	k.Tolerance = DefaultTolerance
	// column makes trades of every tenth bar in [from, end), with a value that was
	// computed from bar first on.
	column := func(value func([]float64) []float64, first, from, end int) left {
		v := value(x[first:end])
		var b strings.Builder
		b.WriteString("entry_time,exit_time,side,value\n")
		for i := from; i < end; i += 10 {
			if !math.IsNaN(v[i-first]) {
				fmt.Fprintf(&b, "%s,%s,long,%.17g\n", k.text(int64(i)), k.text(int64(i)), v[i-first])
			}
		}
		return tableOf(t, b.String())
	}
	compare := func(value func([]float64) []float64, warmup int) []Finding {
		k.drift = drift{}
		found, err := k.compareTables(column(value, 0, 0, bars), k.parts(column(value, 0, 0, border), column(value, border-warmup, border, bars)))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	std := func(x []float64) []float64 { return rollingStd(x, window) }
	if found := compare(std, window); len(found) > 0 {
		t.Errorf("rolling().std(): %+v", found)
	}
	if k.drift.rows == 0 || k.drift.most < 1e-14 {
		t.Errorf("rolling().std() does not drift: %+v; the test shows nothing", k.drift)
	}
	t.Logf("rolling().std(): %d values differ, by at most %.2g", k.drift.rows, k.drift.most)
	k.Tolerance = 0
	if found := compare(std, window); len(found) == 0 {
		t.Error("exact to the last bit: rolling().std() passes")
	}
	k.Tolerance = DefaultTolerance
	for _, spans := range []int{1, 3, 5} {
		const span = 100
		found := compare(func(x []float64) []float64 { return ema(x, span) }, spans*span)
		if len(found) == 0 || found[0].Border != border {
			t.Errorf("an EMA with a warm-up of %d spans: %+v", spans, found)
		}
	}
	// A window that is a bar longer than the warm-up: one bar is wrong.
	if found := compare(func(x []float64) []float64 {
		v := rollingStd(x, window)
		for i := range v {
			if math.IsNaN(v[i]) {
				v[i] = rollingStd(x[:i+1], i+1)[i] // as min_periods does
			}
			if math.IsNaN(v[i]) {
				v[i] = 0
			}
		}
		return v
	}, window-2); len(found) != 1 || found[0].Rows != 1 {
		t.Errorf("a window that is longer than the warm-up: %+v", found)
	}
}

func TestValuesWithinTheTolerance(t *testing.T) {
	const header = "entry_time,exit_time,side,pnl,n,note\n"
	k := aChecker(1000)
	row := func(entry, exit int64, side, pnl, n, note string) string {
		return strings.Join([]string{k.text(entry), k.text(exit), side, pnl, n, note}, ",") + "\n"
	}
	base := row(600, 610, "long", "0.5", "7", "x")
	for name, c := range map[string]struct {
		whole, cut string
		most       float64 // of the drift; below 0: they differ
	}{
		"the same":           {base, base, 0},
		"absolute":           {base, row(600, 610, "long", "0.5000000002", "7", "x"), 2e-10},
		"relative":           {row(600, 610, "long", "2000", "7", "x"), row(600, 610, "long", "2000.0000004", "7", "x"), 2e-10},
		"a tenth of a digit": {base, row(600, 610, "long", "0.500000002", "7", "x"), -1},
		"relative, too far":  {row(600, 610, "long", "2000", "7", "x"), row(600, 610, "long", "2000.00001", "7", "x"), -1},
		"another entry":      {base, row(601, 610, "long", "0.5", "7", "x"), -1},
		"another exit":       {base, row(600, 611, "long", "0.5", "7", "x"), -1},
		"another side":       {base, row(600, 610, "short", "0.5", "7", "x"), -1},
		"another count":      {row(600, 610, "long", "0.5", "5000000000", "x"), row(600, 610, "long", "0.5", "5000000001", "x"), -1},
		"another text":       {base, row(600, 610, "long", "0.5", "7", "y"), -1},
		"no number":          {base, row(600, 610, "long", "nan", "7", "x"), -1},
		"an infinity":        {base, row(600, 610, "long", "inf", "7", "x"), -1},
		"one of two":         {base + row(600, 610, "long", "0.7", "7", "x"), row(600, 610, "long", "0.7000000002", "7", "x") + row(600, 610, "long", "0.5000000001", "7", "x"), 2e-10},
		"one is missing":     {base + base, row(600, 610, "long", "0.5000000001", "7", "x"), -1},
	} {
		k.Tolerance, k.drift = 1e-9, drift{}
		found, err := k.compareTables(tableOf(t, header+c.whole), k.parts(left{nothing: true}, tableOf(t, header+c.cut)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if (c.most < 0) != (len(found) > 0) || c.most >= 0 && math.Abs(k.drift.most-c.most) > 1e-15 {
			t.Errorf("%s: %+v, drift %v (want %v)", name, found, k.drift.most, c.most)
		}
		k.Tolerance = 0
		if found, _ = k.compareTables(tableOf(t, header+c.whole), k.parts(left{nothing: true}, tableOf(t, header+c.cut))); (len(found) == 0) != (c.most == 0) {
			t.Errorf("%s, exact: %+v", name, found)
		}
	}
}

// Scores may drift, but not over a threshold: a trade has no tolerance.
func TestScoresWithinTheTolerance(t *testing.T) {
	entry := policy.Entry{PSideMin: policy.Sides{Long: 0.6, Short: 0.6}, MarginMin: policy.Sides{Long: 0.125}}
	for name, c := range map[string]struct {
		long, short, partLong, partShort float64
		same                             bool
	}{
		"a drift":               {0.7, 0.3, 0.7 + 2e-10, 0.3, true},
		"a drift below":         {0.5, 0.3, 0.5 + 2e-10, 0.3, true},
		"too far":               {0.7, 0.3, 0.7 + 2e-9, 0.3, false},
		"over the threshold":    {0.6, 0.3, 0.6 - 1e-12, 0.3, false},
		"over the lead":         {0.75, 0.625, 0.75, 0.625 + 1e-12, false},
		"from side to side":     {0.7, 0.7 + 1e-12, 0.7 + 1e-12, 0.7, false},
		"below, side to side":   {0.4, 0.4 + 1e-12, 0.4 + 1e-12, 0.4, true},
		"none where there is":   {0.7, 0.3, math.NaN(), 0.3, false},
		"none in both":          {math.NaN(), 0.3, math.NaN(), 0.3, true},
		"none in both, drifted": {math.NaN(), 0.3, math.NaN(), 0.3 + 1e-12, true},
	} {
		k := aChecker(2)
		k.Tolerance, k.Policy.Entry = 1e-9, entry
		if got := k.sameScores(c.long, c.short, c.partLong, c.partShort); got != c.same {
			t.Errorf("%s: %v (want %v)", name, got, c.same)
		}
	}
	if side := decides(entry, 0.75, 0.625); side != trade.Long {
		t.Errorf("0.75 and 0.625 open %v", side)
	}
}

func TestVerdictOfADrift(t *testing.T) {
	r := Report{Emits: run.EmitsTrades, EndBar: 1000, Borders: 3, Tolerance: 1e-9, DriftRows: 4, Drift: 2e-10}
	r.judge()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || !r.Same || !strings.HasPrefix(b.String(), "entries and exits equal, values differ by at most 2e-10 (tolerance 1e-09) at 3 borders") {
		t.Errorf("%v, %q", err, b.String())
	}
}

func TestCheckTolerance(t *testing.T) {
	for x, ok := range map[float64]bool{0: true, 1e-9: true, 0.01: true, -1e-9: false, 0.1: false, math.Inf(1): false, math.NaN(): false} {
		if err := CheckTolerance(x); (err == nil) != ok {
			t.Errorf("%v: %v", x, err)
		}
	}
}
