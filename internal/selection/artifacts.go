package selection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// ArtifactReader reads what attempts left beside their footers: signals,
// decisions, trades, logs.
type ArtifactReader interface {
	// ReadArtifact returns the content of the artifact that f lists at index at,
	// in one piece or in its parts. It need not be checked: the caller does. An
	// error means that the reader has none, or cannot be reached.
	ReadArtifact(ctx context.Context, f footer.Footer, at int) ([][]byte, error)
}

// ErrNotNow: an artifact cannot be read just now, but perhaps a moment later. A
// selection tries again.
var ErrNotNow = errors.New("cannot be read at the moment")

const (
	// patience is what a selection waits in all for artifacts that cannot be read
	// at the moment: more than a cluster takes to be whole after a link was mended.
	patience = time.Minute
	// retryEvery is how often it tries.
	retryEvery = 250 * time.Millisecond
)

// artifacts reads artifacts for one selection.
type artifacts struct {
	readers []ArtifactReader
	until   time.Time // what cannot be read now is tried again until then
}

// newArtifacts waits for half of ctx's time at most: a selection without some
// signals is better than none.
func newArtifacts(ctx context.Context, readers []ArtifactReader) artifacts {
	wait := patience
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	return artifacts{readers, time.Now().Add(wait)}
}

// read reads the artifact that f lists at that place by one reader.
func (a artifacts) read(ctx context.Context, by ArtifactReader, f footer.Footer, at int) ([][]byte, error) {
	for {
		parts, err := by.ReadArtifact(ctx, f, at)
		if err == nil || !errors.Is(err, ErrNotNow) || time.Now().After(a.until) {
			return parts, err
		}
		t := time.NewTimer(retryEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, err
		}
	}
}

// find reads the artifact of that name which the footer of c lists, by one reader
// after the other, until decode accepts it.
func find[T any](ctx context.Context, a artifacts, c perf.Chunk, name string, decode func(footer.Artifact, [][]byte) (T, error)) (T, error) {
	var none T
	f, at := c.Line.Footer(), lists(c, name)
	if at < 0 {
		return none, fmt.Errorf("its footer lists no %s", name)
	}
	err := fmt.Errorf("%s is not stored anywhere", name)
	for _, by := range a.readers {
		var parts [][]byte
		if parts, err = a.read(ctx, by, f, at); err != nil {
			continue
		}
		var got T
		if got, err = decode(f.Artifacts[at], parts); err == nil {
			return got, nil
		}
	}
	return none, err
}

// read is what a chunk left, or why it is not there.
type read[T any] struct {
	content T
	err     error
}

// ahead is how many chunks are read while one is being worked on.
const ahead = 16

// readAhead yields what each of chunks left, in order; nothing where there is no
// footer.
func readAhead[T any](ctx context.Context, chunks []perf.Chunk, one func(context.Context, perf.Chunk) (T, error)) iter.Seq2[int, read[T]] {
	return func(yield func(int, read[T]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		waiting := make(chan chan read[T], ahead)
		defer func() {
			cancel()
			for c := range waiting { // each reader has its room, and ends with ctx
				<-c
			}
		}()
		go func() {
			defer close(waiting)
			for _, c := range chunks {
				got := make(chan read[T], 1)
				select {
				case waiting <- got:
				case <-ctx.Done():
					return
				}
				if c.Line.IsZero() {
					got <- read[T]{}
					continue
				}
				go func() {
					var r read[T]
					r.content, r.err = one(ctx, c)
					got <- r
				}()
			}
		}()
		i := 0
		for got := range waiting {
			if !yield(i, <-got) {
				return
			}
			i++
		}
	}
}
