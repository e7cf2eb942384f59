package execengine

import (
	"slices"
	"testing"
	"time"

	"gx1replay/internal/footer"
)

func reportOf(bars int64, phase footer.Phase) Report {
	r := Report{Given: map[string]bool{}, Phase: phase}
	if bars >= 0 {
		r.Given["bars_processed"], r.Footer.BarsProcessed = true, bars
	}
	return r
}

func TestTally(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(sec float64) time.Time { return began.Add(time.Duration(sec * float64(time.Second))) }
	y := newTally(100, began, 8)
	for i, step := range []struct {
		r     Report
		sec   float64
		moves bool
		bars  int64
		phase footer.Phase
	}{
		{reportOf(-1, footer.PhaseStartup), 1, false, 0, footer.PhaseStartup},
		{reportOf(-1, footer.PhaseWarmup), 2, true, 0, footer.PhaseWarmup},
		{reportOf(0, ""), 3, false, 0, footer.PhaseWarmup},
		{reportOf(10, ""), 5, true, 10, footer.PhaseReplay},
		{reportOf(10, ""), 6, false, 10, footer.PhaseReplay},
		{reportOf(7, ""), 7, false, 10, footer.PhaseReplay}, // an older report
		{reportOf(500, ""), 8, true, 100, footer.PhaseReplay},
	} {
		if moved := y.add(step.r, at(step.sec)); moved != step.moves || y.bars != step.bars || y.phase != step.phase {
			t.Errorf("step %d: moved %v to %d bars in %s (want %v, %d, %s)", i, moved, y.bars, y.phase, step.moves, step.bars, step.phase)
		}
	}
	f := y.footer(y.bars, at(10), "n_signals")
	if f.TStartupSec != 2 || f.TWarmupSec != 3 || f.WallClockSec != 10 || f.BarsPerSec != 10 || f.BarsProcessed != 100 || f.TotalBars != 100 {
		t.Errorf("footer %+v", f)
	}
	if !slices.Contains(f.Unreported, "n_model_calls") || slices.Contains(f.Unreported, "n_signals") || slices.Contains(f.Unreported, "bars_processed") {
		t.Errorf("unreported %v", f.Unreported)
	}
	if want := []int64{10, 100}; len(f.Checkpoints) != 2 || f.Checkpoints[0][0] != want[0] || f.Checkpoints[1][0] != want[1] {
		t.Errorf("checkpoints %v", f.Checkpoints)
	}
}

// A progress that counts to another number than the chunk's bars does not count
// its own bars.
func TestTallyOfPaddedProgress(t *testing.T) {
	began := time.Unix(1000, 0)
	for _, c := range []struct {
		name       string
		raw, total int64
		want       int64
		has        bool
		phase      footer.Phase
	}{
		{"its own", 40, 100, 40, true, footer.PhaseReplay},
		{"no total", 40, 0, 40, true, footer.PhaseReplay},
		{"in its padding", 40, 150, 0, true, footer.PhaseWarmup},
		{"behind its padding", 70, 150, 20, true, footer.PhaseReplay},
		{"at its end", 150, 150, 100, true, footer.PhaseReplay},
		{"the whole slice, with a tail", 40, 160, 10, true, footer.PhaseReplay},
		{"in the slice's tail", 155, 160, 100, true, footer.PhaseReplay},
		{"other steps", 10, 20, 0, false, footer.PhaseReplay},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := newTally(100, began, 8)
			y.sliceRows, y.sliceWarmup = 160, 30
			r := reportOf(c.raw, "")
			r.Total = c.total
			if bars, has := y.barsOf(r); bars != c.want || has != c.has {
				t.Errorf("%d bars, %v (want %d, %v)", bars, has, c.want, c.has)
			}
			at := began.Add(time.Second)
			if !y.add(r, at) || y.moved != at {
				t.Error("it has not moved: a command in its padding would stall")
			}
			f := y.footer(y.bars, at)
			if f.BarsProcessed != c.want || f.Phase != c.phase || slices.Contains(f.Unreported, "bars_processed") == c.has {
				t.Errorf("%d bars, phase %s, unreported %v (want %d, %s)", f.BarsProcessed, f.Phase, f.Unreported, c.want, c.phase)
			}
			if done := y.footer(100, at); slices.Contains(done.Unreported, "bars_processed") {
				t.Error("its end tells all bars, and they are unreported")
			}
		})
	}
}

