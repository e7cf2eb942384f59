package export_test

import (
	"os"
	"testing"

	"gx1replay/internal/export"
)

// A stub takes no other file's place: the file gets another name.
func TestStubInTheOtherRunsPlace(t *testing.T) {
	tg := target(t)
	if err := os.MkdirAll(tg.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const theirs = `{"run_id": "r1_FAILED_EXPORT", "timestamp": ""}`
	if err := os.WriteFile(tg.Stub(), []byte(theirs), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // its own stub is replaced
		if _, err := export.Fail(tg, export.Config{}, export.Failure{Report: aReport(1), Cause: errTest}); err != nil {
			t.Fatal(err)
		}
	}
	wantNames(t, tg.Dir, "perf_r1_FAILED_EXPORT.json perf_r1_FAILED_EXPORT.json.set-aside-1")
	if b, err := os.ReadFile(tg.Stub() + ".set-aside-1"); err != nil || string(b) != theirs {
		t.Errorf("what was there: %q, %v", b, err)
	}
}
