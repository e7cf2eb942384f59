package judge

import (
	"math"
	"testing"
)

// The expected values are those of a second implementation of the formulas, written
// in Python with mpmath's t quantiles and plain sums.

// sameInterval compares the six digits.
func sameInterval(t *testing.T, what string, got Interval, estimate, low, high float64) {
	t.Helper()
	want := Interval{Round(estimate), Round(low), Round(high)}
	if got != want {
		t.Errorf("%s: %v (want %v)", what, got, want)
	}
}

func sameNumber(t *testing.T, what string, got, want float64) {
	t.Helper()
	if got != Round(want) {
		t.Errorf("%s: %v (want %v)", what, got, Round(want))
	}
}

// must is the result of a call that has no error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func days(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = float64((i*37)%11) - 4.5
	}
	return list
}

func TestDaily(t *testing.T) {
	d := must[Days](t)(Daily(days(90), 0.05))
	sameInterval(t, "90 days", d.Interval, 0.43333333333333335, 0.2611757242712005, 0.6054909423954662)
	sameNumber(t, "smallest", d.Smallest, 0.23486885463385346)
	if d.Freedom != 8 || d.Count != 90 || d.Differ != 90 || d.Reason != "" {
		t.Errorf("%+v", d)
	}
	for _, c := range []struct{ n, want int }{{60, 6}, {64, 6}, {125, 10}, {250, 15}, {1000, 40}} {
		if _, _, freedom := cosines(days(c.n)); freedom != c.want {
			t.Errorf("%d days: %d degrees of freedom (want %d)", c.n, freedom, c.want)
		}
	}
}

func TestDailyOpens(t *testing.T) {
	quiet := days(90)
	clear(quiet[:41])
	for _, c := range []struct {
		name string
		days []float64
		want Reason
	}{
		{"none", nil, FewDays}, {"59", days(59), FewDays}, {"60", days(60), ""}, {"49 differ", quiet, FewDifferences},
		{"50 differ", append(quiet[1:], 1, 0), ""},
	} {
		d := must[Days](t)(Daily(c.days, 0.05))
		if d.Reason != c.want || d.Reason != "" && (d.Low != 0 || d.High != 0) {
			t.Errorf("%s: %+v (want the reason %q)", c.name, d, c.want)
		}
	}
}

// gated is a run with the gate off and one with it on, of two phases.
func gated() []Timing {
	a := [][4]float64{{9, 90, 1, 100}, {8, 85, 1.1, 100}, {10, 95, 0.9, 100}, {9.5, 91, 1.2, 100}, {8.5, 88, 1, 100}, {9.2, 93, 1.05, 100}, {8.8, 90, .98, 100}}
	b := [][4]float64{{2.1, 20, 1.1, 100}, {1.9, 19, 1, 100}, {2.6, 24, 1.05, 100}, {2.2, 22, 1.15, 100}, {2, 18, 1, 100}, {2.3, 23, 1.1, 100}, {2.1, 21, 0.99, 100}}
	side := func(v [4]float64) Side {
		return Side{v[0] + v[2], []Phase{{v[0], v[1], v[1]}, {v[2], v[3], v[3]}}}
	}
	var list []Timing
	for i := range a {
		list = append(list, Timing{side(a[i]), side(b[i])})
	}
	return list
}

func TestHull(t *testing.T) {
	s := must[Speed](t)(Hull(gated(), 0.05))
	sameInterval(t, "speed", s.Interval, 3.108897742363878, 2.977048131627187, 3.275532583000209)
	sameNumber(t, "work", s.Work, 3.214332695436378)
	sameNumber(t, "price", s.Price, 0.9671984940382203)
	sameNumber(t, "price of phase 0", s.PhasePrices[0], 1.0369652708564578)
	sameNumber(t, "price of phase 1", s.PhasePrices[1], 1.0221300138312586)
	sameNumber(t, "apart", s.Apart, 1.0369652708564578/1.0221300138312586)
	if s.Reason != "" || s.Pieces != 7 || !s.Verdict().Says(Faster) {
		t.Errorf("%+v, %v", s, s.Verdict())
	}
}

// TestHullOfCutPieces: prices are those of the whole footer, counts and times those of
// the common bars.
func TestHullOfCutPieces(t *testing.T) {
	half := gated()
	for i := range half {
		for _, side := range []*Side{&half[i].A, &half[i].B} {
			side.Seconds /= 2
			for j := range side.Phases {
				side.Phases[j].Common /= 2
			}
		}
	}
	whole, cut := must[Speed](t)(Hull(gated(), 0.05)), must[Speed](t)(Hull(half, 0.05))
	if whole.Interval != cut.Interval || whole.Work != cut.Work {
		t.Errorf("halves of the chunks: %v (want %v)", cut.Interval, whole.Interval)
	}
}