// A command that says nothing before its end does not tell how long its start
// took.
func TestTallyOfASilentCommand(t *testing.T) {
	began := time.Unix(1000, 0)
	f := newTally(100, began, 8).footer(100, began.Add(10*time.Second))
	if f.Phase != footer.PhaseReplay || f.TStartupSec != 0 || !slices.Contains(f.Unreported, "t_startup_sec") || !slices.Contains(f.Unreported, "t_warmup_sec") {
		t.Errorf("phase %s, %v s of startup, unreported %v", f.Phase, f.TStartupSec, f.Unreported)
	}
	f = newTally(100, began, 8).footer(0, began.Add(10*time.Second))
	if f.Phase != footer.PhaseStartup || f.TStartupSec != 10 || slices.Contains(f.Unreported, "t_startup_sec") {
		t.Errorf("without a bar: phase %s, %v s of startup, unreported %v", f.Phase, f.TStartupSec, f.Unreported)
	}
}

// Times that the command claims are taken where they can be: a replay cannot
// have taken longer than the process lived.
func TestTallyTakesClaimedTimes(t *testing.T) {
	began := time.Unix(1000, 0)
	for claimed, want := range map[float64]float64{4: 4, 11: 10} {
		y := newTally(100, began, 0)
		r := reportOf(10, "")
		r.Given["wall_clock_sec"], r.Footer.WallClockSec = true, claimed
		y.add(r, began.Add(time.Second))
		if got := y.footer(10, began.Add(10*time.Second)).WallClockSec; got != want {
			t.Errorf("claimed %v: %v (want %v)", claimed, got, want)
		}
	}
}

// Rows are thinned, stay cumulative, and are never more than allowed.
func TestTallyThinsCheckpoints(t *testing.T) {
	const most = 16
	began := time.Unix(1000, 0)
	y := newTally(10_000, began, most)
	for n := int64(1); n <= 10_000; n++ {
		r := reportOf(n, "")
		r.Given["n_model_calls"], r.Footer.NModelCalls = true, 10_000-n // falls: nonsense
		y.add(r, began.Add(time.Duration(n)*time.Millisecond))
		if len(y.rows) > most {
			t.Fatalf("%d rows after %d bars", len(y.rows), n)
		}
	}
	rows := y.footer(10_000, began.Add(time.Minute)).Checkpoints
	if len(rows) < most/4 {
		t.Errorf("only %d rows are left", len(rows))
	}
	for i := 1; i < len(rows); i++ {
		for k := range rows[i] {
			if rows[i][k] < rows[i-1][k] {
				t.Fatalf("row %d falls: %v after %v", i, rows[i], rows[i-1])
			}
		}
	}
}

// Two runs of one command keep rows at the same bars, however far each of them
// came, and wherever a chunk begins.
func TestTallyKeepsRowsOnAGrid(t *testing.T) {
	began := time.Unix(1000, 0)
	const first, most = 1003, 8
	rowsAt := func(upTo int64) map[int64]bool {
		y := newTally(2_000, began, most)
		y.first = first
		for n := int64(3); n <= upTo; n += 3 {
			y.add(reportOf(n, ""), began.Add(time.Duration(n)*time.Millisecond))
		}
		at := map[int64]bool{}
		for _, r := range y.footer(upTo, began.Add(time.Minute)).Checkpoints {
			at[first+r[0]] = true
		}
		return at
	}
	// first is the first report at or after each multiple, by looking at all.
	grid := func(every, upTo int64) (list []int64) {
		before := int64(first)
		for n := int64(3); n <= upTo; n += 3 {
			if at := first + n; at/every > before/every {
				list = append(list, at)
			}
			before = first + n
		}
		return list
	}
	for upTo := int64(3); upTo <= 2_000; upTo += 97 {
		every := int64(1)
		for len(grid(every, upTo)) > most {
			every *= 2
		}
		got, want := rowsAt(upTo), grid(every, upTo)
		for _, at := range want {
			if !got[at] {
				t.Fatalf("after %d bars there is no row at bar %d: %v (want %v)", upTo, at, got, want)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("after %d bars there are rows at %v (want %v)", upTo, got, want)
		}
	}
}
