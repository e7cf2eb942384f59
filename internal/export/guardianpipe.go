package export

import (
	"encoding/json"
	"os"
	"sync"
	"time"
)

// wirePatience is how long a message to the guardian may take. The pipe holds
// some hundred of them, so only a guardian that is stopped costs it, once.
const wirePatience = 50 * time.Millisecond

// word is one message, a line on the pipe from a coordinator to its guardian: one of its
// fields.
type word struct {
	Session *sessionWord `json:"session,omitempty"`
	Started *startedWord `json:"started,omitempty"`
	Done    bool         `json:"done,omitempty"`
}

type sessionWord struct {
	Session   int       `json:"session"`
	StartedAt time.Time `json:"started_at"`
}

type startedWord struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

// Wire is the coordinator's end of the pipe to its guardian. Its methods may
// be called by several goroutines and wait no longer than a moment. A guardian
// that is gone, or does not read, is no error: nothing more is sent to it. A
// nil Wire is a no-op.
type Wire struct {
	mu   sync.Mutex
	f    *os.File // nil after Done
	mute bool     // a line may have been cut, so none may follow
}

// NewWire takes over the write end of a pipe made by os.Pipe. No other process
// may hold it: the guardian sees by its end that the coordinator is gone.
func NewWire(f *os.File) *Wire { return &Wire{f: f} }

// Session sends the epoch of this coordinator, as soon as it is known.
func (w *Wire) Session(n int, startedAt time.Time) {
	w.tell(word{Session: &sessionWord{Session: n, StartedAt: startedAt.UTC()}}, false)
}

// Started reports a local worker, by its process id, which is also that of
// its group, and the text that distinguishes it from others with that number.
func (w *Wire) Started(pid int, start string) {
	w.tell(word{Started: &startedWord{PID: pid, Start: start}}, false)
}

// Done reports that the coordinator has exported, or that nothing is to be
// exported, and closes the pipe: the guardian leaves.
func (w *Wire) Done() { w.tell(word{Done: true}, true) }

func (w *Wire) tell(m word, last bool) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return
	}
	if !w.mute {
		// Writing to a pipe without a reader is an error here, not a signal:
		// the runtime raises SIGPIPE for standard output and error only.
		b, err := json.Marshal(m)
		if err == nil {
			err = w.f.SetWriteDeadline(time.Now().Add(wirePatience))
		}
		if err == nil {
			_, err = w.f.Write(append(b, '\n'))
		}
		w.mute = err != nil
	}
	// A mute pipe stays open all the same: its end would mean that the
	// coordinator is gone.
	if last {
		w.f.Close()
		w.f = nil
	}
}
