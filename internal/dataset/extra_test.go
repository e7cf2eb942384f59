package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// someExtra are columns of every width, with n rows.
func someExtra(n int) []bars.Column {
	list := []bars.Column{
		{Shape: bars.Shape{Name: "f64", Kind: bars.Float64}},
		{Shape: bars.Shape{Name: "f32", Kind: bars.Float32}},
		{Shape: bars.Shape{Name: "i64", Kind: bars.Int64, Pandas: "Int64"}},
		{Shape: bars.Shape{Name: "i8", Kind: bars.Int8}},
		{Shape: bars.Shape{Name: "text", Kind: bars.String}},
		{Shape: bars.Shape{Name: "u16", Kind: bars.Uint16}},
		{Shape: bars.Shape{Name: "u64", Kind: bars.Uint64}},
		{Shape: bars.Shape{Name: "flag", Kind: bars.Bool}},
		{Shape: bars.Shape{Name: "i16", Kind: bars.Int16}},
		{Shape: bars.Shape{Name: "i32", Kind: bars.Int32}},
		{Shape: bars.Shape{Name: "u8", Kind: bars.Uint8}},
		{Shape: bars.Shape{Name: "u32", Kind: bars.Uint32}},
		{Shape: bars.Shape{Name: "at", Kind: bars.Time, Unit: time.Microsecond, Zone: "Europe/Oslo"}},
	}
	for k := range list {
		c := &list[k]
		c.Nulls = make([]bool, n)
		for i := range n {
			null := k%2 == 1 && i%3 == 1
			c.Nulls[i] = null
			v := int64(i) * 0x0102030405060708
			if w := c.Kind.Width(); w > 0 && w < 8 {
				if v <<= 64 - 8*w; strings.HasPrefix(string(c.Kind), "u") {
					v = int64(uint64(v) >> (64 - 8*w))
				} else {
					v >>= 64 - 8*w
				}
			}
			f, s := []float64{1.5, math.NaN(), math.Inf(-1), math.Copysign(0, -1)}[i%4]+float64(i), strings.Repeat("å,", i%7)
			bits := uint64(v)
			switch c.Kind {
			case bars.Float64:
				bits = math.Float64bits(f)
			case bars.Float32:
				bits = uint64(math.Float32bits(float32(f)))
			case bars.Bool:
				bits = uint64(1 - i%2)
			}
			if null {
				bits, s = 0, ""
			}
			if c.Kind == bars.String {
				c.Texts = append(c.Texts, s)
			} else {
				c.Bits = append(c.Bits, bits)
			}
		}
		if k%2 == 0 {
			c.Nulls = nil
		}
	}
	return list
}

