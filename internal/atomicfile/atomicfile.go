// Package atomicfile puts files under their names in one step. Whoever opens
// the name finds what stood there before or the whole new file, never a part.
//
// A file is written aside, under a hidden name beside its own, and renamed.
//
// It never writes into a file that already stands under the name, never follows
// a link there (the link itself is replaced), never makes a directory (one that
// a user deleted must not come back), never gives a file more permission bits
// than it was told to, whatever the umask, and leaves nothing aside when it
// returns an error.
//
// # Crash safety
//
// With Options.Sync the content is on the disk before the rename and the rename
// before Commit returns, so a power cut leaves the old file or the new one.
// Without it, that holds for a process that dies, but after a crash of the host
// the name may hold an empty or a short file: it is for content that its reader
// checks, or that can be made again.
//
// A process that dies leaves its file aside. Sweep removes it.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// suffix ends the names of files that are written aside.
const suffix = ".tmp"

// privateMode is the default mode: the file is its user's alone.
const privateMode = 0o600

// Options say how a file is put under its name.
type Options struct {
	// Mode has the file's permission bits, of which the umask may take some;
	// 0 is 0600.
	Mode fs.FileMode
	// Sync makes the file outlive a crash of the host.
	Sync bool
	// New refuses to replace anything: what is there is an fs.ErrExist.
	New bool
	// Aside is the path that names of files aside begin with, before a dot, 16
	// random hex digits and ".tmp". It must be in the same file system. Empty:
	// the file's own path with a dot before its name.
	Aside string
	// Root, if not nil, is what all paths are relative to, and is not left.
	Root *os.Root
}

// place is where files are: the file system, or what a Root holds.
type place interface {
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	Rename(from, to string) error
	Link(from, to string) error
	Lstat(name string) (fs.FileInfo, error)
	Remove(name string) error
}

func (o Options) place() place {
	if o.Root != nil {
		return o.Root
	}
	return fileSystem{}
}

type fileSystem struct{}

func (fileSystem) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}
func (fileSystem) Rename(from, to string) error           { return os.Rename(from, to) }
func (fileSystem) Link(from, to string) error             { return os.Link(from, to) }
func (fileSystem) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }
func (fileSystem) Remove(name string) error               { return os.Remove(name) }

// Write puts what write writes under path, as Create and Commit do.
func Write(path string, o Options, write func(io.Writer) error) (err error) {
	f, err := Create(path, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Discard()) }()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}

// Parts writes parts, one after the other.
func Parts(parts ...[]byte) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, p := range parts {
			if _, err := w.Write(p); err != nil {
				return err
			}
		}
		return nil
	}
}

// File is a file that is written aside. Commit or, step by step, Close and
// Rename put it under its Path. Until then nothing changes there. Its methods
// are for one goroutine at a time.
type File struct {
	*os.File
	// Path may be changed until the file stands there.
	Path string

	o     Options
	at    place
	aside string // empty: nothing is aside any more
}

// Create begins a file that is to stand under path. Discard must be called in
// any case.
func Create(path string, o Options) (*File, error) { return create(o.place(), path, o) }

func create(at place, path string, o Options) (*File, error) {
	stem := o.Aside
	if stem == "" {
		stem = filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	}
	if o.Mode == 0 {
		o.Mode = privateMode
	}
	aside := fmt.Sprintf("%s.%016x%s", stem, rand.Uint64(), suffix)
	f, err := at.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, o.Mode)
	if err != nil {
		return nil, err
	}
	return &File{File: f, Path: path, o: o, at: at, aside: aside}, nil
}

// Commit puts the file under its path. After an error of the last step, syncing
// the directory, it stands there, and may not outlive a crash of the host.
func (f *File) Commit() error {
	if f.o.Sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil { // network file systems report here
		return err
	}
	if err := f.Rename(); err != nil {
		return err
	}
	if !f.o.Sync {
		return nil
	}
	return syncDir(f.at, filepath.Dir(f.Path))
}

// Rename is the step of Commit in which the file gets its name.
func (f *File) Rename() error {
	if f.o.New {
		// What a link leaves aside, Discard removes.
		return giveName(f.at, f.aside, f.Path)
	}
	if err := f.at.Rename(f.aside, f.Path); err != nil {
		return err
	}
	f.aside = ""
	return nil
}

// Discard closes the file and removes what is still aside. Once the file stands
// under its path, and when it is called again, it does nothing.
func (f *File) Discard() error {
	if f.aside == "" {
		return nil
	}
	errClose, errRemove := f.Close(), f.at.Remove(f.aside)
	f.aside = ""
	if errors.Is(errClose, fs.ErrClosed) {
		errClose = nil
	}
	if errors.Is(errRemove, fs.ErrNotExist) { // its directory was deleted, or New renamed it
		errRemove = nil
	}
	return errors.Join(errClose, errRemove)
}

// SyncDir makes renames in a directory outlive a crash of the host.
func SyncDir(dir string) error { return syncDir(fileSystem{}, dir) }

func syncDir(at place, name string) error {
	d, err := at.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer d.Close() // nothing was written to it
	// A file system that cannot sync directories keeps them in order by itself.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// SetAside gives what is at path, a file or a directory, a name that is free,
// so that a replacement of path does not destroy it, and returns that name. It
// tries name(1), name(2) and so on. A file keeps its path, too, where the file
// system has hard links. A directory must not be set aside by two processes at
// once.
func SetAside(path string, name func(n int) string) (string, error) {
	for n := 1; ; n++ {
		to := name(n)
		if err := giveName(fileSystem{}, path, to); !errors.Is(err, fs.ErrExist) {
			return to, err
		}
	}
}

// giveName gives what is at path the further name to, or renames it where it
// cannot have two. What has that name already is an fs.ErrExist.
func giveName(at place, path, to string) error {
	err := at.Link(path, to)
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := at.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: path, New: to, Err: fs.ErrExist}
	}
	return at.Rename(path, to)
}

// Sweep removes what processes that died have left aside under an Options.Aside.
// The caller knows that nobody is writing there now.
func Sweep(aside string) error {
	dir, prefix := filepath.Dir(aside), filepath.Base(aside)+"."
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if n := e.Name(); strings.HasPrefix(n, prefix) && strings.HasSuffix(n, suffix) {
			if err := os.Remove(filepath.Join(dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
