package lease

import (
	"fmt"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// Action is what a worker that was handed a chunk does.
type Action string

const (
	// Claim: store Decision.Next by compare-and-set, then replay.
	Claim Action = "claim"
	// Watch the record for one whole lease, connected without a break; if it
	// did not change, go on with AfterWatch.
	Watch Action = "watch"
	// Ack the task: the chunk has an end.
	Ack Action = "ack"
	// Exhaust: store Decision.Next by compare-and-set, then ack the task.
	Exhaust Action = "exhaust"
	// LetGo of the delivery without an answer: it is not ours to answer.
	LetGo Action = "let go"
	// Defer: give the task back for a moment, so that another worker may
	// have it first.
	Defer Action = "defer"
)

// Decision is what the rules answer; Next is the record to store for Claim
// and Exhaust.
type Decision struct {
	Action Action
	Next   Record
}

// Delivery is the moment in which a worker holds a chunk's task.
type Delivery struct {
	Me       Holder
	Run      run.Ref
	ChunkIdx int
	Session  int     // of the consumer that handed it out
	Prev     *Record // the stored record, nil if there is none
	OK       bool    // a valid ok footer is stored
	// Working: this very process works on the chunk already.
	Working bool
	// Deferred: this worker already deferred this attempt's task once.
	Deferred    bool
	MaxFailures int
	Identity    string
	// Build and EngineVersion are those of this program.
	Build         string
	EngineVersion int
}

// Decide answers a delivery.
func Decide(d Delivery) Decision {
	switch {
	case d.OK:
		return Decision{Action: Ack}
	case d.Working:
		return Decision{Action: LetGo}
	case d.Prev == nil:
		return Decision{Action: Claim, Next: d.claim()}
	case d.Prev.Session > d.Session:
		return Decision{Action: LetGo}
	}
	earlier := d.Prev.Session < d.Session
	switch d.Prev.State {
	case StateClaimed:
		if !earlier && d.deferFirst() {
			return Decision{Action: Defer} // if the watch ends in silence, another must have counted it
		}
		return Decision{Action: Watch}
	case StateExhausted:
		if !earlier {
			return Decision{Action: Ack}
		}
		// A coordinator that publishes an exhausted chunk again means a new
		// start: --retry-failed.
		next := d.claim()
		next.Failures = 0
		return Decision{Action: Claim, Next: next}
	case StateStopped:
		if !earlier {
			return Decision{Action: LetGo}
		}
	case StateFailed:
		if d.Prev.Failures >= d.MaxFailures {
			return Decision{Action: Exhaust, Next: exhausted(*d.Prev, d.Session)}
		}
		if d.deferFirst() {
			return Decision{Action: Defer}
		}
	}
	return Decision{Action: Claim, Next: d.claim()}
}

// deferFirst reports whether another worker should have the chunk before this
// one, whose own attempt at it went wrong.
func (d Delivery) deferFirst() bool {
	return !d.Deferred && d.Prev.Holder.WorkerID == d.Me.WorkerID
}

// AfterWatch answers a delivery whose record, another worker's claim, did not
// change for one whole lease: silence, which is a failure, or, in an earlier
// session, a release. d.OK is to be read anew after the watch: the holder may
// have stored its footer and died before its record showed it.
func AfterWatch(d Delivery) Decision {
	if d.OK {
		return Decision{Action: Ack}
	}
	prev := *d.Prev
	if prev.Session < d.Session {
		prev.Releases++
	} else {
		prev.Failures++
		prev.Error = fmt.Sprintf("attempt %d went silent for a whole lease (worker %s on %s)", prev.Attempt, prev.Holder.WorkerID, prev.Holder.Host)
		prev.Traceback = ""
		if prev.Failures >= d.MaxFailures {
			return Decision{Action: Exhaust, Next: exhausted(prev, d.Session)}
		}
	}
	d.Prev = &prev
	return Decision{Action: Claim, Next: d.claim()}
}

// claim is the record of a new attempt by d.Me.
func (d Delivery) claim() Record {
	next := Record{
		State: StateClaimed, RunID: d.Run.ID, Incarnation: d.Run.Incarnation, ChunkIdx: d.ChunkIdx, Session: d.Session,
		Holder: d.Me, Attempt: 1, Identity: d.Identity, Build: d.Build, EngineVersion: d.EngineVersion,
	}
	if p := d.Prev; p != nil {
		next.Attempt = p.Attempt + 1
		next.Failures, next.Releases = p.Failures, p.Releases
		next.Error, next.Traceback = p.Error, p.Traceback
		next.Best = better(p.Own, p.Best)
	}
	return next
}

func exhausted(prev Record, session int) Record {
	prev.State = StateExhausted
	prev.Session = session
	return prev
}

// Renewed is r with the attempt's latest footer; f may be nil when nothing
// was measured yet.
func (r Record) Renewed(f *footer.Footer) Record {
	if f != nil {
		r.Own = f
		r.Best = better(f, r.Best)
	}
	return r
}

// Released is the record of an attempt that is given back in order.
func (r Record) Released(f *footer.Footer) Record {
	r = r.Renewed(f)
	r.State = StateReleased
	r.Releases++
	return r
}

// Stopped is the last record of an attempt that a stop of the run ended.
func (r Record) Stopped(f *footer.Footer, s run.Stop) Record {
	r = r.Renewed(f)
	r.State = StateStopped
	r.Stop = s
	return r
}

// Done is the record after the ok footer f was stored.
func (r Record) Done(f *footer.Footer) Record {
	r = r.Renewed(f)
	r.State = StateDone
	r.Error, r.Traceback = "", ""
	return r
}

// Failed is the record of an attempt that ended in an error: failed, or
// exhausted when it was the last one allowed. fatal exhausts at once.
func (r Record) Failed(f *footer.Footer, text, traceback string, maxFailures int, fatal bool) Record {
	r = r.Renewed(f)
	r.State = StateFailed
	r.Failures++
	r.Error, r.Traceback = text, traceback
	if fatal || r.Failures >= maxFailures {
		r.State = StateExhausted
	}
	return r
}

// Waits between attempts after an error: the first is long enough for a
// passing fault to pass, the last short against a chunk.
const (
	backoffFirst = time.Second
	backoffMost  = 30 * time.Second
)

// Backoff is how long a task waits after its failures-th failure by an error.
func Backoff(failures int) time.Duration {
	d := backoffFirst
	for i := 1; i < failures && d < backoffMost; i++ {
		d *= 2
	}
	return min(d, backoffMost)
}

// FinalReport reports whether by r no worker works on the chunk.
func (r Record) FinalReport() bool { return r.State != StateClaimed }

// Lapsing reports whether r is a claim of a session before session. Once it
// has not changed for a whole lease it is a release, which anyone may write
// a worker that has watched it so long, connected without a break.
func (r Record) Lapsing(session int) bool { return r.Session < session && !r.FinalReport() }

// Status is a chunk's status: ok if an ok footer is there; else what the
// record says; refused counts records and footers of the chunk that could
// not be read.
func Status(ok bool, rec *Record, refused int) footer.Status {
	switch {
	case ok:
		return footer.StatusOK
	case rec == nil && refused > 0:
		return footer.StatusParseError
	case rec == nil:
		return footer.StatusMissing
	}
	switch rec.State {
	case StateExhausted:
		return footer.StatusFailed
	case StateClaimed:
		return footer.StatusUnresponsive
	}
	return footer.StatusStopped
}
