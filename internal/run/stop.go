package run

import (
	"slices"
	"time"
)

// Source is what asked a run to stop.
type Source string

// The sources of a stop.
const (
	SourceSubject Source = "subject"
	SourceSIGTERM Source = "sigterm"
	SourceSIGINT  Source = "sigint"
	SourceSIGHUP  Source = "sighup"  // its terminal was closed, or its session ended
	SourceSIGQUIT Source = "sigquit" // it was asked to show what it does, and to end
	SourceTimeout Source = "timeout"
	SourceWeb     Source = "web"
)

// MaxReasonLen bounds a stop's reason in bytes; a longer one is cut.
const MaxReasonLen = 500

// Stop is a request to end a run early. The zero Stop means that none came.
type Stop struct {
	Source Source `msgpack:"source" json:"source"`
	Reason string `msgpack:"reason" json:"reason"`
	// Seq is the stop's sequence in the stream GX1_STOP; 0 while it is not
	// known to be stored.
	Seq         uint64    `msgpack:"seq" json:"seq"`
	RequestedAt time.Time `msgpack:"requested_at" json:"requested_at"`
}

// Stopped is the cause of the end of a context that a stop has ended.
type Stopped struct{ Stop }

func (s Stopped) Error() string { return "the run is stopped (" + string(s.Source) + ")" }

// IsZero reports whether there is no stop.
func (s Stop) IsZero() bool { return s.Source == "" }

// Known reports whether s is one of the sources of this version.
func (s Source) Known() bool {
	return slices.Contains([]Source{SourceSubject, SourceTimeout, SourceWeb}, s) || s.Signal()
}

// Signal reports whether s is a signal that a coordinator was sent.
func (s Source) Signal() bool {
	return slices.Contains([]Source{SourceSIGTERM, SourceSIGINT, SourceSIGHUP, SourceSIGQUIT}, s)
}

// Own reports whether s is a coordinator's own: a signal that it was sent, or
// its time-box.
func (s Source) Own() bool {
	return s.Signal() || s == SourceTimeout
}
