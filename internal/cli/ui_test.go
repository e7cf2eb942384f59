package cli

import (
	"bytes"
	"strings"
	"testing"

	"gx1replay/internal/coordinator"
)

// A trouble is told once, however many chunks, attempts and bytes have it.
func TestATroubleIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	u := &ui{p: Program{Stderr: &out}, shown: map[string]bool{}}
	for _, x := range []coordinator.Trouble{
		{ChunkIdx: 4, Attempt: 1, WorkerID: "a", Error: "left no footer at /w/chunk_4/attempt_1/out; its log: /w/chunk_4/attempt_1/stderr.log"},
		{ChunkIdx: 4, Attempt: 2, WorkerID: "b", Error: "left no footer at /w/chunk_4/attempt_2/out; its log: /w/chunk_4/attempt_2/stderr.log"},
		{ChunkIdx: 1, Attempt: 1, WorkerID: "a", Error: "exit code 1; its log: /w/chunk_1", Trace: "at\nUnicodeDecodeError: byte 0x82 in position 7"},
		{ChunkIdx: 2, Attempt: 1, WorkerID: "a", Error: "exit code 1; its log: /w/chunk_2", Trace: "at\nUnicodeDecodeError: byte 0xf9 in position 12"},
		{ChunkIdx: 2, Attempt: 2, WorkerID: "a", Error: "exit code 1; its log: /w/chunk_2", Trace: "at\nKeyError: 'close'"},
	} {
		u.showTrouble(x)
	}
	if n := strings.Count(out.String(), ", attempt "); n != 3 {
		t.Errorf("%d were told (want 3):\n%s", n, out.String())
	}
}
