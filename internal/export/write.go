package export

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/run"
)

// Config is what an export may be given from outside. The zero Config is the
// product's.
type Config struct {
	// Stderr gets a short form of the stub, at most perf.ShortStubLines lines of
	// JSON, where the output directory cannot be
	// written. Nil: not called.
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

// Steps holds how long each step of an export took.
type Steps struct {
	Merge, Write, Sync, Rename time.Duration
	// SyncDir and Check come after the file is visible.
	SyncDir, Check time.Duration
}

// Visible is the time until the file stood under its name.
func (s Steps) Visible() time.Duration { return s.Merge + s.Write + s.Sync + s.Rename }

// aside is what the names of files that exports of run id write aside in dir
// begin with. No other run's names begin so: a run_id has no dot.
func aside(dir string, id run.ID) string { return filepath.Join(dir, ".perf_"+string(id)) }

// replace puts what write writes under path: aside, synced, renamed. Until
// the rename nothing at path changes, and an error leaves nothing beside it.
// beforeRename may be nil; its error stops the replacement. The returned
// FileInfo identifies the new file. Syncing the directory is left to the caller.
func (c Config) replace(path string, id run.ID, write func(io.Writer) error, s *Steps, beforeRename func() error) (info os.FileInfo, err error) {
	last := time.Now()
	lap := func(d *time.Duration) {
		now := time.Now()
		*d += now.Sub(last)
		last = now
	}
	f, err := atomicfile.Create(path, atomicfile.Options{Mode: c.mode(), Aside: aside(filepath.Dir(path), id)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Discard() }() // the first error contains more
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
	if err := f.Rename(); err != nil {
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

// comparer is a writer that reports whether what is written to it is what it
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

// end reports whether nothing follows.
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
	return atomicfile.SetAside(path, func(n int) string { return fmt.Sprintf("%s.set-aside-%d", path, n) })
}
