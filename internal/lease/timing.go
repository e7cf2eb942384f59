package lease

import (
	"time"

	"gx1replay/internal/run"
)

const (
	// DefaultDuration is long against a pause of a host, short against a chunk.
	DefaultDuration = 10 * time.Second
	// MinDuration and MaxDuration bound what a run may be started with.
	MinDuration = time.Second
	MaxDuration = time.Hour
)

// Timing is how long a run's leases are. Every duration that has to do with
// leases follows from it, and is a method.
type Timing time.Duration

// TimingOf is that of m's run.
func TimingOf(m run.Manifest) Timing { return Timing(m.LeaseDuration) }

// Watch is how long another worker's claim is watched, unchanged, before another is
// made over it.
func (t Timing) Watch() time.Duration { return time.Duration(t) }

// Settle bounds how long a claimant asks whether its claim is stored. A claim
// that is, and of which it does not learn, runs out by silence.
func (t Timing) Settle() time.Duration { return time.Duration(t) }

// Record is how long a claim's record may stay unwritten: four fit into a
// lease, so that lost ones do not cost it.
func (t Timing) Record() time.Duration { return time.Duration(t) / 4 }

// Request bounds one request of an attempt that holds a lease, so that an
// answer that never comes does not cost the lease.
func (t Timing) Request() time.Duration { return max(t.Record(), leastRequest) }

// leastRequest is what a loaded machine may need for one answer.
const leastRequest = 300 * time.Millisecond

// AckWait is how long the server waits for an answer about a task before it hands
// it out again.
func (t Timing) AckWait() time.Duration { return time.Duration(t) / 2 }

// InProgress is how often a task is kept: three times in an ack-wait.
func (t Timing) InProgress() time.Duration { return time.Duration(t) / 6 }

// ReadStop is how often the stored stop is read by the holder of a chunk: a
// message about it may be missed.
func (t Timing) ReadStop() time.Duration { return time.Duration(t) }

// Reconcile is how often the coordinator looks for what was lost.
func (t Timing) Reconcile() time.Duration { return time.Duration(t) }

// LookToWake is how often the coordinator looks whether workers are to be
// woken. A killed worker's chunk costs an ack-wait, this, and a watch.
func (t Timing) LookToWake() time.Duration { return max(time.Duration(t)/20, LeastWake) }

// LeastWake bounds how often a run's workers are woken.
const LeastWake = 100 * time.Millisecond

// WakeAgain is how often workers are woken for a chunk whose record has been
// silent for longer than a lease.
func (t Timing) WakeAgain() time.Duration { return time.Duration(t) / 2 }

// Beat is how often a coordinator stores its heartbeat.
func (t Timing) Beat() time.Duration { return time.Duration(t) / 2 }

// BeatWatch is how long a coordinator is watched before it counts as dead: with
// room for heartbeats that are lost or late. A heartbeat that is older already
// is one that needs no watch.
func (t Timing) BeatWatch() time.Duration { return 2 * time.Duration(t) }

// LookForBeat is how often it is looked at meanwhile.
func (t Timing) LookForBeat() time.Duration { return max(time.Duration(t)/10, 100*time.Millisecond) }
