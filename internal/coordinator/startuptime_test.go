package coordinator

import (
	"math"
	"testing"

	"gx1replay/internal/footer"
)

func TestStartUp(t *testing.T) {
	const s = int64(1e9)
	f := func(wall, start float64, rows ...footer.Checkpoint) footer.Footer {
		return footer.Footer{Engine: footer.EngineExec, WallClockSec: wall, TStartupSec: start, Checkpoints: rows}
	}
	row := func(bars, ns int64) footer.Checkpoint { return footer.Checkpoint{bars, ns, 0, 0, 0} }
	warm := f(10, 3, row(1, 5*s), row(501, 10*s))
	warm.TWarmupSec = 2
	untold := f(10, 0, row(1, 5*s), row(501, 10*s))
	untold.Unreported = []string{"t_startup_sec"}
	builtin := f(10, 5, row(1, 5*s), row(501, 10*s))
	builtin.Engine = footer.EngineBuiltin
	for name, c := range map[string]struct {
		f    footer.Footer
		want float64 // NaN: not known
	}{
		"half of it":                    {f(10, 5, row(1, 5*s), row(501, 10*s)), 4.99},
		"a tenth, told each 100 bars":   {f(11, 2, row(100, 2*s), row(1000, 11*s)), 1},
		"none, told each 100 bars":      {f(10, 1, row(100, 1*s), row(1000, 10*s)), 0},
		"its own word is less":          {f(10, 0.5, row(1, 5*s), row(501, 10*s)), 0.5},
		"warm-up is no start-up":        {warm, 2.99},
		"one report":                    {f(10, 10, row(1000, 10*s)), math.NaN()},
		"no report":                     {f(10, 10), math.NaN()},
		"it is not known":               {untold, math.NaN()},
		"the built-in engine":           {builtin, math.NaN()},
		"rows that go back, or nothing": {f(10, 5, row(10, 5*s), row(10, 5*s)), math.NaN()},
	} {
		got, ok := startUp(c.f)
		if !ok {
			got = math.NaN()
		}
		if !(math.Abs(got-c.want) < 1e-9 || math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %v (want %v)", name, got, c.want)
		}
	}
}
