package dataset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/memo"
	"gx1replay/internal/run"
)

// TestMain knows one goroutine that the client's publisher of objects may
// leave behind when its cleaning overtakes the goroutine's start.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// memory is a store of a test, which counts what is read and breaks on
// demand.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	gets    map[string]int
	puts    int
	fail    error
}

func newMemory() *memory { return &memory{objects: map[string][]byte{}, gets: map[string]int{}} }

var errMissing = errors.New("missing")

func (m *memory) HasObject(_ context.Context, name string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.objects[name]
	return there, m.fail
}

func (m *memory) PutObject(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.objects[name] = slices.Clone(data)
	m.puts++
	return nil
}

func (m *memory) GetObject(ctx context.Context, name string, limit int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets[name]++
	data, there := m.objects[name]
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !there:
		return nil, fmt.Errorf("object %s: %w", name, errMissing)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("object %s is too large", name)
	}
	return slices.Clone(data), nil
}

// slicesRead is how many slices were read so far.
func (m *memory) slicesRead() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for name, k := range m.gets {
		if strings.HasPrefix(name, "slice.") {
			n += k
		}
	}
	return n
}

// smallSet stores n bars in slices of size bars, with an index of its own
// making, so that borders are cheap to reach.
func smallSet(t testing.TB, store Store, n, size int) ([]bars.Bar, run.Data) {
	t.Helper()
	all := make([]bars.Bar, n)
	for i := range all {
		all[i] = bars.Bar{TimeNS: int64(i) + 1, BidOpen: float64(i), Volume: 1}
	}
	ix := index{Schema: run.Schema, Bars: int64(n), SliceBars: int64(size)}
	for part := range slices.Chunk(all, size) {
		content := bars.AppendCanonical(nil, part)
		ix.Slices = append(ix.Slices, digest(content))
		must(t, store.PutObject(t.Context(), barObjects().objectName(digest(content)), content))
	}
	d := run.Data{SHA256: bars.Digest(all), Bars: int64(n), SliceBars: int64(size)}
	must(t, store.PutObject(t.Context(), barObjects().indexName(d.SHA256), encoded(t, ix)))
	return all, d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, store Store, d run.Data, dir string) *Set {
	t.Helper()
	s, err := Open(t.Context(), store, d, NewCache(dir, 1<<30, nil))
	must(t, err)
	return s
}

// read collects a range.
func read(ctx context.Context, s *Set, first, end int) ([]bars.Bar, error) {
	var got []bars.Bar
	for b, err := range s.Bars(ctx, run.BarRange{First: int64(first), End: int64(end)}) {
		if err != nil {
			return got, err
		}
		got = append(got, b)
	}
	return got, nil
}

// realStore is the product's object store.
func realStore(t *testing.T) *bus.Bus {
	t.Helper()
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	public, sign, err := srv.Nkey()
	must(t, err)
	b, err := bus.Connect(t.Context(), bus.Config{InProcess: srv, Options: []nats.Option{nats.Nkey(public, sign)}})
	must(t, err)
	t.Cleanup(b.Close)
	must(t, b.MakeStreams(t.Context(), 1))
	return b
}

func TestPublishOpenAndReadOverTheBus(t *testing.T) {
	store := realStore(t)
	n := SliceBars + SliceBars/2
	all := bars.Generate(int64(n), 7)
	d := run.Data{SHA256: bars.Digest(all), Bars: int64(n), SliceBars: SliceBars}
	if _, err := Open(t.Context(), store, d, NewCache(t.TempDir(), 1<<30, nil)); !errors.Is(err, bus.ErrNoObject) {
		t.Errorf("before it is published: %v (want ErrNoObject)", err)
	}
	for range 2 { // the second finds it there
		must(t, Publish(t.Context(), store, d.SHA256, all))
	}
	s := open(t, store, d, filepath.Join(t.TempDir(), "made", "if", "missing"))
	got, err := read(t.Context(), s, 0, n)
	must(t, err)
	if bars.Digest(got) != d.SHA256 {
		t.Errorf("%d bars with digest %s (want %d, %s)", len(got), bars.Digest(got), n, d.SHA256)
	}
	if got, err = read(t.Context(), s, SliceBars-1, SliceBars+1); err != nil || !slices.Equal(got, all[SliceBars-1:SliceBars+1]) {
		t.Errorf("over the border: %v, %v", got, err)
	}
}

