package perf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// Stub is what is known of an export that failed, beside the chunks'
// statuses.
type Stub struct {
	RunID     run.ID
	Timestamp time.Time
	Error     string // export_error: never empty in a file
	Trace     string // export_traceback; its last footer.MaxTraceLen characters are kept
	Env       EnvInfo
	Note      string // for the person who finds the file: what to do now
}

// stubStatus is the status in every stub, and in no other file of ours.
const stubStatus = "export_failed"

// IsStub reports whether head, the beginning of a file, is that of a stub of
// run id. The status is among a stub's first fields: StubHead bytes are enough.
func IsStub(head []byte, id run.ID) bool {
	d := json.NewDecoder(bytes.NewReader(head))
	for _, want := range []any{json.Delim('{'), "run_id", string(id), "timestamp", nil, "status", stubStatus} {
		got, err := d.Token()
		if err != nil || want != nil && got != want {
			return false
		}
	}
	return true
}

// StubHead is how much of a file IsStub looks at.
const StubHead = 1 << 10

// AppendStub appends the stub as JSON: its fields indented, the statuses of
// every chunk at the end. It takes chunks in any state: a stub must not fail
// for what made the export fail.
func AppendStub(dst []byte, s Stub, chunks []Chunk) ([]byte, error) {
	if s.Error == "" {
		s.Error = "unknown"
	}
	head, err := appendHead(dst, struct {
		RunID       run.ID  `json:"run_id"`
		Timestamp   string  `json:"timestamp"`
		Status      string  `json:"status"`
		Error       string  `json:"export_error"`
		Trace       string  `json:"export_traceback"`
		ChunksTotal int     `json:"chunks_total"`
		EnvInfo     EnvInfo `json:"env_info"`
		Note        string  `json:"note"`
	}{s.RunID, formatTime(s.Timestamp), stubStatus, s.Error, footer.LastRunes(s.Trace, footer.MaxTraceLen), len(chunks), s.Env, s.Note})
	if err != nil {
		return dst, fmt.Errorf("stub of run %s: %w", s.RunID, err)
	}
	return append(appendStatuses(head, chunks), "\n}\n"...), nil
}
