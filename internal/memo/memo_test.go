package memo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gx1replay/test/virtual"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errGone = errors.New("gone")

func value(s string) func(context.Context) (string, int64, error) {
	return func(context.Context) (string, int64, error) { return s, int64(len(s)), nil }
}

func hangs(ctx context.Context) (string, int64, error) {
	<-ctx.Done()
	return "", 0, context.Cause(ctx)
}

func get(t *testing.T, m *Memo[string], key string, load func(context.Context) (string, int64, error), want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got, err := m.Get(ctx, key, load); got != want || err != nil {
		t.Fatalf("%s is %q, %v (want %q)", key, got, err, want)
	}
}

// However many ask, a value is loaded once.
func TestGetLoadsOnce(t *testing.T) {
	m := New[string](0)
	var loads atomic.Int32
	release := make(chan struct{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got, err := m.Get(t.Context(), "a", func(context.Context) (string, int64, error) {
				loads.Add(1)
				<-release
				return "x", 1, nil
			})
			if got != "x" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	close(release)
	all.Wait()
	get(t, m, "a", value("another"), "x")
	if loads.Load() != 1 {
		t.Errorf("loaded %d times (want 1)", loads.Load())
	}
}

// What hangs holds up neither other keys nor one of those who wait whose
// context ends; the others still get it.
func TestGetHoldsNobodyUp(t *testing.T) { virtual.Test(t, getHoldsNobodyUp) }

func getHoldsNobodyUp(t *testing.T) {
	m := New[string](0)
	release, began := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context) (string, int64, error) {
		close(began)
		select {
		case <-release:
			return "late", 4, nil
		case <-ctx.Done():
			return "", 0, context.Cause(ctx)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := m.Get(ctx, "slow", slow)
		first <- err
	}()
	<-began
	second := make(chan string, 1)
	go func() {
		got, _ := m.Get(t.Context(), "slow", slow)
		second <- got
	}()
	get(t, m, "other", value("here"), "here")
	synctest.Wait() // both ask for it
	cancel(errGone)
	if err := <-first; !errors.Is(err, errGone) {
		t.Errorf("the first's end: %v (want its cause)", err)
	}
	close(release)
	if got := <-second; got != "late" {
		t.Errorf("the second has %q", got)
	}
}

// When nobody waits any more, loading ends, and the next one loads anew.
func TestLoadingEndsWithTheLastWhoWaits(t *testing.T) {
	m := New[string](0)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan struct{})
	if _, err := m.Get(ctx, "a", func(ctx context.Context) (string, int64, error) {
		defer close(ended)
		cancel(errGone) // not before: nothing would be loaded
		return hangs(ctx)
	}); !errors.Is(err, errGone) {
		t.Errorf("%v (want the cause)", err)
	}
	<-ended
	get(t, m, "a", value("x"), "x")
}

// An error, or a panic, is not kept.
func TestErrorsAreNotKept(t *testing.T) {
	m := New[string](0)
	if _, err := m.Get(t.Context(), "a", func(context.Context) (string, int64, error) { return "", 0, errGone }); !errors.Is(err, errGone) {
		t.Errorf("%v", err)
	}
	if _, err := m.Get(t.Context(), "a", func(context.Context) (string, int64, error) { panic("oops") }); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("a panic: %v", err)
	}
	if n, bytes := m.Held(); n != 0 || bytes != 0 {
		t.Errorf("%d values of %d bytes are held", n, bytes)
	}
	get(t, m, "a", value("x"), "x")
}

// What was not used for longest is forgotten; two stay, however large.
func TestBoundByBytes(t *testing.T) {
	m := New[string](10)
	for i := range 5 {
		get(t, m, fmt.Sprint(i), value("four"), "four")
		get(t, m, "0", value("new"), "four") // used all the time
	}
	if n, bytes := m.Held(); n != 2 || bytes != 8 {
		t.Errorf("%d values of %d bytes are held (want 2 of 8)", n, bytes)
	}
	get(t, m, "4", value("new"), "four")
	get(t, m, "1", value("new"), "new")
	for _, key := range []string{"large", "larger"} {
		get(t, m, key, value(strings.Repeat("x", 100)), strings.Repeat("x", 100))
	}
	if n, bytes := m.Held(); n != 2 || bytes != 200 {
		t.Errorf("%d values of %d bytes are held (want the two large ones)", n, bytes)
	}
	m.Forget("large")
	m.Forget("larger")
	m.Forget("larger")
	if n, bytes := m.Held(); n != 0 || bytes != 0 {
		t.Errorf("%d values of %d bytes are held", n, bytes)
	}
}

// What is forgotten while it is loaded is given to those who wait, and not kept.
func TestForgetWhileLoading(t *testing.T) {
	m := New[string](0)
	get(t, m, "a", func(context.Context) (string, int64, error) {
		m.Forget("a")
		return "x", 1, nil
	}, "x")
	if n, bytes := m.Held(); n != 0 || bytes != 0 {
		t.Errorf("%d values of %d bytes are held", n, bytes)
	}
}
