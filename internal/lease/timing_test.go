package lease

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// row is what a duration, by the method that returns it, leaves room for.
type row struct {
	method, what string
	holds        bool
}

// What each duration has to leave room for, for the shortest lease of a
// manifest, the default and the longest.
func TestTiming(t *testing.T) {
	for _, d := range []time.Duration{100 * time.Millisecond, time.Second, DefaultDuration, 24 * time.Hour} {
		tm := Timing(d)
		rows := []row{
			{"Watch", "a claim is watched for one whole lease", tm.Watch() == d},
			{"Settle", "a claimant asks for no longer than its claim is watched", tm.Settle() <= tm.Watch()},
			{"Record", "three records are lost before a watch ends", 4*tm.Record() <= tm.Watch()},
			{"Request", "a loaded machine can answer", tm.Request() >= leastRequest && tm.Request() >= tm.Record()},
			{"AckWait", "a task is handed out again before its record's watch could end", 2*tm.AckWait() <= tm.Watch()},
			{"InProgress", "two in-progresses are lost before a task is handed out again", 3*tm.InProgress() <= tm.AckWait()},
			{"ReadStop", "stops are read once a lease", tm.ReadStop() == d},
			{"Reconcile", "losses are looked for once a lease", tm.Reconcile() == d},
			{"LookToWake", "workers are woken at most ten times a second", tm.LookToWake() >= LeastWake},
			{"WakeAgain", "a silent chunk wakes workers more than once in a watch", 2*tm.WakeAgain() <= tm.Watch()},
			{"Beat", "three heartbeats are lost before the coordinator counts as dead", 4*tm.Beat() <= tm.BeatWatch()},
			{"BeatWatch", "a coordinator is watched for longer than a claim", tm.BeatWatch() > tm.Watch()},
			{"LookForBeat", "a watched heartbeat is seen", tm.LookForBeat() < tm.BeatWatch()},
		}
		for method := range reflect.TypeFor[Timing]().Methods() {
			if !slices.ContainsFunc(rows, func(r row) bool { return r.method == method.Name }) {
				t.Errorf("%s has no row", method.Name)
			}
		}
		for _, c := range rows {
			if !c.holds {
				t.Errorf("lease of %v, %s: not so: %s", d, c.method, c.what)
			}
		}
	}
}