func TestHullSaysWhyNot(t *testing.T) {
	few := gated()[:5]
	one := gated()[:1]
	silent := gated()
	apart := gated()
	idle := gated()
	skipped := gated()
	for i := range silent {
		silent[i].A.Phases, silent[i].B.Phases = nil, nil
		apart[i].B.Phases[0].Seconds *= 1.08
		idle[i].B.Seconds = 0
	}
	skipped[3].B.Phases[0] = Phase{} // the gate skipped every bar of a chunk
	for _, c := range []struct {
		name   string
		pieces []Timing
		want   Reason
	}{
		{"no pieces", nil, NoTime}, {"5 pieces", few, "5 pieces; run both with --chunks 8 or more"},
		{"1 piece", one, "1 piece; run both with --chunks 8 or more"},
		{"no phases", silent, NoPhases}, {"one phase is slower", apart, ""}, {"no time in B", idle, NoTime}, {"a phase without work", skipped, ""},
	} {
		s := must[Speed](t)(Hull(c.pieces, 0.05))
		if s.Reason != c.want || s.Verdict().Says(CannotSay) != (c.want != "") {
			t.Errorf("%s: %+v (want the reason %q)", c.name, s, c.want)
		}
	}
	for i := range apart {
		apart[i].B.Phases[0].Seconds *= 1.02 // 1.1177 in all
	}
	if s := must[Speed](t)(Hull(apart, 0.05)); s.Reason != PhasesMoved {
		t.Errorf("prices %v: %q (want %q)", s.PhasePrices, s.Reason, PhasesMoved)
	}
	if s := must[Speed](t)(Plain(gated())); s.Reason != NotInterleaved || s.Estimate != Round(3.108897742363878) {
		t.Errorf("Plain: %+v", s)
	}
}

// TestHullOfEqualCounts: where nothing differs but the machine, no drift is a verdict.
func TestHullOfEqualCounts(t *testing.T) {
	list := gated()
	for i := range list {
		list[i].B = Side{list[i].A.Seconds * 1.4, nil}
		for _, p := range list[i].A.Phases {
			p.Seconds *= 1.4
			list[i].B.Phases = append(list[i].B.Phases, p)
		}
	}
	s := must[Speed](t)(Hull(list, 0.05))
	if s.Work != 1 || s.High != 1 || s.Low > 1/1.4+1e-5 || !s.Verdict().Says(NoDifference) {
		t.Errorf("%+v: %v", s, s.Verdict())
	}
}

func TestRepeats(t *testing.T) {
	s := must[Speed](t)(Repeats([]float64{100, 104, 98}, []float64{50, 55, 52, 51}, 0.05))
	sameInterval(t, "3 and 4 runs", s.Interval, 1.936540503874963, 1.800465937675707, 2.08289923440016)
	sameNumber(t, "smallest", s.Smallest, 1.1014920341931846)
	for _, c := range [][2][]float64{{{1, 2}, {1, 2, 3}}, {{1, 2, 3}, {}}, {nil, nil}} {
		if s := must[Speed](t)(Repeats(c[0], c[1], 0.05)); s.Reason != FewRuns {
			t.Errorf("%v: %+v", c, s)
		}
	}
}

// alternating are pairs with an order effect.
func alternating(n int) []Pair {
	var list []Pair
	for i := range n {
		p := Pair{1 + float64((i*7)%5)*.04, .5 + float64((i*3)%7)*.01, i%2 == 1}
		if p.BFirst {
			p.B += 0.01
		} else {
			p.A += 0.02
		}
		list = append(list, p)
	}
	return list
}

func TestSequential(t *testing.T) {
	c := must[Compared](t)(Sequential(alternating(14), 0.05))
	sameInterval(t, "14 pairs", c.Interval, 2.0320427236315064, 1.9159958307322202, 2.1551182755370237)
	sameNumber(t, "Kish number", Round(c.Kish), 13.959095620314798)
	sameNumber(t, "order effect", c.Order, 1.0214254545084613)
	sameNumber(t, "deviation", Round(c.SD), 0.05822503261851127)
	sameNumber(t, "smallest", c.Smallest, 1.0446457793669242)
	if c.Needed != 0 || !c.Verdict().Says(Faster) {
		t.Errorf("%+v", c)
	}
	f := must[Compared](t)(Fixed(alternating(14), 0.05))
	sameInterval(t, "14 pairs, fixed", f.Interval, 2.0320427236315064, 1.9642033964165804, 2.1022250741429858)
	sameNumber(t, "smallest, fixed", f.Smallest, 1.048169608637855)
}

