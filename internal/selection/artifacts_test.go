package selection

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/test/virtual"
)

// answers are what a reader says, one after the other; the last one stays.
type answers []error

func (a *answers) ReadArtifact(context.Context, footer.Footer, int) ([][]byte, error) {
	err := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	if err != nil {
		return nil, err
	}
	return [][]byte{{1}}, nil
}

// An artifact that cannot be read at the moment is read again, no longer than a
// selection can wait for it.
func TestArtifactsThatCannotBeReadNow(t *testing.T) {
	busy, gone := fmt.Errorf("the bus: %w", ErrNotNow), errors.New("there is none")
	for _, c := range []struct {
		name    string
		answers answers
		limit   time.Duration // of the context; 0: none
		want    error
		took    time.Duration
	}{
		{"at once", answers{nil}, 0, nil, 0},
		{"a copy that catches up", answers{busy, busy, nil}, 0, nil, 2 * retryEvery},
		{"a copy that does not", answers{busy}, 0, busy, patience + retryEvery},
		{"in the drain of a stop", answers{busy}, 4 * time.Second, busy, 2*time.Second + retryEvery},
		{"not there", answers{gone}, 0, gone, 0},
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
				parts, err := newArtifacts(ctx, nil).read(ctx, &c.answers, footer.Footer{}, 0)
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
