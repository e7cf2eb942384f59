package execengine

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"gx1replay/internal/footer"
)

// notTaken are the footer's fields that are not a command's to say, or that
// stand in a Report's own fields.
var notTaken = []string{
	"run_id", "chunk_id", "status", "start_ts", "end_ts", "pid", "timestamp", "schema", "chunk_idx", "attempt", "claim",
	"seq", "final", "worker_id", "host", "engine", "incarnation", "worker_build", "engine_version", "chunks_total", "data_bars", "planned_bars", "first_bar", "end_bar", "phase", "slot", "slots", "started_at", "ended_at",
	"nonfinite_fields", "unreported", "child", "child_status", "artifacts", "checkpoints",
}

// Every field of a footer is either a command's to report, or left out on
// purpose.
func TestReport_Fields(t *testing.T) {
	for _, d := range footer.Fields(func(footer.Field) bool { return true }) {
		_, taken := fieldOf(d.Name)
		if left := slices.Contains(notTaken, d.Name); taken == left {
			t.Errorf("%s: taken %v, left out %v", d.Name, taken, left)
		}
	}
}

func mustParse(t *testing.T, text string) Report {
	t.Helper()
	r, err := ParseReport([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

func TestReport_Merge(t *testing.T) {
	var all Report
	all.Merge(mustParse(t, `{"bars_processed": 10, "pnl_bps": 1.5, "phase": "warmup", "n_signals": NaN, "trades_open": -1, "skip_reasons": {"a": 1}}`))
	all.Merge(mustParse(t, `{"bars_processed": 12, "pnl_bps": NaN, "phase": "replay", "n_signals": 3, "chunk_id": 7, "error": "e"}`))
	last := `{"bars_processed":0,"skip_reasons":{"b":2},"status":"ok","final":true}`
	all.Merge(mustParse(t, last))
	all.Merge(Report{})
	want := Report{
		Footer:    footer.Footer{BarsProcessed: 0, PnlBps: 1.5, NSignals: 3, Error: "e", SkipReasons: footer.Counts{"b": 2}},
		Given:     map[string]bool{"bars_processed": true, "pnl_bps": true, "n_signals": true, "error": true, "skip_reasons": true},
		Nonfinite: []string{"pnl_bps"},
		Phase:     footer.PhaseReplay, Status: "ok", ChunkID: "7", Final: true,
		Raw: []byte(last),
	}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("got  %+v\nwant %+v", all, want)
	}
}

// Merging field by field carries every kind of field over.
func TestReport_MergeAll(t *testing.T) {
	text := "{"
	var r Report
	for i, d := range reported {
		switch d.Of(&r.Footer).(type) {
		case *int64, *float64:
			text += fmt.Sprintf("%q: %d, ", d.Name, i+1)
		case *string:
			text += fmt.Sprintf("%q: \"text %d\", ", d.Name, i)
		case *footer.Counts:
			text += fmt.Sprintf("%q: {\"r\": %d}, ", d.Name, i)
		}
	}
	one := mustParse(t, text+`"final": false}`)
	if len(one.Given) != len(reported) {
		t.Fatalf("given %v", one.Given)
	}
	r.Merge(one)
	if !reflect.DeepEqual(r, one) {
		t.Errorf("got  %+v\nwant %+v", r, one)
	}
}
