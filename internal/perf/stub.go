package perf

import (
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
	}{s.RunID, formatTime(s.Timestamp), "export_failed", s.Error, lastRunes(s.Trace, footer.MaxTraceLen), len(chunks), s.Env, s.Note})
	if err != nil {
		return dst, fmt.Errorf("stub of run %s: %w", s.RunID, err)
	}
	return append(appendStatuses(head, chunks), "\n}\n"...), nil
}
