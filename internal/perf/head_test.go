package perf_test

import (
	"bytes"
	"strings"
	"testing"

	"gx1replay/internal/perf"
)

// The head is what Parse reads, without chunks; nothing behind it is read.
func TestReadHead(t *testing.T) {
	r, chunks := stoppedRun(t)
	b := appended(t, r, chunks)
	want, err := perf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	cut := b[:bytes.Index(b, []byte(`"chunks": [`))]
	for name, content := range map[string][]byte{"whole": b, "cut off in its chunks": cut} {
		got, err := perf.ReadHead(bytes.NewReader(content))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Report.RunID != want.Report.RunID || got.Totals.Coverage.ReplayedBars != want.Totals.Coverage.ReplayedBars ||
			got.Totals.Outcome != want.Totals.Outcome || got.Totals.TotalPnlBps != want.Totals.TotalPnlBps || len(got.Chunks) != 0 {
			t.Errorf("%s: %+v\nwant %+v", name, got.Totals, want.Totals)
		}
	}
	for name, c := range map[string]struct{ content, want string }{
		"empty":          {"", "EOF"},
		"a list":         {"[]", "want {"},
		"another schema": {strings.Replace(string(b), `"schema": 1`, `"schema": 9`, 1), "schema 9"},
		"no run_id":      {strings.Replace(string(b), `"run_id"`, `"runs_id"`, 1), `"run_id" is missing`},
		"a bad run_id":   {strings.Replace(string(b), `"run_id": "`, `"run_id": "../`, 1), "run_id"},
		"null":           {strings.Replace(string(b), `"error": ""`, `"error": null`, 1), "null"},
	} {
		if _, err := perf.ReadHead(strings.NewReader(c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (want %q)", name, err, c.want)
		}
	}
}

func FuzzReadHead(f *testing.F) {
	r, chunks := stoppedRun(f)
	b := appended(f, r, chunks)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte(`{"chunks":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, errWhole := perf.Parse(b)
		head, err := perf.ReadHead(bytes.NewReader(b))
		if errWhole == nil && err == nil && (head.Report.RunID != whole.Report.RunID || head.Totals.TotalBars != whole.Totals.TotalBars || head.Totals.Outcome != whole.Totals.Outcome) {
			t.Errorf("%+v\nwant %+v", head.Totals, whole.Totals)
		}
	})
}
