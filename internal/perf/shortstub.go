package perf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gx1replay/internal/footer"
)

const (
	// ShortStubLines is how many lines a short stub has at most.
	ShortStubLines = 20
	// shortStatuses is how many chunks a short stub has the statuses of: seven
	// lines of eight. Of more it counts them.
	shortStatuses = 56
)

// AppendShortStub appends the stub for a terminal: JSON of at most
// ShortStubLines lines, with the fields of a stub. Of a run with many chunks it
// counts the statuses. The note names whole, the path of the whole stub.
func AppendShortStub(dst []byte, s Stub, chunks []Chunk, whole string) ([]byte, error) {
	if s.Error == "" {
		s.Error = "unknown"
	}
	type field struct {
		name  string
		value any
	}
	fields := []field{
		{"run_id", s.RunID}, {"timestamp", formatTime(s.Timestamp)}, {"status", stubStatus}, {"export_error", s.Error},
		{"export_traceback", footer.LastRunes(s.Trace, footer.MaxTraceLen)}, {"chunks_total", len(chunks)}, {"env_info", s.Env},
		{"note", strings.TrimSpace(s.Note + " The stub's file is " + whole + ".")},
	}
	if len(chunks) > shortStatuses {
		counts := map[footer.Status]int{}
		first := int64(0)
		for _, c := range chunks {
			counts[c.settled(first).Status]++
			first += c.Planned
		}
		fields = append(fields, field{"chunks_by_status", counts})
	}
	for i, f := range fields {
		before := ","
		if i == 0 {
			before = "{"
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(f.value); err != nil {
			return dst, fmt.Errorf("stub of run %s: %s: %w", s.RunID, f.name, err)
		}
		dst = fmt.Appendf(dst, "%s\n  %q: %s", before, f.name, bytes.TrimSpace(b.Bytes()))
	}
	if len(chunks) <= shortStatuses {
		dst = appendStatuses(dst, chunks)
	}
	return append(dst, "\n}\n"...), nil
}
