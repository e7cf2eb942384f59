//go:build linux

package fault_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"gx1replay/test/drive"
)

// stub is the stub as its readers know it.
type stub struct {
	RunID       string            `json:"run_id"`
	Timestamp   string            `json:"timestamp"`
	Status      string            `json:"status"`
	Error       string            `json:"export_error"`
	Trace       *string           `json:"export_traceback"`
	ChunksTotal int               `json:"chunks_total"`
	Statuses    map[string]string `json:"chunks_statuses"`
	Env         map[string]any    `json:"env_info"`
	Note        string            `json:"note"`
}

// readStub demands a whole stub at path, with the statuses of every chunk.
func readStub(t *testing.T, r *drive.Run, path string, chunks int) stub {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("the stub: %v", err)
	}
	s, ok := decodeStub(b)
	if !ok {
		t.Fatalf("%s is no stub:\n%s", path, b)
	}
	if s.RunID != r.RunID || s.Timestamp == "" || s.Status != "export_failed" || s.Error == "" || s.Trace == nil || s.Note == "" || len(s.Env) == 0 {
		t.Errorf("the stub lacks something: %+v", s)
	}
	if s.ChunksTotal != chunks || len(s.Statuses) != chunks {
		t.Errorf("the stub has chunks_total %d and %d statuses (expected %d)", s.ChunksTotal, len(s.Statuses), chunks)
	}
	for idx, status := range s.Statuses {
		if !slices.Contains([]string{"ok", "stopped", "failed", "unresponsive", "missing", "parse_error"}, status) {
			t.Errorf("chunks_statuses[%q] is %q", idx, status)
		}
	}
	return s
}

func decodeStub(b []byte) (s stub, ok bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return s, d.Decode(&s) == nil
}

// toldOnStderr demands the stub's JSON on standard error.
func toldOnStderr(t *testing.T, r *drive.Run) {
	t.Helper()
	b, err := os.ReadFile(r.Stderr())
	if err != nil {
		t.Fatal(err)
	}
	for at := range b {
		if b[at] == '{' {
			if s, ok := decodeStub(b[at:]); ok && s.RunID == r.RunID {
				return
			}
		}
	}
	t.Errorf("standard error holds no stub:\n%s", b)
}
