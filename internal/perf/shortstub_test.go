package perf_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

func TestShortStubHasFewLines(t *testing.T) {
	for _, n := range []int{0, 1, 56, 57, 100_000} {
		chunks := make([]perf.Chunk, n)
		for i := range chunks {
			chunks[i] = perf.Chunk{Idx: i, Planned: 10, Status: footer.StatusMissing}
		}
		s := perf.Stub{RunID: "q", Timestamp: time.Unix(1, 0), Error: "one\ntwo", Trace: strings.Repeat("a line\n", 100), Note: "do this"}
		b, err := perf.AppendShortStub(nil, s, chunks, "/tmp/stub.json")
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			RunID    string         `json:"run_id"`
			Error    string         `json:"export_error"`
			Total    int            `json:"chunks_total"`
			Whole    string         `json:"whole_stub"`
			Counts   map[string]int `json:"chunks_by_status"`
			Statuses map[string]string
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%d chunks: %v\n%s", n, err, b)
		}
		if lines := bytes.Count(b, []byte("\n")); lines > perf.ShortStubLines {
			t.Errorf("%d chunks: %d lines (want at most %d)", n, lines, perf.ShortStubLines)
		}
		if got.RunID != "q" || got.Error != s.Error || got.Total != n || got.Whole != "/tmp/stub.json" || n > 56 && got.Counts["missing"] != n {
			t.Errorf("%d chunks: %+v", n, got)
		}
		if !perf.IsStub(b, "q") {
			t.Errorf("%d chunks: it is no stub", n)
		}
	}
}
