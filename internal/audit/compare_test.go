package audit

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/footer"
)

// notCompared are the fields of a footer that another replay cannot repeat:
// times, who measured, when, how often, and the words of a command. What is
// left is compared.
var notCompared = []string{
	"run_id", "chunk_id", "status", "error", "error_traceback", "wall_clock_sec", "bars_per_sec", "feature_time_mean_ms",
	"t_pregate_total_sec", "t_feature_build_total_sec", "t_model_total_sec", "t_policy_total_sec", "t_io_total_sec",
	"worker_time_sec", "pid", "timestamp", "schema", "chunk_idx", "attempt", "claim", "seq", "final", "worker_id", "host", "incarnation", "worker_build",
	"engine_version", "chunks_total", "data_bars",
	"cpu_user_sec", "cpu_sys_sec", "max_rss_bytes", "t_startup_sec", "t_warmup_sec", "phase", "slot", "slots", "started_at", "ended_at", "t_feature_upkeep_sec",
	"n_features_built", // the model's calls have it; files of earlier versions have not
	"nonfinite_fields", "child", "child_status",
	"artifacts", // by Artifact: which ones, the caller says
}

// A field of a footer is compared, or it is in the list of those that are not:
// whoever adds one decides.
func TestEveryFieldIsDecided(t *testing.T) {
	typ := reflect.TypeFor[footer.Footer]()
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		a := footer.Footer{Engine: footer.EngineBuiltin}
		b := a
		set(t, reflect.ValueOf(&b).Elem().Field(i), name)
		diffs := Compare(b, a)
		if ignored := slices.Contains(notCompared, name); ignored == (len(diffs) > 0) {
			t.Errorf("%s: in the list of fields that are not compared: %v; changed, Compare says %v", name, ignored, diffs)
		}
	}
}

// set changes a field.
func set(t *testing.T, v reflect.Value, name string) {
	switch p := v.Addr().Interface().(type) {
	case *footer.Counts:
		*p = footer.Counts{"reason": 1}
	case *[]string:
		*p = []string{"n_model_calls"}
	case *json.RawMessage:
		*p = json.RawMessage(`{"a":1}`)
	case *[]footer.Artifact:
		*p = []footer.Artifact{{Name: "x"}}
	case *[]footer.Checkpoint:
		*p = make([]footer.Checkpoint, 1)
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString("builtin2")
		case reflect.Int64:
			v.SetInt(3)
		case reflect.Uint64:
			v.SetUint(3)
		case reflect.Float64:
			v.SetFloat(0.5)
		case reflect.Bool:
			v.SetBool(true)
		default:
			t.Fatalf("%s is of type %v", name, v.Type())
		}
	}
}

func TestCompare(t *testing.T) {
	base := footer.Footer{
		Engine: footer.EngineBuiltin, TotalBars: 10, NModelCalls: 4, PnlBps: 1.5, WallClockSec: 3,
		SkipReasons: footer.Counts{"spread_too_high": 6}, Checkpoints: []footer.Checkpoint{{5, 100, 90, 2, 3}},
	}
	for _, c := range []struct {
		name string
		edit func(*footer.Footer)
		want []string
	}{
		{"the same", func(*footer.Footer) {}, nil},
		{"other times", func(f *footer.Footer) {
			f.WallClockSec, f.Checkpoints = 9, []footer.Checkpoint{{5, 7, 8, 2, 3}}
		}, nil},
		{"a count", func(f *footer.Footer) { f.NModelCalls = 5 }, []string{"n_model_calls: recorded 4, replayed 5"}},
		{"the last bit", func(f *footer.Footer) { f.PnlBps = 1.5000000000000002 }, []string{"pnl_bps: recorded 1.5, replayed 1.5000000000000002"}},
		{"a reason", func(f *footer.Footer) { f.SkipReasons = footer.Counts{"atr_too_low": 6} },
			[]string{"skip_reasons.atr_too_low: recorded 0, replayed 6", "skip_reasons.spread_too_high: recorded 6, replayed 0"}},
		{"a checkpoint", func(f *footer.Footer) { f.Checkpoints = []footer.Checkpoint{{5, 100, 90, 1, 3}} }, []string{"checkpoints[0][3]: recorded 2, replayed 1"}},
		{"no checkpoint", func(f *footer.Footer) { f.Checkpoints = nil }, []string{"checkpoints: recorded 1 rows, replayed 0 rows"}},
	} {
		replayed := base
		c.edit(&replayed)
		var got []string
		for _, d := range Compare(base, replayed) {
			got = append(got, d.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What a command does not report is compared by its name.
func TestCompareOfACommand(t *testing.T) {
	a := footer.Footer{Engine: footer.EngineExec, NModelCalls: 0, NTradesClosed: 3, FeatureTimeoutCount: 1, Unreported: []string{"n_model_calls"}}
	b := footer.Footer{Engine: footer.EngineExec, NModelCalls: 7, NTradesClosed: 3}
	if got := Compare(a, b); len(got) != 1 || got[0].String() != "n_model_calls: recorded not reported, replayed reported" {
		t.Errorf("%v", got)
	}
	b.Unreported = a.Unreported
	if got := Compare(a, b); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestArtifact(t *testing.T) {
	a := []footer.Artifact{{Name: "signals", Bytes: 10, SHA256: "aa", Parts: 1}}
	b := []footer.Artifact{{Name: "signals", Bytes: 10, SHA256: "bb", Parts: 1}}
	for _, c := range []struct {
		recorded, replayed []footer.Artifact
		want               string
	}{
		{a, a, ""}, {nil, nil, ""},
		{a, b, "signals: recorded 10 bytes with SHA-256 aa, replayed 10 bytes with SHA-256 bb"},
		{nil, b, "signals: recorded nothing, replayed 10 bytes with SHA-256 bb"},
		{a, nil, "signals: recorded 10 bytes with SHA-256 aa, replayed nothing"},
	} {
		got := ""
		for _, d := range Artifact("signals", c.recorded, c.replayed) {
			got += d.String()
		}
		if got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
