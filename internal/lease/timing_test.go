package lease

import (
	"testing"
	"time"
)

// What each duration has to leave room for, for the shortest lease of a
// manifest, the default and the longest.
func TestTiming(t *testing.T) {
	for _, d := range []time.Duration{100 * time.Millisecond, time.Second, DefaultDuration, 24 * time.Hour} {
		tm := Timing(d)
		for _, c := range []struct {
			what  string
			holds bool
		}{
			{"a claim is watched for one whole lease", tm.Watch() == d},
			{"three records are lost before a watch ends", 4*tm.Record() <= tm.Watch()},
			{"two in-progresses are lost before a task is handed out again", 3*tm.InProgress() <= tm.AckWait()},
			{"a task is handed out again before its record's watch could end", 2*tm.AckWait() <= tm.Watch()},
			{"stops are read and losses looked for once a lease", tm.ReadStop() == d && tm.Reconcile() == d},
			{"three heartbeats are lost before the coordinator counts as dead", 4*tm.Beat() <= tm.BeatWatch()},
			{"a watched heartbeat is seen", tm.LookForBeat() < tm.BeatWatch()},
			{"workers are woken at most ten times a second", tm.LookToWake() >= LeastWake},
			{"a loaded machine can answer", tm.Request() >= leastRequest && tm.Request() >= tm.Record()},
		} {
			if !c.holds {
				t.Errorf("lease of %v: not so: %s", d, c.what)
			}
		}
	}
}
