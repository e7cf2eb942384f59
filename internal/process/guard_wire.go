package process

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"syscall"
)

// A guard's descriptors. 0 to 2 become the command's and are let go of when it
// has started.
const (
	controlFD = 3 // what it receives: one order, then a byte each; its end: kill
	statusFD  = 4 // what it reports: messages
)

// What a guard is asked for.
const (
	askTerminate = 'T'
	askKill      = 'K'
)

// Bounds in bytes. The kernel takes arguments and environment of a quarter of
// the stack, mostly 2 MB, and never more than 6 MB. As JSON, a third more.
const (
	maxCommandBytes = 8 << 20
	maxOrder        = 32 << 20
	maxWord         = 64 << 10
)

// order is what to start. The texts are bytes, because JSON would replace those
// that are not UTF-8. It goes through a pipe, so that neither the guard's
// arguments nor its environment show it.
type order struct {
	Path      []byte
	Args      [][]byte
	Env       [][]byte
	Dir       []byte
	MemoryMax int64
}

// word is one message of a guard: Started or Failed first, then Ended.
type word struct {
	Started *started `json:",omitempty"`
	Failed  *failed  `json:",omitempty"`
	Ended   *Exit    `json:",omitempty"`
}

type started struct {
	PID    int
	Memory string // as MemoryLimit
	Cgroup string // directory; empty: none
}

type failed struct {
	Errno syscall.Errno // of the command's start; 0: Text contains what else
	Text  string
}

// writeFrame writes v as JSON behind its length, four bytes, the highest
// first.
func writeFrame(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxOrder {
		return fmt.Errorf("a message of %d bytes (at most %d)", len(b), maxOrder)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// readFrame reads into v what writeFrame wrote, of at most limit bytes.
func readFrame(r io.Reader, limit int, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if int64(n) > int64(limit) {
		return fmt.Errorf("a message of %d bytes (at most %d)", n, limit)
	}
	// By what comes, not by the announced length.
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(b) < int(n) {
		return io.ErrUnexpectedEOF
	}
	return json.Unmarshal(b, v)
}
