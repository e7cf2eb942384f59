package execengine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/run"
)

// inPeriod is a chunk of a run whose period begins at bar before.
func inPeriod(t *testing.T, e *Engine, idx int, before int64) Job {
	t.Helper()
	job := chunk(t, e)
	job.Manifest.Data.BeforeBars = before
	job.Chunk = job.Manifest.Plan.Chunk(idx)
	return job
}

// A chunk in which the period begins: the command's own bars begin with the
// period, and those before it are its warm-up.
func TestPeriodBeginsInChunk(t *testing.T) {
	cases := []struct {
		name, script  string
		before        int64
		want          string // of the error; empty: ok
		bars, skipped int64
	}{
		{name: "ok", script: `printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, before: 130, bars: 100, skipped: 30},
		{name: "its own count", script: `printf '{"status":"ok","bars_processed":70,"bars_skipped_warmup":4}' > "$GX1R_FOOTER_FILE"`, before: 130, bars: 100, skipped: 34},
		{name: "its own count is too high", script: `printf '{"status":"ok","bars_processed":70,"bars_skipped_warmup":9007199254740992}' > "$GX1R_FOOTER_FILE"`, before: 130, bars: 100, skipped: 100},
		{name: "failed on its way", script: `echo 'GX1 {"bars_processed":42}'; exit 1`, before: 130, want: "exit code 1", bars: 72, skipped: 30},
		{name: "recognised progress over its whole slice", script: `echo '50/100'; exit 1`, before: 130, want: "exit code 1", bars: 50, skipped: 30},
		{name: "failed in the warm-up", script: `echo 'GX1 {"phase":"warmup"}'; exit 1`, before: 130, want: "exit code 1"},
		{name: "failed at the start", script: `exit 1`, before: 130, want: "exit code 1"},
		{name: "the period begins with the chunk", script: `echo 'GX1 {"bars_processed":42}'; exit 1`, before: 100, want: "exit code 1", bars: 42},
		{name: "the period begins earlier", script: `echo 'GX1 {"bars_processed":42}'; exit 1`, before: 50, want: "exit code 1", bars: 42},
		{name: "its last bar is the period's first", script: `printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, before: 199, bars: 100, skipped: 99},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := shell(t, c.script, nil)
			var heard []footer.Footer
			res, err := e.Replay(t.Context(), inPeriod(t, e, 1, c.before), func(f footer.Footer) { heard = append(heard, f) })
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			f := res.Footer
			if f.BarsProcessed != c.bars || f.TotalBars != c.bars || f.BarsSkippedWarmup != c.skipped {
				t.Errorf("%d bars of %d, %d skipped, want %d and %d", f.BarsProcessed, f.TotalBars, f.BarsSkippedWarmup, c.bars, c.skipped)
			}
			var last int64
			for _, h := range heard {
				if h.BarsProcessed < last || h.BarsProcessed > c.bars || h.BarsProcessed > 0 && h.BarsSkippedWarmup != c.skipped && c.want != "" {
					t.Errorf("progress of %d bars, %d skipped, after %d", h.BarsProcessed, h.BarsSkippedWarmup, last)
				}
				last = h.BarsProcessed
			}
			if c.want != "" && last != c.bars {
				t.Errorf("progress ends at %d bars, want %d", last, c.bars)
			}
			if n := len(f.Checkpoints); n > 0 && f.Checkpoints[n-1][0] != c.bars {
				t.Errorf("the last row of counters is at bar %d, want %d", f.Checkpoints[n-1][0], c.bars)
			}
		})
	}
}

