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
	if len(rows) < most/2 {
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