func TestMultiplier(t *testing.T) {
	for _, c := range []struct{ nu, want float64 }{{8, 6.22}, {12, 4.04}, {20, 3.43}, {30, 3.26}, {60, 3.17}, {100, 3.18}, {200, 3.24}} {
		if got := multiplier(c.nu, c.nu*tuning(0.05), 0.05); math.Abs(got-c.want) > 0.005 {
			t.Errorf("m at %v: %v (want %v)", c.nu, got, c.want)
		}
	}
	if got := tuning(0.05); math.Abs(got-0.29272668093442916) > 1e-15 {
		t.Errorf("g = %v", got)
	}
	if got := multiplier(3, 0.01, 0.05); !math.IsInf(got, 1) {
		t.Errorf("m where the mixture excludes nothing: %v (want +Inf)", got)
	}
	if got := multiplier(1, 10, 0.05); !math.IsNaN(got) {
		t.Errorf("m of one value: %v (want NaN)", got)
	}
}

func TestSequentialOpens(t *testing.T) {
	uneven := alternating(16)
	for i := range 4 {
		uneven[i].A *= 8
		uneven[i].B *= 8
	}
	for _, c := range []struct {
		name  string
		pairs []Pair
		want  Reason
	}{
		{"none", nil, "0 of 12 pairs"}, {"11", alternating(11), "11 of 12 pairs"}, {"12", alternating(12), ""}, {"uneven", uneven, FewCarry},
	} {
		got := must[Compared](t)(Sequential(c.pairs, 0.05))
		if got.Reason != c.want || got.Verdict().Says(CannotSay) != (c.want != "") {
			t.Errorf("%s: %+v (want the reason %q)", c.name, got, c.want)
		}
	}
	somewhat := alternating(12)
	for i := range 7 {
		somewhat[i].A *= 20
		somewhat[i].B *= 20
	}
	if got := must[Compared](t)(Sequential(somewhat, 0.05)); got.Kish < 7.2 || got.Kish >= 8 || got.Reason != "12 of 13 pairs" {
		t.Errorf("%+v", got)
	}
	if got := must[Compared](t)(Fixed(alternating(5), 0.05)); got.Reason != "5 of 6 pairs" {
		t.Errorf("%+v", got)
	}
}

// TestNeeded: with as many more pairs of the same kind the verdict is there, and one
// block less does not bring it.
func TestNeeded(t *testing.T) {
	close := func(n int) []Pair {
		list := alternating(n)
		for i := range list {
			list[i].B *= 2.02
		}
		return list
	}
	c := must[Compared](t)(Sequential(close(70), 0.05))
	if !c.Verdict().Says(NoDifference) || c.Needed == 0 {
		t.Fatalf("%v %+v", c.Verdict(), c)
	}
	need := (70 + c.Needed + 69) / 70 * 70 // the same pairs again
	if d := must[Compared](t)(Sequential(close(need), 0.05)); d.Verdict().Says(NoDifference) {
		t.Errorf("after %d further pairs, %d were needed: %v %+v", need-70, c.Needed, d.Verdict(), d.Interval)
	}
	if need > 140 {
		if d := must[Compared](t)(Sequential(close(need-70), 0.05)); !d.Verdict().Says(NoDifference) {
			t.Errorf("%d further pairs were needed, %d bring a verdict: %v", c.Needed, need-140, d.Verdict())
		}
	}
}

func TestControls(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      bool
	}{{0.9, 0.97, true}, {0.97, 0.985, false}, {1.01, 1.3, false}, {1.0201, 1.3, true}, {0.5, 2, false}} {
		if got := (Compared{Interval: Interval{1, c.low, c.high}}).Moved(); got != c.want {
			t.Errorf("control between %v and %v moved: %v (want %v)", c.low, c.high, got, c.want)
		}
	}
	if (Compared{Interval: Interval{1, 2, 3}, Reason: FewCarry}).Moved() {
		t.Error("a control without an interval moved")
	}
}

