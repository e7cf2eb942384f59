package coordinator

import (
	"regexp"
	"strings"

	"gx1replay/internal/lease"
)

// StartError reports that a run's command cannot begin: its first two attempts have
// failed before their first bar, with the same error.
type StartError struct {
	Text string // the error of the first one
}

func (e *StartError) Error() string {
	return "the first two attempts failed before their first bar with the same error, so the run ends: " + e.Text
}

// firstStarts watches the first two attempts that are claimed in a session. It
// judges those of one host alone: elsewhere the command may be able to begin.
// It is used by one goroutine at a time.
type firstStarts struct {
	session int
	seen    []start
	over    bool // it is not so, or was found
}

// start is one of the first attempts.
type start struct {
	holder  lease.Holder
	chunk   int
	attempt int
	ended   bool
	text    string // its error
	same    string // its error and last output, without what differs between attempts
}

// numbers are what differs in one error between chunks: in paths, times, bars.
var numbers = regexp.MustCompile(`0x[0-9a-fA-F]+|[0-9]+`)

// take notes a lease record and returns what it has found out, once.
func (f *firstStarts) take(r *lease.Record) *StartError {
	if f.over || r.Session != f.session {
		return nil
	}
	if begun(r) || len(f.seen) > 0 && r.Holder.Host != f.seen[0].holder.Host {
		f.over = true
		return nil
	}
	s := f.find(r)
	if s == nil {
		return nil // a later attempt
	}
	switch r.State {
	case lease.StateClaimed:
		return nil
	case lease.StateFailed, lease.StateExhausted, lease.StateReleased:
	default:
		f.over = true
		return nil
	}
	if !r.NotBegun {
		f.over = true
		return nil
	}
	text, _, _ := strings.Cut(r.Error, "\n")
	said, _, _ := strings.Cut(text, "; its log: ")
	lines := strings.Split(strings.TrimSpace(r.Traceback), "\n")
	s.ended, s.text, s.same = true, text, numbers.ReplaceAllString(said+"\n"+lines[len(lines)-1], "#")
	if len(f.seen) < 2 || !f.seen[0].ended || !f.seen[1].ended {
		return nil
	}
	f.over = true
	if f.seen[0].same != f.seen[1].same {
		return nil
	}
	return &StartError{f.seen[0].text}
}

// find is the attempt of r, if it is one of the first two.
func (f *firstStarts) find(r *lease.Record) *start {
	for i := range f.seen {
		if s := &f.seen[i]; s.holder == r.Holder && s.chunk == r.ChunkIdx && s.attempt == r.Attempt {
			return s
		}
	}
	if len(f.seen) == 2 {
		return nil
	}
	f.seen = append(f.seen, start{holder: r.Holder, chunk: r.ChunkIdx, attempt: r.Attempt})
	return &f.seen[len(f.seen)-1]
}

// begun reports whether the attempt of r has come to a bar.
func begun(r *lease.Record) bool {
	return r.State == lease.StateDone || r.Own != nil && r.Own.BarsProcessed > 0
}
