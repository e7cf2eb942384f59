package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"gx1replay/internal/audit"
	"gx1replay/internal/footer"
	"gx1replay/internal/printable"
	"gx1replay/internal/run"
)

type auditing struct {
	rerun
	f        auditFlags
	ok       int   // chunks that ended as ok
	notOK    int   // others
	eligible []int // ok chunks of the named workers and hosts
	sample   []int
	places   []run.Chunk // of the sample
	// replay replays a chunk in a slot and returns the differences from what was
	// recorded.
	replay func(ctx context.Context, slot int, c run.Chunk, was footer.Footer) ([]audit.Difference, error)

	mu      sync.Mutex
	results []auditedChunk // by place in sample
	ended   int
	differ  int
	notes   map[string]bool // said once
}

type auditedChunk struct {
	was   footer.Footer
	diffs []audit.Difference
	err   error
	done  bool
}

// run replays the sample, a few chunks at the same time. It ends early with ctx.
func (a *auditing) run(ctx context.Context) {
	a.results = make([]auditedChunk, len(a.sample))
	next := make(chan int)
	var wg sync.WaitGroup
	for slot := range min(a.f.parallel, len(a.sample)) {
		wg.Go(func() {
			for i := range next {
				a.one(ctx, slot, i)
			}
		})
	}
	a.progress()
	for i := range a.sample {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	if a.onTerminal() {
		fmt.Fprintf(a.p.Stderr, "\r%s\r", strings.Repeat(" ", progressWidth))
	}
}

func (a *auditing) one(ctx context.Context, slot, i int) {
	was := a.found.chunks[a.sample[i]].Line.Footer()
	diffs, err := a.replay(ctx, slot, a.places[i], was)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results[i] = auditedChunk{was: was, diffs: diffs, err: err, done: true}
	a.ended++
	if len(diffs) > 0 {
		a.differ++
	}
	a.progress()
}

const progressWidth = 60

func (a *auditing) progress() {
	if a.onTerminal() {
		fmt.Fprintf(a.p.Stderr, "\r%-*s", progressWidth, fmt.Sprintf("%d of %d chunks replayed, %d differ", a.ended, len(a.sample), a.differ))
	}
}

func (a *auditing) onTerminal() bool {
	f, ok := a.p.Stderr.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (a *auditing) done() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

// noteOnce prints a note once, for the first of the chunks that it is about.
func (a *auditing) noteOnce(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.notes == nil {
		a.notes = map[string]bool{}
	}
	if !a.notes[text] {
		a.notes[text] = true
		a.note("%s", printable.Line(text))
	}
}

func (a *auditing) firstError() string {
	for i, r := range a.results {
		if r.err != nil {
			return fmt.Sprintf("chunk %d: %s", a.sample[i], printable.Line(r.err.Error()))
		}
	}
	return ""
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