// text has every value of columns, to the last bit.
func text(columns []bars.Column) string {
	var b strings.Builder
	for i := range columns {
		c := &columns[i]
		fmt.Fprintf(&b, "%+v of %d:", c.Shape, c.Len())
		for k := range c.Len() {
			switch {
			case c.Null(k):
				b.WriteString(" null")
			case c.Kind == bars.String:
				fmt.Fprintf(&b, " %q", c.Texts[k])
			default:
				fmt.Fprintf(&b, " %x", c.Bits[k])
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func cut(columns []bars.Column, first, end int) []bars.Column {
	var list []bars.Column
	for i := range columns {
		list = append(list, columns[i].Slice(first, end))
	}
	return list
}

// smallExtra stores columns of n rows in slices of size, so that borders are
// cheap to reach.
func smallExtra(t testing.TB, store Store, columns []bars.Column, n, size int) run.Data {
	t.Helper()
	data, err := eachPart(columns, int64(n), int64(size), func(sha string, part []byte) error {
		return store.PutObject(t.Context(), extraObjects().objectName(sha), part)
	})
	must(t, err)
	must(t, store.PutObject(t.Context(), extraObjects().indexName(digest(data)), data))
	return run.Data{Bars: int64(n), SliceBars: int64(size), Extra: digest(data)}
}

func openExtra(t testing.TB, store Store, d run.Data, dir string) *Extra {
	t.Helper()
	e, err := OpenExtra(t.Context(), store, d.Extra, d, NewCache(dir, 1<<30, nil))
	must(t, err)
	return e
}

func TestExtraOverTheBus(t *testing.T) {
	store := realStore(t)
	const n = SliceBars + 700
	columns := []bars.Column{{Shape: bars.Shape{Name: "x", Kind: bars.Int32}}, {Shape: bars.Shape{Name: "s", Kind: bars.String}}}
	for i := range n {
		columns[0].Bits = append(columns[0].Bits, uint64(i))
		columns[1].Texts = append(columns[1].Texts, fmt.Sprint(i%10))
	}
	sha, err := ExtraDigest(columns, n)
	must(t, err)
	d := run.Data{Bars: n, SliceBars: SliceBars, Extra: sha}
	if _, err := OpenExtra(t.Context(), store, sha, d, NewCache(t.TempDir(), 1<<30, nil)); !errors.Is(err, bus.ErrNoObject) {
		t.Errorf("before they are published: %v (want ErrNoObject)", err)
	}
	for range 2 { // the second finds them there
		must(t, PublishExtra(t.Context(), store, sha, columns, n))
	}
	e := openExtra(t, store, d, filepath.Join(t.TempDir(), "made", "if", "missing"))
	for _, r := range [][2]int{{0, n}, {SliceBars - 2, SliceBars + 2}, {5, 7}, {SliceBars, n}} {
		got, err := e.Columns(t.Context(), run.BarRange{First: int64(r[0]), End: int64(r[1])})
		if err != nil || text(got) != text(cut(columns, r[0], r[1])) {
			t.Errorf("%v: %d columns, %v", r, len(got), err)
		}
	}
}

func TestNoExtra(t *testing.T) {
	store := newMemory()
	sha, err := ExtraDigest(nil, 5)
	must(t, err)
	must(t, PublishExtra(t.Context(), store, sha, nil, 5))
	e, err := OpenExtra(t.Context(), store, sha, run.Data{Bars: 5, SliceBars: 5}, NewCache(t.TempDir(), 1<<30, nil))
	must(t, err)
	columns, err := e.Columns(t.Context(), run.BarRange{First: 0, End: 5})
	must(t, err)
	must(t, RemoveExtra(t.Context(), remover{store}, "", nil))
	if sha != "" || columns != nil || len(store.objects) != 0 {
		t.Errorf("digest %q, %d columns, %d objects", sha, len(columns), len(store.objects))
	}
}

func TestExtraRangesAtTheBordersOfSlices(t *testing.T) {
	const n, size = 23, 5
	store := newMemory()
	columns := someExtra(n)
	e := openExtra(t, store, smallExtra(t, store, columns, n, size), t.TempDir())
	for first := range n + 1 {
		for end := first; end <= n; end++ {
			got, err := e.Columns(t.Context(), run.BarRange{First: int64(first), End: int64(end)})
			if err != nil || text(got) != text(cut(columns, first, end)) {
				t.Fatalf("[%d, %d): %v\n%s\nwant\n%s", first, end, err, text(got), text(cut(columns, first, end)))
			}
		}
	}
	for _, r := range [][2]int64{{-1, 3}, {0, n + 1}, {n + 1, n + 1}, {3, 2}} {
		if got, err := e.Columns(t.Context(), run.BarRange{First: r[0], End: r[1]}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("[%d, %d)", r[0], r[1])) {
			t.Errorf("%v: %d columns, %v (want an error that names the range)", r, len(got), err)
		}
	}
	if n, bytes := e.decoded.extra.Held(); n != 5 || bytes < 100 || bytes > decodedExtra {
		t.Errorf("%d slices of %d bytes are kept (want all 5)", n, bytes)
	}
}

func TestOnlyTheNeededPartsAreFetchedAndOnce(t *testing.T) {
	store := newMemory()
	columns := someExtra(50)
	d := smallExtra(t, store, columns, 50, 5)
	parts := len(partsOf(bars.ShapesOf(columns)))
	if parts != 3 {
		t.Fatalf("%d parts a slice (want 3: a text is one by itself)", parts)
	}
	read := func() (n int) {
		for name, k := range store.gets {
			if strings.HasPrefix(name, "extrapart.") {
				n += k
			}
		}
		return n
	}
	dir := t.TempDir()
	for range 2 { // the second is another process, same directory
		e := openExtra(t, store, d, dir)
		for range 2 {
			_, err := e.Columns(t.Context(), run.BarRange{First: 12, End: 18})
			must(t, err)
		}
		if got := read(); got != 2*parts {
			t.Errorf("%d parts were read (want those of 2 slices, %d)", got, 2*parts)
		}
	}
	// A file that is damaged is fetched again.
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	for _, path := range files {
		must(t, os.Truncate(path, 3))
	}
	got, err := openExtra(t, store, d, dir).Columns(t.Context(), run.BarRange{First: 12, End: 18})
	must(t, err)
	if text(got) != text(cut(columns, 12, 18)) || read() != 4*parts {
		t.Errorf("%d parts were read (want %d)", read(), 4*parts)
	}
}

func TestDamagedExtraIsRefused(t *testing.T) {
	store := newMemory()
	d := smallExtra(t, store, someExtra(10), 10, 5)
	whole := map[string][]byte{}
	for name, data := range store.objects {
		whole[name] = data
		store.objects[name] = append(slices.Clone(data[:len(data)-1]), data[len(data)-1]^1)
	}
	if _, err := OpenExtra(t.Context(), store, d.Extra, d, NewCache(t.TempDir(), 1<<30, nil)); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("an index of another digest: %v", err)
	}
	store.objects[extraObjects().indexName(d.Extra)] = whole[extraObjects().indexName(d.Extra)]
	dir := t.TempDir()
	if _, err := openExtra(t, store, d, dir).Columns(t.Context(), run.BarRange{First: 0, End: 1}); err == nil ||
		!strings.Contains(err.Error(), "SHA-256") || !strings.Contains(err.Error(), "slice 0") {
		t.Errorf("a part of another digest: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 || filepath.Base(files[0]) != d.Extra { // the index
		t.Errorf("it was kept: %v", files)
	}
	other := d
	other.Bars = 11
	if _, err := OpenExtra(t.Context(), store, d.Extra, other, NewCache(t.TempDir(), 1<<30, nil)); err == nil || !strings.Contains(err.Error(), "contradicts") {
		t.Errorf("columns of other bars: %v", err)
	}
	// Who publishes under a digest that is not theirs is stopped.
	if err := PublishExtra(t.Context(), newMemory(), strings.Repeat("0a", 32), someExtra(10), 10); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("another digest: %v", err)
	}
}

func TestExtraEndsWithItsContext(t *testing.T) {
	store := newMemory()
	e := openExtra(t, store, smallExtra(t, store, someExtra(10), 10, 5), t.TempDir())
	why := errors.New("the run is stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := e.Columns(ctx, run.BarRange{First: 0, End: 10}); !errors.Is(err, why) {
		t.Errorf("%v (want the cause)", err)
	}
}

// The digest is one of names, kinds, nulls and values, and the same each time.
func TestExtraDigest(t *testing.T) {
	const n = 7
	of := func(columns []bars.Column) string {
		t.Helper()
		sha, err := ExtraDigest(columns, n)
		must(t, err)
		return sha
	}
	const golden = "1d3985a9e075"
	want := of(someExtra(n))
	seen := map[string]string{"nothing": want}
	for name, change := range map[string]func([]bars.Column){
		"a name":  func(c []bars.Column) { c[0].Name = "g" },
		"a kind":  func(c []bars.Column) { c[5].Kind = bars.Int16 },
		"a zone":  func(c []bars.Column) { c[12].Zone = "UTC" },
		"a unit":  func(c []bars.Column) { c[12].Unit = time.Nanosecond },
		"a type":  func(c []bars.Column) { c[2].Pandas = "" },
		"a value": func(c []bars.Column) { c[2].Bits[3]++ },
		"a null":  func(c []bars.Column) { c[1].Nulls[0] = true },
		"a text":  func(c []bars.Column) { c[4].Texts[2] = "x" },
		"order":   func(c []bars.Column) { c[0], c[1] = c[1], c[0] },
	} {
		c := someExtra(n)
		change(c)
		got := of(c)
		for other, sha := range seen {
			if sha == got {
				t.Errorf("%s changes as much as %s", name, other)
			}
		}
		seen[name] = got
	}
	// What stands under a null does not count, nor marks where none is.
	c := someExtra(n)
	c[1].Bits[1], c[0].Nulls = 9, make([]bool, n)
	if of(c) != want {
		t.Error("a value under a null counts")
	}
	if !strings.HasPrefix(want, golden) {
		t.Errorf("digest %s: another encoding needs another version", want)
	}
}

func TestRemoveExtra(t *testing.T) {
	store := newRemover()
	a, b := someExtra(10), someExtra(10)
	b[0].Bits[9] = 5 // another part of the second slice
	da, db := smallExtra(t, store, a, 10, 5), smallExtra(t, store, b, 10, 5)
	before := len(store.objects)
	must(t, RemoveExtra(t.Context(), store, da.Extra, []string{"", da.Extra}))
	if len(store.objects) != before {
		t.Error("what another run has was removed")
	}
	must(t, RemoveExtra(t.Context(), store, da.Extra, []string{"", db.Extra, strings.Repeat("0a", 32)}))
	if got := before - len(store.objects); got != 2 { // the index and the part of its own
		t.Errorf("%d objects were removed (want 2)", got)
	}
	got, err := openExtra(t, store, db, t.TempDir()).Columns(t.Context(), run.BarRange{First: 0, End: 10})
	if err != nil || text(got) != text(b) {
		t.Errorf("the other's columns: %v", err)
	}
	must(t, RemoveExtra(t.Context(), store, da.Extra, nil)) // once more
	must(t, RemoveExtra(t.Context(), store, db.Extra, nil))
	if len(store.objects) != 0 {
		t.Errorf("%d objects are left", len(store.objects))
	}
}

// remover is a store from which objects can be removed.
type remover struct{ *memory }

func newRemover() remover { return remover{newMemory()} }

func (r remover) DeleteObject(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.objects, name)
	return nil
}

func TestPartsOfManyColumns(t *testing.T) {
	var columns []bars.Column
	for i := range 150 {
		c := bars.Column{Shape: bars.Shape{Name: fmt.Sprint(i), Kind: bars.Float64}}
		if i == 70 || i == 71 || i == 149 {
			c.Kind = bars.String
		}
		columns = append(columns, c)
	}
	want := []run.BarRange{{First: 0, End: 64}, {First: 64, End: 70}, {First: 70, End: 71}, {First: 71, End: 72}, {First: 72, End: 136}, {First: 136, End: 149}, {First: 149, End: 150}}
	if got := partsOf(bars.ShapesOf(columns)); !slices.Equal(got, want) {
		t.Errorf("%v (want %v)", got, want)
	}
	// A slice of text that no object holds is refused before it is stored.
	c := bars.Column{Shape: bars.Shape{Name: "novel", Kind: bars.String}, Texts: make([]string, SliceBars)}
	page := strings.Repeat("x", bars.MaxText)
	for i := range c.Texts {
		c.Texts[i] = page // 4 GiB, were it not shared
	}
	if err := PublishExtra(t.Context(), newMemory(), strings.Repeat("0a", 32), []bars.Column{c}, SliceBars); err == nil || !strings.Contains(err.Error(), `"novel", bars [0, 65536): 65536 rows have 4096 MiB`) {
		t.Errorf("too much text: %v", err)
	}
}

func TestExtraIndexIsChecked(t *testing.T) {
	store := newMemory()
	d := smallExtra(t, store, someExtra(10), 10, 5)
	whole := store.objects[extraObjects().indexName(d.Extra)]
	good, err := decodeExtraIndex(whole, d)
	must(t, err)
	for want, change := range map[string]func(*extraIndex){
		"schema 2":       func(ix *extraIndex) { ix.Schema = 2 },
		"version 9":      func(ix *extraIndex) { ix.Version = 9 },
		"for 0 bars":     func(ix *extraIndex) { ix.Bars = 0 },
		"slices of 0":    func(ix *extraIndex) { ix.SliceBars = 0 },
		"1 slices of 5":  func(ix *extraIndex) { ix.Slices = ix.Slices[:1] },
		"no column":      func(ix *extraIndex) { ix.Columns = nil },
		"is unknown":     func(ix *extraIndex) { ix.Columns[0].Kind = "x" },
		"no name":        func(ix *extraIndex) { ix.Columns[0].Name = "" },
		"units of 7ns":   func(ix *extraIndex) { ix.Columns[12].Unit = 7 },
		"2 parts":        func(ix *extraIndex) { ix.Slices[1] = ix.Slices[1][:2] },
		"is named":       func(ix *extraIndex) { ix.Slices[1][0] = "../../x" },
		"slices of 5 fo": func(ix *extraIndex) { ix.Bars = 11 },
	} {
		ix := good
		ix.Columns = slices.Clone(good.Columns)
		ix.Slices = [][]string{slices.Clone(good.Slices[0]), slices.Clone(good.Slices[1])}
		change(&ix)
		data := encodedExtra(t, ix)
		if _, err := decodeExtraIndex(data, d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v (want %q in it)", err, want)
		}
	}
}
