package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gx1replay/internal/layout"
	"gx1replay/internal/safefile"
)

const (
	// logQueue is how many writes wait for the disk; a busy run logs a few per
	// second.
	logQueue = 4096
	// logPatience is the time for the disk to take the rest at the end.
	logPatience = 500 * time.Millisecond
)

// patientLog is a log's writer that never blocks: the log is in the output
// directory, and a disk that hangs there must not hang the watchdog. What finds the
// queue full is dropped and counted.
type patientLog struct {
	w     io.Writer
	ended chan struct{}

	mu      sync.Mutex
	queue   chan []byte // nil once closed
	dropped int
}

func newPatientLog(w io.Writer) *patientLog {
	l := &patientLog{w: w, ended: make(chan struct{}), queue: make(chan []byte, logQueue)}
	go l.copy(l.queue)
	return l
}

func (l *patientLog) copy(queue <-chan []byte) {
	defer close(l.ended)
	for b := range queue {
		// A log that cannot be written does not end a run.
		_, _ = l.w.Write(b)
	}
}

func (l *patientLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue == nil {
		return 0, fmt.Errorf("the log is closed: %w", io.ErrClosedPipe)
	}
	if l.dropped > 0 {
		note := fmt.Appendf(nil, "(%d writes to this log were lost: the disk did not accept them)\n", l.dropped)
		select {
		case l.queue <- note:
			l.dropped = 0
		default:
		}
	}
	select {
	case l.queue <- append([]byte(nil), p...):
	default:
		l.dropped++
	}
	return len(p), nil
}

// Close waits at most logPatience for the rest. It reports whether all was written.
func (l *patientLog) Close() bool {
	l.mu.Lock()
	if l.queue != nil {
		close(l.queue)
		l.queue = nil
	}
	l.mu.Unlock()
	t := time.NewTimer(logPatience)
	defer t.Stop()
	select {
	case <-l.ended:
		return true
	case <-t.C:
		return false
	}
}

// openLog opens the run's log, to which a resumed run appends; fresh: there was
// none.
func openLog(t layout.Run) (f *os.File, fresh bool, err error) {
	if err := os.MkdirAll(t.RunDir(), 0o755); err != nil {
		return nil, false, fmt.Errorf("making the run's directory: %w", err)
	}
	path := filepath.Join(t.RunDir(), "run.log")
	if f, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|os.O_EXCL, 0o600); err == nil {
		return f, true, nil
	}
	if f, err = safefile.Append(path); err != nil {
		return nil, false, fmt.Errorf("opening the run's log: %w", err)
	}
	return f, false, nil
}

// forgetLog removes an empty log and its directory.
func forgetLog(f *os.File) {
	if info, err := f.Stat(); err != nil || info.Size() > 0 {
		return
	}
	if os.Remove(f.Name()) == nil {
		_ = os.Remove(filepath.Dir(f.Name())) // not empty: not ours
	}
}
