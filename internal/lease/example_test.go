package lease_test

import (
	"fmt"

	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// A worker receives the task of a chunk that another worker has claimed. It
// watches the record for one whole lease. If the record has not changed by
// then, the claim counts as a failure, and the worker claims the chunk.
func ExampleDecide() {
	d := lease.Delivery{
		Me: lease.Holder{WorkerID: "b"}, Run: run.Ref{ID: "r1"}, ChunkIdx: 4, Session: 1, MaxFailures: 3,
	}
	fmt.Println("no record:", lease.Decide(d).Action)

	d.Prev = &lease.Record{State: lease.StateClaimed, RunID: "r1", ChunkIdx: 4, Session: 1, Holder: lease.Holder{WorkerID: "a"}, Attempt: 1}
	fmt.Println("claimed by another worker:", lease.Decide(d).Action)

	after := lease.AfterWatch(d)
	fmt.Println("unchanged for a lease:", after.Action, "attempt", after.Next.Attempt, "failures", after.Next.Failures)
	// Output:
	// no record: claim
	// claimed by another worker: watch
	// unchanged for a lease: claim attempt 2 failures 1
}
