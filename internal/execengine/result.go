package execengine

import (
	"errors"
	"fmt"

	"gx1replay/internal/footer"
)

// Result is what a replay ended with, also beside an error.
type Result struct {
	// Footer has the engine's fields; identity, status, claim and seq are the
	// worker's to fill.
	Footer    footer.Footer
	Artifacts []Artifact
	// Unkept says why an artifact that should be there is not.
	Unkept error
	// Trace is what the command said last on its standard error, of an attempt
	// that failed.
	Trace string
}

// Artifact is a file that goes with the footer, in pieces as it travels.
type Artifact struct {
	footer.Artifact
	Content [][]byte
}

// Errors of Replay, beside those of the context's end.
var (
	// ErrExhausted: the command says that trying again is in vain (64, 78).
	ErrExhausted = errors.New("not retried")
	// ErrNotBegun: the command ended by itself before its first bar, and will most
	// likely do so again.
	ErrNotBegun = errors.New("the command ended before its first bar")
	// ErrStalled: no new bar and no change of phase for the stall timeout.
	ErrStalled = errors.New("the command stalled")
)

// SetUpError says that this worker cannot run the command at all: it is not
// there, cannot be executed, or what it imports is missing.
type SetUpError struct {
	Code int // 126, 127, or 78 where the command ran and found something missing
	Err  error
	Hint string // what to do about it; may be empty
}

func (e *SetUpError) Error() string {
	text := fmt.Sprintf("the command cannot be run here: %v", e.Err)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *SetUpError) Unwrap() error { return e.Err }
