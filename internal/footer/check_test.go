package footer

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/internal/run"
)

func TestCheckRefuses(t *testing.T) {
	// Identities are the built-in engine's; exec is taken at its word.
	exec := func(m *run.Manifest) { m.Engine = "exec" }
	off := func(m *run.Manifest) { m.PregateEnabled = false }
	for _, tc := range []struct {
		name   string
		plan   func(*run.Manifest)
		change func(*Footer)
		want   string // empty: accepted
	}{
		{"as it is", nil, func(*Footer) {}, ""},
		{"partial", nil, func(f *Footer) {
			f.Status, f.Final = StatusPartial, false
			f.BarsProcessed, f.TotalBars, f.PregatePasses, f.NModelCalls = 20, 20, 3, 3
		}, ""},
		{"nothing yet", nil, func(f *Footer) {
			*f = Footer{Schema: Schema, RunID: "r1", ChunkIdx: 1, ChunkID: "1", Status: StatusPartial, Attempt: 1, Engine: EngineBuiltin, FirstBar: 25, EndBar: 50, PlannedBars: 25}
		}, ""},

		{"schema", nil, func(f *Footer) { f.Schema = 2 }, "footer: schema 2 is unknown (want 1)"},
		{"run", nil, func(f *Footer) { f.RunID = "r2" }, `footer: run_id "r2" (want r1)`},
		{"another incarnation", nil, func(f *Footer) { f.Incarnation = "00112233445566778899aabbccddeeff" }, "another incarnation"},
		{"no incarnation", func(m *run.Manifest) { m.Incarnation = "00112233445566778899aabbccddeeff" }, func(*Footer) {}, "another incarnation"},
		{"chunk below", nil, func(f *Footer) { f.ChunkIdx = -1 }, "footer: chunk_idx -1 (want 0 to 3)"},
		{"chunk above", nil, func(f *Footer) { f.ChunkIdx = 4 }, "footer: chunk_idx 4 (want 0 to 3)"},
		{"another chunk", nil, func(f *Footer) { f.ChunkIdx, f.ChunkID = 2, "2" }, "bars [25, 50), planned 25 (the plan has [50, 75))"},
		{"chunk_id", nil, func(f *Footer) { f.ChunkID = "01" }, `footer of chunk 1: chunk_id "01" (want "1")`},
		{"first bar", nil, func(f *Footer) { f.FirstBar = 24 }, "bars [24, 50), planned 25 (the plan has [25, 50))"},
		{"end bar", nil, func(f *Footer) { f.EndBar = 51 }, "bars [25, 51)"},
		{"planned bars", nil, func(f *Footer) { f.PlannedBars = 26 }, "planned 26"},
		{"more bars than planned", nil, func(f *Footer) { f.BarsProcessed, f.TotalBars = 26, 26 }, "bars_processed 26 (at most 25 are planned)"},
		{"more bars than planned, exec", exec, func(f *Footer) { f.Engine = "exec"; f.BarsProcessed = 26 }, "bars_processed 26 (at most 25 are planned)"},
		{"status of a chunk", nil, func(f *Footer) { f.Status, f.Final = StatusMissing, false }, `status "missing" is not one of an attempt`},
		{"no status", nil, func(f *Footer) { f.Status, f.Final = "", false }, `status "" is not one of an attempt`},
		{"ok but not final", nil, func(f *Footer) { f.Final = false }, "final false with status ok (only ok is final)"},
		{"final but stopped", nil, func(f *Footer) { f.Status = StatusStopped }, "final true with status stopped (only ok is final)"},
		{"final but failed", nil, func(f *Footer) { f.Status = StatusFailed }, "final true with status failed"},
		{"attempt", nil, func(f *Footer) { f.Attempt = 0 }, "attempt 0 (want 1 or more)"},
		{"engine", nil, func(f *Footer) { f.Engine = "exec" }, `engine "exec" (want builtin)`},

		{"falling checkpoints", nil, func(f *Footer) { f.Checkpoints[1][4] = 5 }, "checkpoints[1] [24 20 18 8 5 0 0] falls below [16 10 9 4 6 0 0]"},
		{"negative checkpoint", nil, func(f *Footer) { f.Checkpoints[0][0] = -1 }, "checkpoints[0]"},
		{"negative reason", nil, func(f *Footer) { f.SkipReasons["spread"], f.SkipReasons["session"] = -1, 13 }, `skip_reasons: "spread" -1 (want 0 to 2^53)`},
		{"negative dropped", nil, func(f *Footer) { f.DropReasons["slots"] = -1 }, `drop_reasons: "slots" -1`},
		{"negative dropped, exec", exec, func(f *Footer) { f.Engine = "exec"; f.DropReasons["slots"] = -1 }, `drop_reasons: "slots" -1`},
		{"huge reason, exec", exec, func(f *Footer) { f.Engine = "exec"; f.SkipReasons["spread"] = 1<<53 + 1 }, `skip_reasons: "spread" 9007199254740993`},
		{"negative artifact", nil, func(f *Footer) { f.Artifacts[0].Bytes = -1 }, "artifacts[0]: -1 bytes in 1 parts"},
		{"negative parts", nil, func(f *Footer) { f.Artifacts[0].Parts = -1 }, "artifacts[0]: 10 bytes in -1 parts"},

		{"total is not processed", nil, func(f *Footer) { f.TotalBars = 24 }, "total_bars 24 (want bars_processed, 25)"},
		{"total is not processed, exec", exec, func(f *Footer) { f.Engine = "exec"; f.TotalBars = 24 }, ""},
		{"ok before its end", nil, func(f *Footer) {
			f.BarsProcessed, f.TotalBars, f.PregatePasses, f.NModelCalls = 24, 24, 7, 7
		}, "bars_processed 24 of an ok footer (want planned_bars, 25)"},
		{"gate counters with the gate off", off, func(*Footer) {}, "pregate_skips 12 and pregate_passes 8 with the pregate off"},
		{"gate off", off, func(f *Footer) {
			f.PregateSkips, f.PregatePasses, f.PregateMissingInputs, f.SkipReasons, f.NModelCalls = 0, 0, 0, nil, 20
		}, ""},
		{"gate off, too many calls", off, func(f *Footer) {
			f.PregateSkips, f.PregatePasses, f.PregateMissingInputs, f.SkipReasons, f.NModelCalls = 0, 0, 0, nil, 21
		}, "n_model_calls 21 (at most 20 bars passed)"},
		{"gate sum", nil, func(f *Footer) { f.PregatePasses = 9 }, "bars_skipped_warmup 5 + pregate_skips 12 + pregate_passes 9 do not make total_bars 25"},
		{"warm-up beyond total", off, func(f *Footer) {
			f.PregateSkips, f.PregatePasses, f.PregateMissingInputs, f.SkipReasons, f.NModelCalls = 0, 0, 0, nil, 0
			f.BarsSkippedWarmup = 26
		}, "bars_skipped_warmup 26 (at most total_bars, 25)"},
		{"missing inputs beyond passes", nil, func(f *Footer) { f.PregateMissingInputs = 9 }, "pregate_missing_inputs 9 (at most pregate_passes, 8)"},
		{"calls beyond passes", nil, func(f *Footer) { f.NModelCalls = 9 }, "n_model_calls 9 (at most 8 bars passed)"},
		{"reasons do not add up", nil, func(f *Footer) { f.SkipReasons["spread"] = 6 }, "skip_reasons add up to 11 (want pregate_skips, 12)"},
		{"no reasons", nil, func(f *Footer) { f.SkipReasons = nil }, "skip_reasons add up to 0 (want pregate_skips, 12)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, f := fixtureManifest(), soundFooter()
			if tc.plan != nil {
				tc.plan(&m)
			}
			tc.change(&f)
			err := f.Check(m)
			if tc.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// No counter is negative or beyond 2^53, and no time is negative; profit and
// loss may be.
func TestCheckRangeOfEveryNumber(t *testing.T) {
	for _, d := range fields {
		f := soundFooter()
		switch p := d.Of(&f).(type) {
		case *int64:
			for _, v := range []int64{-1, 1<<53 + 1, -1 << 63, 1<<63 - 1} {
				*p = v
				if f.Check(fixtureManifest()) == nil {
					t.Errorf("%s %d is accepted", d.Name, v)
				}
			}
		case *float64:
			*p = -0.5
			err := f.Check(fixtureManifest())
			mayBe := d.Name == "pnl_bps" || d.Name == "open_pnl_bps"
			if mayBe && err != nil {
				t.Errorf("%s -0.5: %v", d.Name, err)
			}
			if !mayBe && (err == nil || !strings.Contains(err.Error(), d.Name+" -0.5 is negative")) {
				t.Errorf("%s -0.5: error %v, want one that names it", d.Name, err)
			}
		}
	}
}

// Footers near a sound one, some of which Check accepts.
func TestInvariant2_AcceptedFootersClaimAtMostThePlannedBars(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		m := fixtureManifest()
		m.PregateEnabled = rapid.Bool().Draw(t, "gate")
		m.Engine = rapid.SampledFrom([]string{EngineBuiltin, "exec"}).Draw(t, "engine")
		idx := rapid.Int64Range(0, 3).Draw(t, "chunk")
		n := func(name string, most int64) int64 { return rapid.Int64Range(0, most).Draw(t, name) }
		f := soundFooter()
		f.Engine, f.ChunkIdx, f.ChunkID = m.Engine, idx, string(rune('0'+idx))
		f.FirstBar, f.EndBar = 25*idx, 25*idx+25
		f.PlannedBars = 25 + n("planned beyond", 1)
		f.BarsSkippedWarmup, f.PregateSkips, f.PregatePasses = n("warm-up", 9), 0, 0
		f.TotalBars = f.BarsSkippedWarmup + n("ready", 18)
		if m.PregateEnabled {
			f.PregateSkips, f.PregatePasses = n("skips", 9), n("passes", 9)
			f.TotalBars = f.BarsSkippedWarmup + f.PregateSkips + f.PregatePasses
		}
		f.BarsProcessed = f.TotalBars
		f.SkipReasons, f.PregateMissingInputs = Counts{"spread": f.PregateSkips}, 0
		f.NModelCalls = n("calls", 5)
		f.Final = rapid.Bool().Draw(t, "final")
		if !f.Final {
			f.Status = StatusPartial
		}
		if f.Check(m) != nil {
			return
		}
		accepted++
		planned := m.Plan.Chunk(int(idx)).Bars.Len()
		if f.BarsProcessed > planned || f.PlannedBars != planned {
			t.Fatalf("bars_processed %d, planned_bars %d, the plan has %d", f.BarsProcessed, f.PlannedBars, planned)
		}
		if m.Engine != EngineBuiltin {
			return
		}
		if f.TotalBars > planned || f.PregateSkips+f.PregatePasses+f.BarsSkippedWarmup > planned || f.NModelCalls > planned {
			t.Fatalf("a counter of %+v is beyond the %d planned bars", f, planned)
		}
	})
	if accepted == 0 {
		t.Error("none was accepted; nothing was shown")
	}
}
