package replay

import (
	"context"
	"time"
)

const (
	// repayPiece is the least sleep: shorter ones take a millisecond or more
	// whatever was asked for.
	repayPiece = 2 * time.Millisecond
	// maxCredit bounds what one sleep that took too long pays ahead: enough
	// for a busy machine, but a machine that was suspended does not make the
	// model free for as long.
	maxCredit = time.Second
)

// latency is the declared cost of model calls. It is kept on average: what is
// owed is summed up and repaid in pieces of at least repayPiece, and what a
// sleep took too long counts as paid ahead.
type latency struct {
	each  time.Duration
	owed  time.Duration
	timer *time.Timer
}

// pay adds one call's cost and sleeps if enough is owed. A cancel ends the
// sleep with its cause.
func (l *latency) pay(ctx context.Context, c *clock) error {
	if l.each <= 0 {
		return nil
	}
	l.owed += l.each
	if l.owed < repayPiece {
		return nil
	}
	return l.repay(ctx, c)
}

// repay sleeps for what is owed.
func (l *latency) repay(ctx context.Context, c *clock) error {
	if l.owed <= 0 {
		return nil
	}
	from := c.now()
	if l.timer == nil {
		l.timer = time.NewTimer(l.owed)
	} else {
		l.timer.Reset(l.owed)
	}
	var err error
	select {
	case <-l.timer.C:
	case <-ctx.Done():
		l.timer.Stop()
		err = context.Cause(ctx)
	}
	l.owed = max(l.owed-time.Duration(c.sleeping(from)), -maxCredit)
	return err
}
