package coordinator

import (
	"context"
	"errors"
	"testing"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/test/virtual"
)

// answers are what a bus says of signals, one after the other; the last one
// stays.
type answers []error

func (a *answers) Signals(context.Context, footer.Footer, int) ([][]byte, error) {
	err := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	if err != nil {
		return nil, err
	}
	return [][]byte{{1}}, nil
}

// Signals are asked for again while the bus cannot be read, and no longer than
// a selection can wait for them.
func TestPatientSignals(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers answers
		limit   time.Duration // of the context; 0: none
		want    error
		took    time.Duration
	}{
		{"at once", answers{nil}, 0, nil, 0},
		{"a copy that catches up", answers{bus.ErrLags, context.DeadlineExceeded, nil}, 0, nil, 2 * busAgain},
		{"a copy that does not", answers{bus.ErrLags}, 0, bus.ErrLags, busPatience + busAgain},
		{"in the drain of a stop", answers{bus.ErrLags}, 4 * time.Second, bus.ErrLags, 2*time.Second + busAgain},
		{"not there", answers{bus.ErrNoArtifact}, 0, bus.ErrNoArtifact, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.limit)
					defer cancel()
				}
				began := time.Now()
				p := patient(ctx, &c.answers)
				parts, err := p.Signals(ctx, footer.Footer{}, 0)
				if !errors.Is(err, c.want) || (err == nil) != (len(parts) == 1) {
					t.Errorf("%d parts, %v (want error %v)", len(parts), err, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v (want %v)", took, c.took)
				}
			})
		})
	}
}
