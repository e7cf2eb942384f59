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
	"seq", "final", "worker_id", "host", "engine", "incarnation", "worker_build", "engine_version", "chunks_total", "data_bars", "planned_bars", "first_bar", "end_bar", "phase", "slot",
	"nonfinite_fields", "unreported", "child", "child_status", "artifacts", "checkpoints",
}

// Every field of a footer is either taken, under its own name, or left out on
// purpose.
func TestReport_Fields(t *testing.T) {
	var r Report
	at := map[any]string{}
	for _, f := range r.fields() {
		at[f.ptr] = f.name
	}
	v := reflect.ValueOf(&r.Footer).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("json")
		got, taken := at[v.Field(i).Addr().Interface()]
		if left := slices.Contains(notTaken, name); taken == left || taken && got != name {
			t.Errorf("%s: taken %v as %q, left out %v", name, taken, got, left)
		}
		delete(at, v.Field(i).Addr().Interface())
	}
	if len(at) > 0 {
		t.Errorf("%v are no fields of a footer", at)
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
		Ignored:   []string{"trades_open"},
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
	for i, f := range r.fields() {
		switch f.ptr.(type) {
		case *int64, *float64:
			text += fmt.Sprintf("%q: %d, ", f.name, i+1)
		case *string:
			text += fmt.Sprintf("%q: \"text %d\", ", f.name, i)
		case *footer.Counts:
			text += fmt.Sprintf("%q: {\"r\": %d}, ", f.name, i)
		}
	}
	one := mustParse(t, text+`"final": false}`)
	if len(one.Given) != len(r.fields()) || len(one.Ignored) > 0 {
		t.Fatalf("given %v, ignored %v", one.Given, one.Ignored)
	}
	r.Merge(one)
	if !reflect.DeepEqual(r, one) {
		t.Errorf("got  %+v\nwant %+v", r, one)
	}
}
