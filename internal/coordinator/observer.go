package coordinator

import "gx1replay/internal/run"

// Observer receives the events of a session. Several goroutines call it; only Step may
// block.
type Observer interface {
	// Ready: the run can be stopped over the bus.
	Ready(Info)
	// Explain is called once by a session that resumes a run, with what becomes of
	// each chunk.
	Explain([]Fate)
	// Trouble: an attempt went wrong.
	Trouble(Trouble)
	// Notice is a line about what holds the run up.
	Notice(text string)
	// Step: the session begins its work ("begin"), or has done a step of the run's
	// end: "exported", "manifest", and "clean NAME" before NAME is removed.
	Step(name string)
}

// Unobserved is the Observer that does nothing; embed it to observe a part.
type Unobserved struct{}

func (Unobserved) Ready(Info)      {}
func (Unobserved) Explain([]Fate)  {}
func (Unobserved) Trouble(Trouble) {}
func (Unobserved) Notice(string)   {}
func (Unobserved) Step(string)     {}

// Info holds how a running session is reached.
type Info struct {
	RunID   run.ID
	Session int
	URL     string
	KeyFile string // of the embedded bus; empty with another
	// WorkerKey and OperatorKey are for other hosts; empty if those do not
	// reach the embedded bus.
	WorkerKey, OperatorKey string
	Plan                   run.Plan
	// Warnings list what of an external bus differs from what would have been made.
	Warnings []string
}
