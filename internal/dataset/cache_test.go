package dataset

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// content is a file of n bytes, and its digest.
func content(i, n int) ([]byte, string) {
	data := bytes.Repeat([]byte(fmt.Sprintf("%d ", i)), n)[:n]
	return data, digest(data)
}

func storeOf(t *testing.T, files, size int) (*memory, []string) {
	t.Helper()
	store := newMemory()
	var names []string
	for i := range files {
		data, sha := content(i, size)
		must(t, store.PutObject(t.Context(), "slice."+sha, data))
		names = append(names, sha)
	}
	return store, names
}

func get(t *testing.T, c *Cache, store Store, sha string) {
	t.Helper()
	data, err := c.Get(t.Context(), store, "slice."+sha, sha, 1<<20)
	must(t, err)
	if digest(data) != sha {
		t.Fatalf("content %s (want %s)", digest(data), sha)
	}
}

func size(t *testing.T, dir string) (total int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		total += info.Size()
	}
	return total
}

// What is in the directory is not read from the bus again, by nobody.
func TestCacheKeeps(t *testing.T) {
	store, names := storeOf(t, 5, 1000)
	dir := filepath.Join(t.TempDir(), "made when needed")
	for range 3 {
		c := NewCache(dir, 1<<20, nil)
		for _, sha := range names {
			get(t, c, store, sha)
		}
	}
	if n := store.slicesRead(); n != len(names) {
		t.Errorf("%d objects were read (want %d)", n, len(names))
	}
}

// A damaged file is fetched again, and so is one that somebody removed.
func TestCacheVerifiesEachUse(t *testing.T) {
	store, names := storeOf(t, 2, 1000)
	dir := t.TempDir()
	var log bytes.Buffer
	c := NewCache(dir, 1<<20, slog.New(slog.NewTextHandler(&log, nil)))
	for _, sha := range names {
		get(t, c, store, sha)
	}
	must(t, os.WriteFile(filepath.Join(dir, names[0]), []byte("damaged"), 0o644))
	must(t, os.Remove(filepath.Join(dir, names[1])))
	for range 2 {
		for _, sha := range names {
			get(t, c, store, sha)
		}
	}
	if n := store.slicesRead(); n != 4 || !strings.Contains(log.String(), "damaged") {
		t.Errorf("%d objects were read (want 4); it said %q", n, log.String())
	}
}

// Nor does what is no plain file, or too large, hold anybody up.
func TestCacheTakesPlainFilesOnly(t *testing.T) {
	store, names := storeOf(t, 4, 1000)
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("ours"), 0o600))
	at := func(i int) string { return filepath.Join(dir, names[i]) }
	must(t, syscall.Mkfifo(at(0), 0o600))
	must(t, os.Symlink(outside, at(1)))
	must(t, os.Mkdir(at(2), 0o700))
	must(t, os.WriteFile(at(3), nil, 0o600))
	must(t, os.Truncate(at(3), 1<<40))
	c := NewCache(dir, 1<<20, nil)
	for range 2 {
		for _, sha := range names {
			get(t, c, store, sha)
		}
	}
	if n := store.slicesRead(); n != 5 { // the directory stays in its place
		t.Errorf("%d objects were read (want 5)", n)
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "ours" {
		t.Errorf("the file that a link led to holds %q, %v", b, err)
	}
	info, err := os.Lstat(at(0))
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("what it keeps has mode %v (want 0600)", info.Mode())
	}
}

// The cache has at most so many bytes; what was not used for longest goes.
func TestCacheIsBounded(t *testing.T) {
	const size1 = 1000
	store, names := storeOf(t, 40, size1)
	dir := t.TempDir()
	const most = 10 * size1
	c := NewCache(dir, most, nil)
	old := time.Now().Add(-time.Hour)
	for i, sha := range names {
		get(t, c, store, sha)
		if n := size(t, dir); n > most {
			t.Fatalf("%d bytes after file %d (want at most %d)", n, i, most)
		}
		// Each is older than the one before it was; the first is always used.
		must(t, os.Chtimes(filepath.Join(dir, sha), old, old.Add(time.Duration(i)*time.Second)))
		get(t, c, store, names[0])
	}
	if _, err := os.Stat(filepath.Join(dir, names[0])); err != nil {
		t.Errorf("the file that was used all the time: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, names[1])); err == nil {
		t.Error("the file that was not used for longest is there still")
	}
	if n := store.gets["slice."+names[0]]; n != 1 {
		t.Errorf("the file that was used all the time was read %d times (want once)", n)
	}
}

// Files of others, and those under way, are let alone; those that a process
// left when it died go.
func TestCacheRemovesItsOwnOnly(t *testing.T) {
	store, names := storeOf(t, 20, 1000)
	dir := t.TempDir()
	ours := map[string]bool{"notes.txt": true, aside + ".new": true, aside + "-old": false}
	for name := range ours {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	old := time.Now().Add(-2 * asideFor)
	must(t, os.Chtimes(filepath.Join(dir, aside+"-old"), old, old))
	c := NewCache(dir, 5000, nil)
	for _, sha := range names {
		get(t, c, store, sha)
	}
	for name, want := range ours {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: there %v (want %v)", name, err == nil, want)
		}
	}
}

// Without a directory, without room, without the right to write: the bus has
// it all.
func TestNoCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	var log bytes.Buffer
	for name, c := range map[string]*Cache{
		"nil": nil, "no directory": NewCache("", 1<<20, nil), "no room": NewCache(t.TempDir(), 0, nil),
		"a file in its place": NewCache(file, 1<<20, slog.New(slog.NewTextHandler(&log, nil))),
		"a file too large":    NewCache(t.TempDir(), 10, nil),
		"nothing to stand in": NewCache(filepath.Join(t.TempDir(), "gone", "cache"), 1<<20, nil),
	} {
		store, names := storeOf(t, 3, 1000)
		for range 2 {
			for _, sha := range names {
				get(t, c, store, sha)
			}
		}
		if n := store.slicesRead(); n != 6 {
			t.Errorf("%s: %d objects were read (want 6)", name, n)
		}
	}
	if n := strings.Count(log.String(), "caching failed"); n != 1 {
		t.Errorf("it was said %d times that nothing can be kept (want once): %s", n, log.String())
	}
	store, names := storeOf(t, 1, 10)
	if _, err := NewCache(t.TempDir(), 1<<20, nil).Get(t.Context(), store, "slice."+names[0], strings.Repeat("0", 64), 100); err == nil {
		t.Error("content with another digest is taken")
	}
}

// Many processes share a small cache: each gets what it asks for.
func TestCacheIsShared(t *testing.T) {
	store, names := storeOf(t, 12, 1000)
	dir := t.TempDir()
	var all sync.WaitGroup
	for k := range 6 {
		all.Go(func() {
			c := NewCache(dir, 4000, nil)
			for i := range 60 {
				sha := names[(i*(k+1))%len(names)]
				data, err := c.Get(context.Background(), store, "slice."+sha, sha, 1<<20)
				if err != nil || digest(data) != sha {
					t.Errorf("%s: %v", sha, err)
				}
			}
		})
	}
	all.Wait()
	left := 0
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), aside) {
			left++
		}
		return err
	}))
	if left > 0 {
		t.Errorf("%d files are half written", left)
	}
}
