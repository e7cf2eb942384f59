package worker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"gx1replay/internal/run"
)

// A task of another incarnation is left where it is, and this session ends: it is
// for workers of that run. One that contradicts the plan is taken off.
func TestATaskOfAnotherIncarnationIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*run.Task)
		left   bool
	}{
		"another incarnation": {func(k *run.Task) { k.Incarnation = run.NewIncarnation([16]byte{7}) }, true},
		"no incarnation":      {func(k *run.Task) { k.Incarnation = "" }, true},
		"other bars":          {func(k *run.Task) { k.Bars.End-- }, false},
		"no such chunk":       {func(k *run.Task) { k.ChunkIdx = 5 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := newBench(t)
			must(t, x.a.d.Ack(t.Context())) // the chunk's own is out of the way
			task := x.m.NewTask(0)
			c.change(&task)
			must(t, x.b.PublishTasks(t.Context(), slices.Values([]run.Task{task})))
			w, s := x.a.w, x.a.s
			within, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for {
				a, more := w.next(within, s, 0)
				if a != nil {
					t.Fatal("the task is taken")
				}
				if more || s.ctx.Err() != nil {
					break
				}
				if !pause(within, 10*time.Millisecond) {
					t.Fatal("no task came")
				}
			}
			if over := errors.Is(context.Cause(s.ctx), errSessionOver); over != c.left {
				t.Errorf("the session is over: %v (want %v)", over, c.left)
			}
			waiting, err := x.b.PendingTasks(t.Context(), x.m.RunID)
			must(t, err)
			if waiting[task.ChunkIdx] != c.left {
				t.Errorf("the task is still there: %v (want %v)", waiting[task.ChunkIdx], c.left)
			}
		})
	}
}
