package worker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gx1replay/internal/dataset"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

const smallPolicy = "model: {kind: logistic, long: {weights: {body_pct: 30}}, short: {bias: -50}}\nexit: {max_bars: 20}\n"

// Nothing of a run stays in memory beyond its session but decoded slices, which
// have a bound.
func TestRunsAreForgotten(t *testing.T) {
	s, m := loaded(t, 200_000, smallPolicy)
	m.Plan.Chunks = 1
	e := &Builtin{Objects: s, Cache: dataset.NewCache(t.TempDir(), 1<<30, nil)}
	heap := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	var first int64
	for i := range 24 {
		m.RunID, m.Incarnation = run.ID(fmt.Sprint("r", i)), run.Incarnation(fmt.Sprintf("%032x", i))
		session, end := context.WithCancel(t.Context())
		for border := int64(dataset.SliceBars); border < m.Data.Bars; border += dataset.SliceBars {
			chunk := run.Chunk{Bars: run.BarRange{First: border - 50, End: border + 50}}
			res, err := e.Replay(t.Context(), Job{Manifest: m, Chunk: chunk, Session: session}, nil)
			must(t, err)
			if res.Footer.TotalBars != 100 {
				t.Fatalf("%d bars", res.Footer.TotalBars)
			}
		}
		end()
		if i == 0 {
			first = heap()
		}
	}
	const most = 8 << 20
	for deadline := time.Now().Add(20 * time.Second); heap()-first > most; {
		if time.Now().After(deadline) {
			t.Fatalf("23 more runs left %d bytes in memory (want less than %d)", heap()-first, most)
		}
	}
	if n, _ := e.shared.memo.Held(); n != 0 {
		t.Errorf("the inputs of %d runs are kept after their sessions", n)
	}
	runtime.KeepAlive(e)
}

// stuck is an object store whose objects with one prefix do not come until
// their reader gives up.
type stuck struct {
	Objects
	prefix string
	asked  chan struct{}
	once   sync.Once
}

func (s *stuck) GetObject(ctx context.Context, name string, limit int64) ([]byte, error) {
	if strings.HasPrefix(name, s.prefix) {
		s.once.Do(func() { close(s.asked) })
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.Objects.GetObject(ctx, name, limit)
}

// A fetch that hangs for one run holds up no other run's chunk, and those who
// wait for it are answered at once when their run is stopped.
func TestAFetchThatHangsHoldsUpNobody(t *testing.T) {
	s, m := loaded(t, 1000, smallPolicy)
	m.Plan.Chunks = 1
	other := m
	other.RunID = "other"
	bad := m
	bad.Data.SHA256 = strings.Repeat("d", 64)
	store := &stuck{Objects: s, prefix: "bars." + bad.Data.SHA256, asked: make(chan struct{})}
	engines := map[string]Engine{
		"builtin": &Builtin{Objects: store},
		"exec":    &Exec{Engine: execOf(nil, nil).Engine, Objects: store, WorkDir: t.TempDir()},
	}
	for name, e := range engines {
		t.Run(name, func(t *testing.T) {
			store.asked, store.once = make(chan struct{}), sync.Once{}
			why := errors.New("the run is stopped")
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			ended := make(chan error)
			chunk := run.Chunk{Bars: run.BarRange{End: 1000}}
			for range 2 {
				go func() {
					_, err := e.Replay(ctx, Job{Manifest: bad, Chunk: chunk, Session: ctx, Dir: t.TempDir()}, nil)
					ended <- err
				}()
			}
			<-store.asked
			within, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if b, ok := e.(*Builtin); ok {
				if res, err := b.Replay(within, Job{Manifest: other, Chunk: chunk}, nil); err != nil || res.Footer.TotalBars != 1000 {
					t.Errorf("another run's chunk: %d bars, %v", res.Footer.TotalBars, err)
				}
			} else {
				x := e.(*Exec)
				if _, err := x.shared.get(within, Job{Manifest: other}, x.inputs); err != nil {
					t.Errorf("another run's inputs: %v", err)
				}
			}
			began := time.Now()
			stop(why)
			for range 2 {
				if err := <-ended; !errors.Is(err, why) {
					t.Errorf("a stopped chunk: %v (want the stop)", err)
				}
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("a stopped chunk took %v", took)
			}
		})
	}
}

// A chunk whose inputs do not come says `stopped` at its run's stop.
func TestAStopWhileAFetchHangs(t *testing.T) {
	s, m := loaded(t, 1000, smallPolicy)
	m.Incarnation = benchIncarnation
	x := benchOf(t, m)
	store := &stuck{Objects: s, prefix: "policy.", asked: make(chan struct{})}
	x.a.w.cfg.Engine = &Builtin{Objects: store, Cache: dataset.NewCache(filepath.Join(t.TempDir(), "cache"), 1<<30, nil)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.a.run(t.Context())
	}()
	<-store.asked
	x.a.s.cancel(stopped{run.Stop{Source: run.SourceSubject, Reason: "enough", Seq: 1}})
	<-done
	if rec, _ := x.record(); rec.State != lease.StateStopped {
		t.Errorf("the record says %s, %q (want stopped)", rec.State, rec.Error)
	}
}
