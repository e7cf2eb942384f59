// Package memo keeps values in memory that are costly to get: each is loaded
// once, however many ask for it at a time, and nobody who asks is held up by
// another's value or beyond the end of his own context.
package memo

import (
	"context"
	"fmt"
	"sync"
)

// leastKept is how many values stay however large they are: a chunk that lies
// across a border needs two slices in turn.
const leastKept = 2

// Memo holds values by key. Its methods may be called from any goroutine. The
// zero value forgets nothing by itself. A Memo must not be copied.
type Memo[V any] struct {
	max int64

	mu    sync.Mutex
	held  map[string]*entry[V]
	bytes int64
	turn  int64 // of the last use
}

// entry is one value, or its loading.
type entry[V any] struct {
	ready   chan struct{} // closed when value, bytes and err are set
	cancel  context.CancelFunc
	waiting int // for ready

	value V
	bytes int64
	err   error
	used  int64
}

// New is a Memo that forgets the values that were not used for longest, so that
// those it keeps have at most maxBytes. 0: no bound.
func New[V any](maxBytes int64) *Memo[V] {
	return &Memo[V]{max: maxBytes}
}

// Get returns the value of key. If it is not held, load gets it, and says how
// many bytes it takes. Load runs in a goroutine of its own, whose context ends
// when nobody waits any more; an error is given to all who wait, and is not
// kept. Get returns the cause of ctx's end at once when ctx ends.
func (m *Memo[V]) Get(ctx context.Context, key string, load func(context.Context) (V, int64, error)) (V, error) {
	m.mu.Lock()
	e := m.held[key]
	if e == nil && ctx.Err() != nil {
		m.mu.Unlock()
		var none V
		return none, context.Cause(ctx)
	}
	if e == nil {
		e = &entry[V]{ready: make(chan struct{})}
		var within context.Context
		within, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if m.held == nil {
			m.held = map[string]*entry[V]{}
		}
		m.held[key] = e
		go m.load(within, key, e, load)
	}
	e.waiting++
	m.turn++
	e.used = m.turn
	m.mu.Unlock()

	var err error
	select {
	case <-e.ready:
	default:
		select {
		case <-e.ready:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.waiting--; err == nil {
		return e.value, e.err
	}
	if e.waiting == 0 && !e.done() {
		// Who asks from now on has it loaded anew.
		e.cancel()
		m.remove(key, e)
	}
	var none V
	return none, err
}

// Forget lets the value of key go. Who waits for it still gets it.
func (m *Memo[V]) Forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(key, m.held[key])
}

// Held is how many values are held, and how many bytes they take.
func (m *Memo[V]) Held() (n int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.held), m.bytes
}

func (m *Memo[V]) load(ctx context.Context, key string, e *entry[V], load func(context.Context) (V, int64, error)) {
	defer e.cancel()
	value, bytes, err := safely(ctx, load)
	m.mu.Lock()
	defer m.mu.Unlock()
	e.value, e.bytes, e.err = value, bytes, err
	close(e.ready)
	switch {
	case m.held[key] != e: // forgotten meanwhile
	case err != nil:
		delete(m.held, key)
	default:
		m.bytes += bytes
		m.makeRoom()
	}
}

// safely makes a panic an error: it would end the process here, where it would
// be one chunk's failure if the caller loaded by itself.
func safely[V any](ctx context.Context, load func(context.Context) (V, int64, error)) (v V, bytes int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("loading panicked: %v", p)
		}
	}()
	return load(ctx)
}

// makeRoom lets go what was not used for longest. The caller holds m.mu.
func (m *Memo[V]) makeRoom() {
	for m.max > 0 && m.bytes > m.max {
		var oldest string
		loaded := 0
		for key, e := range m.held {
			if !e.done() {
				continue
			}
			if loaded++; oldest == "" || e.used < m.held[oldest].used {
				oldest = key
			}
		}
		if loaded <= leastKept {
			return
		}
		m.remove(oldest, m.held[oldest])
	}
}

// remove takes e, if it is what key has, out. The caller holds m.mu.
func (m *Memo[V]) remove(key string, e *entry[V]) {
	if e == nil || m.held[key] != e {
		return
	}
	delete(m.held, key)
	if e.done() {
		m.bytes -= e.bytes
	}
}

func (e *entry[V]) done() bool {
	select {
	case <-e.ready:
		return true
	default:
		return false
	}
}
