package embedded

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/internal/layout"
)

// In a store everything has its kind. What is a pipe, a link, a device, or a file
// where a directory must be, is damage: it blocks nobody, and no server is started
// on it.
func TestAMalformedStoreIsDamage(t *testing.T) {
	file := func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	dir := func(path string) error { return os.MkdirAll(filepath.Join(path, "inner"), 0o700) }
	dangling := func(path string) error { return os.Symlink("nowhere", path) }
	moved := func(path string) error { return os.Symlink(path+".moved", path) }
	large := func(path string) error {
		return errors.Join(file(path), os.Truncate(path, 8<<30)) // without blocks on the disk
	}
	stream := filepath.Join("jetstream", "$G", "streams", "S")
	for _, c := range []struct {
		name, path string
		put        func(path string) error // where path was, which is moved
		served     bool                    // a server can be started and asked for what is left
	}{
		{"the store is a file", "", file, false},
		{"the store is a pipe", "", pipe, false},
		{"the store is a dangling link", "", dangling, false},
		{"jetstream is a file", "jetstream", file, false},
		{"jetstream is a link", "jetstream", moved, false},
		{"jetstream is a dangling link", "jetstream", dangling, false},
		{"the account is a file", "jetstream/$G", file, false},
		{"the streams are a file", "jetstream/$G/streams", file, false},
		{"the streams are a link", "jetstream/$G/streams", moved, false},
		{"a stream is a file", stream, file, false},
		{"a stream is a link", stream, moved, false},
		{"its configuration is a pipe", stream + "/meta.inf", pipe, false},
		{"its configuration is a link", stream + "/meta.inf", moved, false},
		{"its configuration is too large", stream + "/meta.inf", large, false},
		{"its checksum is a pipe", stream + "/meta.sum", pipe, false},
		{"its checksum is too large", stream + "/meta.sum", large, false},
		{"its messages are a file", stream + "/msgs", file, false},
		{"its messages are a pipe", stream + "/msgs", pipe, false},
		{"a block is a pipe", stream + "/msgs/1.blk", pipe, false},
		{"a block is a directory", stream + "/msgs/1.blk", dir, false},
		{"a block is too large", stream + "/msgs/1.blk", large, false},
		{"its index is a pipe", stream + "/msgs/index.db", pipe, false},
		{"its index is a directory", stream + "/msgs/index.db", dir, false},
		{"its consumers are a pipe", stream + "/obs", pipe, false},
		{"a consumer is a pipe", stream + "/obs/c", pipe, false},
		{"the lock is a pipe", "lock", pipe, false},
		{"the lock is a directory", "lock", dir, false},
		{"the lock is a link", "lock", moved, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			top, _ := leftStore(t)
			path := filepath.Join(top, "bus", filepath.FromSlash(c.path))
			if err := errors.Join(os.Rename(path, path+".moved"), c.put(path)); err != nil {
				t.Fatal(err)
			}
			if Store(top) == "" {
				t.Error("there is no store to recover from")
			}
			s, err := Start(t.Context(), Config{Dir: top, Examine: true})
			if err == nil {
				shut(t, s)
				t.Fatalf("a server was started; damage %q", s.Damage())
			}
			bad := (*Malformed)(nil)
			if !errors.As(err, &bad) || len(bad.What) == 0 || !strings.Contains(err.Error(), path) {
				t.Fatalf("%v (want what is malformed, and the path %s)", err, path)
			}
			aside, err := SetAside(top, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(filepath.Join(aside, filepath.FromSlash(c.path))); err != nil {
				t.Error(err)
			}
			s = start(t, Config{Dir: top, Examine: true})
			makeStream(t, asRun(t, s), "x.*")
		})
	}
}

// The store itself may have been moved, and its place be a link to it.
func TestAStoreThatWasMovedAndLinkedIsWhole(t *testing.T) {
	top, _ := leftStore(t)
	path, elsewhere := filepath.Join(top, "bus"), filepath.Join(t.TempDir(), "moved")
	if err := errors.Join(os.Rename(path, elsewhere), os.Symlink(elsewhere, path)); err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Dir: top, Examine: true})
	if len(s.Damage()) > 0 || Store(top) == "" {
		t.Errorf("damage %q", s.Damage())
	}
	if seq := lastSeq(t, makeStream(t, asRun(t, s), "x.*")); seq != 4 {
		t.Errorf("sequence %d (want 4)", seq)
	}
}

// A key that is no file is made anew, and what stood in its place is kept.
func TestAKeyThatIsNoFileIsMadeAnew(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.MkdirAll(filepath.Join(path, "inner"), 0o700) },
		"large":     func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 8<<30)) },
		"dangling":  func(path string) error { return os.Symlink("nowhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			top, _ := leftStore(t)
			path := filepath.Join(top, layout.KeyFile)
			if err := errors.Join(os.Remove(path), put(path)); err != nil {
				t.Fatal(err)
			}
			log := &journal{}
			s := start(t, Config{Dir: top, Logger: log.logger(slog.LevelWarn)})
			asRun(t, s)
			if !strings.Contains(log.String(), path) {
				t.Errorf("the log does not name %s: %s", path, log)
			}
			if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
				t.Errorf("the key: %v, %v", info, err)
			}
			if _, err := os.Lstat(path + ".damaged"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A read error of the disk is damage, as a bad sector is; of what a file's rights
// or this process's limits keep from being read nothing may be concluded.
func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		what bool
	}{
		{syscall.EIO, true}, {syscall.ENOENT, true}, {syscall.ENOTDIR, true}, {syscall.ELOOP, true}, {errDamaged, true},
		{syscall.EACCES, false}, {syscall.EPERM, false}, {syscall.EMFILE, false}, {syscall.ENFILE, false}, {syscall.ENOMEM, false},
	} {
		what, err := readError(&os.PathError{Op: "read", Path: "f", Err: c.err})
		if (what != "") != c.what || (err != nil) == c.what {
			t.Errorf("%v: %q, %v", c.err, what, err)
		}
	}
}
