package worker

import (
	"context"

	"gx1replay/internal/memo"
	"gx1replay/internal/run"
)

// shared holds what the chunks of a run share, by what they replay, until the
// run's session ends.
type shared[V any] struct{ memo memo.Memo[V] }

// get returns what job's run shares, which load fetches if it is not there. It
// returns the cause of ctx's end when ctx has ended.
func (s *shared[V]) get(ctx context.Context, job Job, load func(context.Context, run.Manifest) (V, error)) (V, error) {
	key := job.inputs()
	v, err := s.memo.Get(ctx, key, func(ctx context.Context) (V, int64, error) {
		v, err := load(ctx, job.Manifest)
		if err == nil && job.Session != nil {
			context.AfterFunc(job.Session, func() { s.memo.Forget(key) })
		}
		return v, 0, err
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return v, err
}

// forget lets go what job's run shares: it is not what it has to be any more.
func (s *shared[V]) forget(job Job) { s.memo.Forget(job.inputs()) }