// Ten runs on the same bars upload them once; one on a data set that begins
// with the same slice uploads the rest.
func TestTheSameBarsAreUploadedOnce(t *testing.T) {
	store := newMemory()
	all := bars.Generate(SliceBars+100, 3)
	for range 10 {
		must(t, Publish(t.Context(), store, bars.Digest(all), all))
	}
	if store.puts != 3 {
		t.Errorf("%d objects were stored (want two slices and an index)", store.puts)
	}
	longer := bars.Generate(SliceBars+200, 3)
	must(t, Publish(t.Context(), store, bars.Digest(longer), longer))
	if store.puts != 5 {
		t.Errorf("%d objects were stored (want one slice and one index more)", store.puts)
	}
}

func TestPublishGoesOnWhereItWasBroken(t *testing.T) {
	store := newMemory()
	all := bars.Generate(10, 1)
	sha := bars.Digest(all)
	broken := errors.New("broken")
	store.fail = broken
	if err := Publish(t.Context(), store, sha, all); !errors.Is(err, broken) {
		t.Errorf("error %v (want %v)", err, broken)
	}
	store.fail = nil
	must(t, Publish(t.Context(), store, sha, all))
	// Without its index, which is stored last, a data set is not there.
	delete(store.objects, barObjects().indexName(sha))
	d := run.Data{SHA256: sha, Bars: 10, SliceBars: SliceBars}
	if _, err := Open(t.Context(), store, d, NewCache(t.TempDir(), 1<<30, nil)); !errors.Is(err, errMissing) {
		t.Errorf("without its index: %v", err)
	}
	must(t, Publish(t.Context(), store, sha, all))
	got, err := read(t.Context(), open(t, store, d, t.TempDir()), 0, 10)
	must(t, err)
	if !slices.Equal(got, all) {
		t.Errorf("%v (want %v)", got, all)
	}
}

func TestRangesAtTheBordersOfSlices(t *testing.T) {
	const n, size = 23, 5 // the last slice has 3
	store := newMemory()
	all, d := smallSet(t, store, n, size)
	s := open(t, store, d, t.TempDir())
	for first := range n + 1 {
		for end := first; end <= n; end++ {
			got, err := read(t.Context(), s, first, end)
			if err != nil || !slices.Equal(got, all[first:end]) {
				t.Fatalf("[%d, %d): %v, %v", first, end, got, err)
			}
		}
	}
	for _, r := range [][2]int{{-1, 3}, {0, n + 1}, {n + 1, n + 1}, {3, 2}} {
		got, err := read(t.Context(), s, r[0], r[1])
		if err == nil || len(got) != 0 || !strings.Contains(err.Error(), fmt.Sprintf("[%d, %d)", r[0], r[1])) {
			t.Errorf("%v: %v, %v (want an error that names the range)", r, got, err)
		}
	}
	// Who stops early gets no more.
	seen := 0
	for range s.Bars(t.Context(), run.BarRange{First: 0, End: n}) {
		if seen++; seen == 7 {
			break
		}
	}
	if seen != 7 {
		t.Errorf("%d bars", seen)
	}
}

func TestOnlyTheNeededSlicesAreFetchedAndOnce(t *testing.T) {
	store := newMemory()
	_, d := smallSet(t, store, 50, 5)
	dir := t.TempDir()
	_, err := read(t.Context(), open(t, store, d, dir), 12, 18) // slices 2 and 3
	must(t, err)
	if n := store.slicesRead(); n != 2 {
		t.Errorf("%d slices were read (want 2)", n)
	}
	_, err = read(t.Context(), open(t, store, d, dir), 10, 20) // another process, same directory
	must(t, err)
	if n := store.slicesRead(); n != 2 {
		t.Errorf("%d slices were read (want the same 2)", n)
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("the directory has %v (want 2 files)", list)
	}
}

