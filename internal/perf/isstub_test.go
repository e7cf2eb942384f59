package perf_test

import (
	"testing"
	"time"

	"gx1replay/internal/perf"
)

func TestIsStub(t *testing.T) {
	stub, err := perf.AppendStub(nil, perf.Stub{RunID: "q", Timestamp: time.Unix(1, 0)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"a stub", string(stub), true},
		{"its first bytes", string(stub[:perf.StubHead/4]), true},
		{"another run's stub", `{"run_id": "r", "timestamp": "", "status": "export_failed"}`, false},
		{"a perf JSON", `{"run_id": "q", "incarnation": "", "timestamp": ""}`, false},
		{"another status", `{"run_id": "q", "timestamp": "", "status": "ok"}`, false},
		{"nothing", "", false},
		{"no JSON", "{run_id", false},
		{"an array", `["run_id"]`, false},
	} {
		if got := perf.IsStub([]byte(c.text), "q"); got != c.want {
			t.Errorf("%s: %v (want %v)", c.name, got, c.want)
		}
	}
}
