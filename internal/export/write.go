package export

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gx1replay/internal/run"
)

// Config is what an export may be given from outside. The zero Config is the
// product's.
type Config struct {
	// Stderr gets a short form of the stub, at most perf.ShortStubLines lines of
	// JSON, where the output directory cannot be
	// written. Nil: nobody does.
	Stderr io.Writer
	// BeforeSync is called before a file that is named aside is synced; its
	// error is taken for the sync's. Tests block or fail a disk with it.
	BeforeSync func(aside string) error
	// BeforeRename is called once a file that is named aside is synced, and
	// before it gets its name; its error is taken for the rename's.
	BeforeRename func(aside string) error

	private bool // what is written is for this user alone
}

// mode is that of a new file. Reports are for whom the umask lets read.
func (c Config) mode() os.FileMode {
	if c.private {
		return 0o600
	}
	return 0o644
}

// Steps says how long each step of an export took.
type Steps struct {
	Merge, Write, Sync, Rename time.Duration
	// SyncDir and Check come after the file is visible.
	SyncDir, Check time.Duration
}

// Visible is the time until the file stood under its name.
func (s Steps) Visible() time.Duration { return s.Merge + s.Write + s.Sync + s.Rename }

// asidePrefix begins the names of the files of run id that are not renamed
// yet. No other run's names begin so: a run_id has no dot.
func asidePrefix(id run.ID) string { return ".perf_" + string(id) + "." }

const asideSuffix = ".tmp"

// createAside makes a new file beside path.
func createAside(path string, id run.ID, mode os.FileMode) (*os.File, error) {
	for range 100 {
		name := fmt.Sprintf("%s%d-%08x%s", asidePrefix(id), os.Getpid(), rand.Uint32(), asideSuffix)
		f, err := os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, os.ErrExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("no free name beside %s", path)
}

// sweep removes what exports of run id that died have left in dir. Only who
// holds the run's lock may call it.
func sweep(dir string, id run.ID) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if n := e.Name(); strings.HasPrefix(n, asidePrefix(id)) && strings.HasSuffix(n, asideSuffix) {
			if err := os.Remove(filepath.Join(dir, n)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// replace puts what write writes under path: aside, synced, renamed. Until
// the rename nothing at path changes, and an error leaves nothing beside it.
// beforeRename may be nil; its error stops the replacement. The returned
// FileInfo identifies the new file.
func (c Config) replace(path string, id run.ID, write func(io.Writer) error, s *Steps, beforeRename func() error) (info os.FileInfo, err error) {
	last := time.Now()
	lap := func(d *time.Duration) {
		now := time.Now()
		*d += now.Sub(last)
		last = now
	}
	f, err := createAside(path, id, c.mode())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return nil, err
	}
	lap(&s.Write)
	if c.BeforeSync != nil {
		if err := c.BeforeSync(f.Name()); err != nil {
			return nil, &os.PathError{Op: "sync", Path: f.Name(), Err: err}
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil { // network file systems report here
		return nil, err
	}
	lap(&s.Sync)
	if beforeRename != nil {
		if err := beforeRename(); err != nil {
			return nil, err
		}
	}
	if c.BeforeRename != nil {
		if err := c.BeforeRename(f.Name()); err != nil {
			return nil, &os.PathError{Op: "rename", Path: f.Name(), Err: err}
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	lap(&s.Rename)
	return info, nil
}

// Replacer returns replace for the files of run id, for packages that write
// further ones.
func (c Config) Replacer(id run.ID) func(path string, write func(io.Writer) error) error {
	return func(path string, write func(io.Writer) error) error {
		_, err := c.replace(path, id, write, new(Steps), nil)
		return err
	}
}

// syncDir makes renames in dir survive a power cut. A file system that cannot
// sync directories keeps them in order by itself.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// comparer is a writer that says whether what is written to it is what it
// reads, and makes the digest of that.
type comparer struct {
	got    io.Reader
	digest hash.Hash
	block  []byte
	at     int64
}

func (c *comparer) Write(b []byte) (int, error) {
	c.block = slices.Grow(c.block[:0], len(b))[:len(b)]
	if _, err := io.ReadFull(c.got, c.block); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	} else if err != nil || !bytes.Equal(c.block, b) {
		return 0, fmt.Errorf("it differs from what was written, within the %d bytes from byte %d on", len(b), c.at)
	}
	c.at += int64(len(b))
	return c.digest.Write(b)
}

// end says whether nothing follows.
func (c *comparer) end() error {
	n, err := io.Copy(io.Discard, c.got)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d bytes follow what was written", n)
	}
	return err
}

// setAside gives the file at path a second name beside it, so that replacing
// path does not destroy it, and returns that name.
func setAside(path string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.set-aside-%d", path, n)
		switch err := os.Link(path, name); {
		case err == nil:
			return name, nil
		case errors.Is(err, os.ErrExist):
			continue
		case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported): // no hard links there
			if _, err := os.Lstat(name); err == nil {
				continue
			}
			return name, os.Rename(path, name)
		default:
			return "", err
		}
	}
}