func TestADamagedFileIsFetchedAgain(t *testing.T) {
	store := newMemory()
	all, d := smallSet(t, store, 10, 5)
	for name, damage := range map[string]func(path string, data []byte) error{
		"a bit":     func(p string, data []byte) error { data[17] ^= 4; return os.WriteFile(p, data, 0o600) },
		"truncated": func(p string, data []byte) error { return os.WriteFile(p, data[:99], 0o600) },
		"empty":     func(p string, _ []byte) error { return os.WriteFile(p, nil, 0o600) },
		"longer":    func(p string, data []byte) error { return os.WriteFile(p, append(data, 0), 0o600) },
		"gone":      func(p string, _ []byte) error { return os.Remove(p) },
	} {
		dir := t.TempDir()
		_, err := read(t.Context(), open(t, store, d, dir), 0, 10)
		must(t, err)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		must(t, err)
		before := store.slicesRead()
		for _, path := range files {
			data, err := os.ReadFile(path)
			must(t, err)
			must(t, damage(path, data))
		}
		got, err := read(t.Context(), open(t, store, d, dir), 0, 10)
		if err != nil || !slices.Equal(got, all) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if n := store.slicesRead() - before; n != 2 {
			t.Errorf("%s: %d slices were read (want 2)", name, n)
		}
		for _, path := range files { // and the file is whole again
			if data, err := os.ReadFile(path); err != nil || !strings.HasSuffix(path, digest(data)) {
				t.Errorf("%s: %s is not mended (%v)", name, path, err)
			}
		}
	}
}

func TestADamagedObjectIsRefused(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"a bit":     func(b []byte) []byte { b[3] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"empty":     func([]byte) []byte { return nil },
	} {
		store := newMemory()
		_, d := smallSet(t, store, 10, 5)
		for object, data := range maps.Clone(store.objects) {
			if strings.HasPrefix(object, "slice.") {
				store.objects[object] = damage(data)
			}
		}
		dir := t.TempDir()
		got, err := read(t.Context(), open(t, store, d, dir), 0, 10)
		if err == nil || len(got) != 0 || !strings.Contains(err.Error(), "SHA-256") || !strings.Contains(err.Error(), "slice 0") {
			t.Errorf("%s: %v, %v (want an error that names slice and digest)", name, got, err)
		}
		if list, _ := os.ReadDir(dir); len(list) != 0 {
			t.Errorf("%s: it was kept: %v", name, list)
		}
	}
	store := newMemory()
	_, d := smallSet(t, store, 10, 5)
	s := open(t, store, d, t.TempDir())
	clear(store.objects)
	if _, err := read(t.Context(), s, 0, 1); !errors.Is(err, errMissing) {
		t.Errorf("a missing slice: %v", err)
	}
}

// A slice with the right digest of the wrong length is an index's lie.
func TestASliceOfAnotherLengthIsRefused(t *testing.T) {
	store := newMemory()
	all, d := smallSet(t, store, 10, 5)
	short := bars.AppendCanonical(nil, all[:4])
	must(t, store.PutObject(t.Context(), barObjects().objectName(digest(short)), short))
	ix, err := decodeIndex(store.objects[barObjects().indexName(d.SHA256)], d)
	must(t, err)
	ix.Slices[1] = digest(short)
	store.objects[barObjects().indexName(d.SHA256)] = encoded(t, ix)
	s := open(t, store, d, t.TempDir())
	if got, err := read(t.Context(), s, 0, 10); err == nil || len(got) != 5 || !strings.Contains(err.Error(), "4 bars (want 5)") {
		t.Errorf("%d bars, %v", len(got), err)
	}
}