func TestThreshold(t *testing.T) {
	of := func(low, high, from, to float64) Speed {
		return Speed{Interval: Interval{(low + high) / 2, low, high}, Pieces: 10, core: [2]float64{ln(from), ln(to)}}
	}
	for _, c := range []struct {
		name  string
		speed Speed
		bound Bound
		want  Decision
	}{
		{"above", of(3.1, 3.3, 3.2, 3.2), AtLeast, Decision{Holding: Holds}},
		{"at the limit", of(3, 3.3, 3.1, 3.1), AtLeast, Decision{Holding: Holds}},
		{"below", of(2.1, 2.3, 2.2, 2.2), AtLeast, Decision{Holding: Fails}},
		{"just below", of(2.1, 3, 2.2, 2.2), AtLeast, Decision{Holding: Unknown, Further: 1}},
		{"at most, above", of(3.1, 3.3, 3.2, 3.2), AtMost, Decision{Holding: Fails}},
		{"at most, at the limit", of(2, 3, 2.5, 2.5), AtMost, Decision{Holding: Holds}},
		// e^0.21 each way, limit e^0.1 away: 10·(2.1² - 1) = 34.1.
		{"too wide", of(3*math.Exp(-0.11), 3*math.Exp(0.31), 3*math.Exp(0.1), 3*math.Exp(0.1)), AtLeast, Decision{Holding: Unknown, Further: 35}},
		{"the machine differed", of(2.5, 3.5, 2.9, 3.2), AtLeast, Decision{Holding: Unknown, None: true}},
		{"no interval", Speed{Reason: PhasesMoved}, AtLeast, Decision{Holding: Unknown, Reason: PhasesMoved}},
		{"not finite", of(math.NaN(), 3, 1, 1), AtLeast, Decision{Holding: Unknown, Reason: NotFinite}},
	} {
		if got := c.speed.Threshold(c.bound, 3); got != c.want {
			t.Errorf("%s: %+v (want %+v)", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		value float64
		bound Bound
		want  Holding
	}{{80, AtLeast, Holds}, {79.9999999, AtLeast, Holds}, {79.9, AtLeast, Fails}, {80.1, AtMost, Fails}, {80, AtMost, Holds}, {math.Inf(1), AtLeast, Unknown}} {
		if got := HoldsExactly(c.value, c.bound, 80); got.Holding != c.want {
			t.Errorf("%v %s 80: %v (want %v)", c.value, c.bound, got.Holding, c.want)
		}
	}
}

func members() []Member {
	var list []Member
	for i := range 60 {
		m := Member{Value: 5 + float64((i*13)%9)}
		if i >= 55 {
			m.Variance = 2
		}
		list = append(list, m)
	}
	return list
}

func TestEstimate(t *testing.T) {
	w := must[Whole](t)(Estimate(members(), 400, Count, 0.05))
	sameInterval(t, "count", w.Interval, 3600, 3222.55804768897, 4021.649822349718)
	w = must[Whole](t)(Estimate(members(), 400, Signed, 0.05))
	sameInterval(t, "difference", w.Interval, 3600, 3201.2698444346292, 3998.7301555653708)
	if w.Within(0.11) != false || !w.Within(0.12) {
		t.Errorf("%v within 11 %%: %v, 12 %%: %v", w.Interval, w.Within(0.11), w.Within(0.12))
	}
}

func TestEstimateOpens(t *testing.T) {
	skewed := members()
	skewed[7].Value = 300
	zero := make([]Member, 60)
	for _, c := range []struct {
		name    string
		members []Member
		chunks  int
		want    Reason
		opens   int
	}{
		{"none", nil, 400, NotEnoughChunks, 0}, {"29", members()[:29], 400, NotEnoughChunks, 30}, {"30", members()[:30], 400, "", 0},
		{"199 chunks", members(), 199, FewChunks, 0}, {"nothing seen", zero, 400, NothingSeen, 0},
		{"skewed", skewed, 400, NotEnoughChunks, 1405},
	} {
		w := must[Whole](t)(Estimate(c.members, c.chunks, Count, 0.05))
		if w.Reason != c.want || w.Opens != c.opens || w.Reason != "" && w.Within(10) {
			t.Errorf("%s: %+v (want %q, opens at %d)", c.name, w, c.want, c.opens)
		}
	}
	all := append(members(), members()...)
	all = append(all, members()...)
	for i := range all {
		all[i].Variance = 0
	}
	all = append(all, all[:60]...)
	if w := must[Whole](t)(Estimate(all, 240, Count, 0.05)); w.Interval != (Interval{2160, 2160, 2160}) {
		t.Errorf("all chunks: %+v (want 2160)", w)
	}
}

func TestPrefix(t *testing.T) {
	got := must[[]Member](t)(Prefix([]Progress{{1, 7, 7}, {0.5, 4, 4}, {0.25, 1, 1}, {0.2, 3, 3}, {1, 9, 9}}))
	want := []Member{{7, 0}, {8, 8}, {4, 12}}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v (want %v)", got, want)
	}
}
