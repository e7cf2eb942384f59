package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// trialsOf are the trials of a small simulation, for a `go test`.
var trialsOf = map[string]int{
	"two-runs": 60, "border": 40, "repeats": 300, "ab": 10, "slots": 60, "power": 16, "early": 5, "replays": 4, "borders": 4, "daily": 150,
}

// TestLimits runs every simulation at a small size. Its seed is fixed, so a limit that
// is not kept is a changed rule, not chance.
func TestLimits(t *testing.T) {
	for _, s := range simulations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			tables, err := s.run(config{trials: trialsOf[s.name], seed: 1, workers: 2, small: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range tables {
				for _, b := range table.broken {
					t.Error(b)
				}
				if len(table.rows) == 0 {
					t.Errorf("%s: no rows", table.title)
				}
				for _, row := range table.rows {
					if len(row) != len(table.head) {
						t.Errorf("%s: the row %q has %d cells (want %d)", table.title, row, len(row), len(table.head))
					}
				}
			}
		})
	}
}

// TestWrongRulesAreFound: the simulations would notice a rule that is wrong.
func TestWrongRulesAreFound(t *testing.T) {
	c := config{trials: 60, seed: 2, workers: 2, small: true}
	for _, f := range []struct {
		name  string
		found rate
		least float64
	}{
		{"Student's t at every look", count(perTrial(c, 1, func(r *rand.Rand) []bool {
			return []bool{session{cv: 0.2, workCV: 0.5, blocks: true}.looks(r, 48)[1]}
		}))[0], 0.12},
		{"one coin per wave", count(perTrial(c, 2, func(r *rand.Rand) []bool { return []bool{inStep(r, load{sd: 0.2, phi: 0.5}, "wave", 48)} }))[0], 0.3},
		{"plain R of two runs", count(perTrial(c, 3, func(r *rand.Rand) []bool { return []bool{sameWork(r, drift{fixed: 0.2, sees: 1}, 16)[2]} }))[0], 0.8},
		{"R/C where the control sees half", count(perTrial(c, 4, func(r *rand.Rand) []bool { return []bool{sameWork(r, drift{fixed: 0.2, sees: 0.5}, 64)[4]} }))[0], 0.6},
	} {
		if f.found.share() < f.least {
			t.Errorf("%s is wrong in %s %% (want %g or more)", f.name, f.found, 100*f.least)
		}
	}
	var late, early mean
	for _, o := range perTrial(c, 5, func(r *rand.Rand) replayed { return populations[0].replay(r, 200, 100) }) {
		if o.sampled[0] {
			late.add(o.biases[0])
		}
		if o.sampled[2] {
			early.add(o.biases[2])
		}
	}
	if late.value() > -0.3 || math.Abs(early.value()) > 0.1 {
		t.Errorf("bias of completed chunks %.2f, of the estimate %.2f (want -0.3 or less, and at most 0.1)", late.value(), early.value())
	}
}

// TestSeedDeterminesAll: the tables follow from seed and trials, whatever the number of
// goroutines.
func TestSeedDeterminesAll(t *testing.T) {
	text := func(seed uint64, workers int) string {
		var b bytes.Buffer
		for _, s := range []string{"two-runs", "repeats", "daily"} {
			for _, x := range simulations {
				if x.name != s {
					continue
				}
				tables, err := x.run(config{trials: 20, seed: seed, workers: workers, small: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, table := range tables {
					table.print(&b)
				}
			}
		}
		return b.String()
	}
	one := text(1, 1)
	if other := text(1, 5); other != one {
		t.Errorf("with five goroutines:\n%s\nwith one:\n%s", other, one)
	}
	if text(2, 1) == one {
		t.Error("another seed gives the same tables")
	}
}

func TestTablesKeepCount(t *testing.T) {
	table := newTable("x", "a")
	table.atMost("kept", rate{5, 100}, 0.05)
	table.atMost("kept by two standard errors", rate{9, 100}, 0.05)
	table.atLeast("kept", rate{95, 100}, 0.95)
	table.atLeast("nothing counted", rate{}, 0.95)
	if len(table.broken) > 0 {
		t.Errorf("%q", table.broken)
	}
	table.atMost("not kept", rate{10, 100}, 0.05)
	table.atLeast("not kept", rate{90, 100}, 0.95)
	if len(table.broken) != 2 || table.broken[0] != "not kept: 10.0 % of 100 (want at most 5 %)" {
		t.Errorf("%q", table.broken)
	}
}

// TestDraws: what the simulations draw has the moments that their tables name.
func TestDraws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 40_000
	series := func(next func() float64) (avg, sd float64) {
		list := make([]float64, n)
		for i := range list {
			list[i] = next()
		}
		avg, sd, _ = moments(list)
		return avg, sd
	}
	l := load{sd: 0.2, phi: 0.5}
	for _, c := range []struct {
		name    string
		next    func() float64
		avg, sd float64
	}{
		{"lognormal", func() float64 { return lognormal(r, 0.5) }, 1, 0.5},
		{"poisson 3", func() float64 { return float64(poisson(r, 3)) }, 3, math.Sqrt(3)},
		{"poisson 70", func() float64 { return float64(poisson(r, 70)) }, 70, math.Sqrt(70)},
		{"load", func() float64 { return math.Log(l.next(r)) }, 0, 0.2},
		{"losses, every day", func() float64 { return losses(1)(r, 1)[0] }, -0.45, 2.41},
	} {
		avg, sd := series(c.next)
		if math.Abs(avg-c.avg) > 5*c.sd/math.Sqrt(n)*2 || math.Abs(sd/c.sd-1) > 0.05 {
			t.Errorf("%s: mean %.4f, s.d. %.4f (want %g, %g)", c.name, avg, sd, c.avg, c.sd)
		}
	}
	var a, b float64
	s := session{workCV: 0.5, slope: 0.2}
	for _, p := range s.pairs(r, n) {
		a, b = a+p.A, b+p.B
	}
	if math.Abs(a/b-1) > 0.02 {
		t.Errorf("total ratio %.4f where B depends on the size (want 1)", a/b)
	}
}

func TestProgram(t *testing.T) {
	csv := filepath.Join(t.TempDir(), "bars.csv")
	if err := os.WriteFile(csv, []byte("time,open\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{nil, 2, "", "name a simulation: two-runs"},
		{[]string{"nonsense"}, 2, "", "name a simulation"},
		{[]string{"repeats", "--trials", "-1"}, 2, "", "trials -1"},
		{[]string{"repeats", "rest"}, 2, "", `arguments ["rest"]`},
		{[]string{"repeats", "--trials", "100"}, 0, "<!-- judgement repeats --trials 100 --seed 1 -->", ""},
		{[]string{"early", "--trials", "1", "--data", csv}, 2, "", "want one named close"},
		{[]string{"early", "--trials", "1", "--data", csv + "x"}, 2, "", "no such file"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(c.args, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%q: exit %d\n%s%s(want %d, %q, %q)", c.args, code, stdout.String(), stderr.String(), c.code, c.stdout, c.stderr)
		}
	}
}