// Two processes that fetch the same slices at once share one directory.
func TestSetsThatShareADirectory(t *testing.T) {
	store := newMemory()
	all, d := smallSet(t, store, 200, 10)
	dir := t.TempDir()
	var owned sync.WaitGroup
	for range 4 {
		s := open(t, store, d, dir)
		for range 2 { // and two slots of each
			owned.Go(func() {
				got, err := read(t.Context(), s, 0, 200)
				if err != nil || !slices.Equal(got, all) {
					t.Errorf("%d bars, %v", len(got), err)
				}
			})
		}
	}
	owned.Wait()
	list, err := os.ReadDir(dir)
	must(t, err)
	if len(list) != 20 {
		t.Errorf("the directory has %d files (want 20 and nothing half-made)", len(list))
	}
}

func TestBarsEndsWithItsContext(t *testing.T) {
	store := newMemory()
	_, d := smallSet(t, store, 20, 5)
	s := open(t, store, d, t.TempDir())
	_, err := read(t.Context(), s, 0, 20) // everything is in memory now
	must(t, err)
	why := errors.New("the run is stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var got int
	for _, err = range s.Bars(ctx, run.BarRange{First: 0, End: 20}) {
		if err != nil {
			break
		}
		if got++; got == 3 {
			cancel(why)
		}
	}
	if !errors.Is(err, why) || got > 5 {
		t.Errorf("%d bars, then %v (want the cause by the next slice)", got, err)
	}
}

// However many sets are read through one cache, what they keep in memory is
// bounded, and one set's slices serve another with the same content.
func TestSetsShareABoundedMemory(t *testing.T) {
	store := newMemory()
	cache := NewCache(t.TempDir(), 1<<30, nil)
	cache.decoded.bars = memo.New[[]bars.Bar](30 * int64(unsafe.Sizeof(bars.Bar{}))) // six slices
	all, d := smallSet(t, store, 100, 5)
	for range 3 {
		s, err := Open(t.Context(), store, d, cache)
		must(t, err)
		for _, first := range []int{0, 50, 5, 95, 0, 20, 60, 0, 99, 0} {
			end := min(first+7, 100)
			got, err := read(t.Context(), s, first, end)
			if err != nil || !slices.Equal(got, all[first:end]) {
				t.Fatalf("[%d, %d): %v, %v", first, end, got, err)
			}
		}
		if n, bytes := cache.decoded.bars.Held(); n != 6 || bytes != 30*int64(unsafe.Sizeof(bars.Bar{})) {
			t.Errorf("%d slices of %d bytes are kept (want 6)", n, bytes)
		}
	}
	other, err := Open(t.Context(), newMemory(), d, nil)
	if err == nil {
		t.Fatalf("a store without it has %v", other)
	}
	s, err := Open(t.Context(), store, d, cache)
	must(t, err)
	s.store, s.cache = newMemory(), nil
	if got, err := read(t.Context(), s, 0, 7); err != nil || !slices.Equal(got, all[:7]) {
		t.Errorf("slices that another set has decoded: %v, %v", got, err)
	}
}

// hanging is a store whose objects of one name do not come until its caller
// gives up.
type hanging struct {
	Store
	name  string
	asked chan struct{}
}

func (h hanging) GetObject(ctx context.Context, name string, limit int64) ([]byte, error) {
	if name == h.name {
		select {
		case h.asked <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return h.Store.GetObject(ctx, name, limit)
}

// A slice that does not come holds up nobody who reads another, and who waits
// for it is answered at once when his context ends.
func TestASliceThatHangsHoldsUpNobody(t *testing.T) {
	store := newMemory()
	all, d := smallSet(t, store, 20, 5)
	s := open(t, store, d, t.TempDir())
	h := hanging{store, barObjects().objectName(s.ix.Slices[2]), make(chan struct{}, 1)}
	s.store = h
	why := errors.New("the run is stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	for range 2 {
		go func() {
			_, err := read(ctx, s, 10, 15)
			ended <- err
		}()
	}
	<-h.asked
	if got, err := read(t.Context(), s, 0, 10); err != nil || !slices.Equal(got, all[:10]) {
		t.Errorf("another's slices: %v, %v", got, err)
	}
	cancel(why)
	for range 2 {
		if err := <-ended; !errors.Is(err, why) {
			t.Errorf("who waits: %v (want the cause)", err)
		}
	}
}