// The task says what the slice holds and what is to be replayed.
func TestPeriodTask(t *testing.T) {
	for _, c := range []struct {
		emits        string
		first, slice float64
		warmup, rows float64
	}{
		{run.EmitsTrades, 130, 100, 30, 120},
		{run.EmitsSignals, 130, 100, 30, 120},
		{run.EmitsScores, 100, 70, 30, 150}, // its gate and entries are ours, and so is its warm-up
	} {
		t.Run(c.emits, func(t *testing.T) {
			t.Parallel()
			e := shell(t, `cp "$GX1R_TASK_FILE" "$(dirname "$GX1R_FOOTER_FILE")"/copy.json; exit 1`, func(s *Spec) {
				s.Command.Emits, s.Command.TailBars = c.emits, 20
			})
			job := inPeriod(t, e, 1, 130)
			if _, err := e.Replay(t.Context(), job, nil); err == nil {
				t.Fatal("it did not fail")
			}
			text, err := os.ReadFile(filepath.Join(job.Dir, layout.OutDir, "copy.json"))
			var task map[string]any
			if err == nil {
				err = json.Unmarshal(text, &task)
			}
			if err != nil {
				t.Fatal(err)
			}
			own := task["slice"].(map[string]any)
			for name, pair := range map[string][2]any{
				"first_bar": {task["first_bar"], c.first}, "end_bar": {task["end_bar"], 200.0}, "planned_bars": {task["planned_bars"], 200 - c.first},
				"warmup_bars": {task["warmup_bars"], c.warmup}, "rows": {own["rows"], c.rows}, "first_own_row": {own["first_own_row"], c.warmup},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
				}
			}
			list := job.Source.(Memory).Set.Bars
			start, load := newTime(list[int(c.first)].TimeNS, TSRFC3339).String(), newTime(list[int(c.slice)].TimeNS, TSRFC3339).String()
			if task["start_ts"] != start || task["load_start_ts"] != load {
				t.Errorf("start_ts %v, load_start_ts %v, want %s and %s", task["start_ts"], task["load_start_ts"], start, load)
			}
		})
	}
}

// A chunk before the period has nothing to replay: no command runs, and all its
// bars are warm-up.
func TestChunkBeforePeriod(t *testing.T) {
	for _, before := range []int64{100, 130} {
		e := shell(t, "exit 64", nil)
		job := inPeriod(t, e, 0, before)
		res, err := e.Replay(t.Context(), job, nil)
		f := res.Footer
		if err != nil || f.BarsProcessed != 100 || f.TotalBars != 100 || f.BarsSkippedWarmup != 100 || len(f.Unreported) > 0 || len(res.Artifacts) > 0 {
			t.Errorf("%d bars before: %v, %+v", before, err, f)
		}
		if left, err := os.ReadDir(job.Dir); err != nil || len(left) > 0 {
			t.Errorf("%d bars before: %v in the attempt's directory (%v)", before, left, err)
		}
	}
}

// Signals of bars before the period are those of a warm-up: refused.
func TestSignalsBeforePeriod(t *testing.T) {
	list := chunk(t, shell(t, "", nil)).Source.(Memory).Set.Bars
	for bar, fits := range map[int]bool{129: false, 130: true} {
		stamp := func(i int) string { return newTime(list[i].TimeNS, TSRFC3339).String() }
		rows := "time,side,entry_time,entry_price,exit_time,exit_price\n" +
			strings.Join([]string{stamp(bar), "long", stamp(bar + 1), "1000", stamp(bar + 3), "1001"}, ",") + "\n"
		e := shell(t, `printf '%s' "$1" > "$(dirname "$GX1R_FOOTER_FILE")"/signals.csv`, func(s *Spec) {
			s.Command.Argv, s.Command.Emits = append(slices.Clone(s.Command.Argv), "sh", rows), run.EmitsSignals
		})
		res, err := e.Replay(t.Context(), inPeriod(t, e, 1, 130), nil)
		if fits != (err == nil) || fits && (res.Footer.NSignals != 1 || res.Footer.BarsProcessed != 100) {
			t.Errorf("a signal at bar %d: %v, %d signals of %d bars", bar, err, res.Footer.NSignals, res.Footer.BarsProcessed)
		}
	}
}
