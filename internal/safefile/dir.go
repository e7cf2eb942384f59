package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Dir is a directory that is held by its descriptor. A name is a path in it.
// Whatever becomes of the directory's own path, and whatever links are made in
// it, no method leaves it. Its methods may be called from several goroutines.
type Dir struct {
	root *os.Root
	path string // for errors
}

// OpenDir opens the directory at path. The last element of path must not be a
// link; the ones before it are the caller's choice.
func OpenDir(path string) (*Dir, error) { return openDir(path, path, os.Lstat, os.OpenRoot) }

// Dir opens a directory in d, which must not be a link.
func (d *Dir) Dir(name string) (*Dir, error) {
	return openDir(d.Path(name), name, d.root.Lstat, d.root.OpenRoot)
}

func openDir(path, name string, lstat func(string) (fs.FileInfo, error), open func(string) (*os.Root, error)) (*Dir, error) {
	was, err := lstat(name)
	if err != nil {
		return nil, err
	}
	if !was.IsDir() {
		return nil, fmt.Errorf("%s is %s (want a directory)", path, Kind(was.Mode()))
	}
	root, err := open(name)
	if err != nil {
		return nil, err
	}
	is, err := root.Stat(".")
	if err == nil && !os.SameFile(was, is) {
		err = fmt.Errorf("%s was exchanged while it was opened", path)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Dir{root: root, path: path}, nil
}

// Close lets go of the directory. It is idempotent.
func (d *Dir) Close() error { return d.root.Close() }

// Path is where name in d was when d was opened.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Name is the name in d of what was at path, if path lies below where d was.
func (d *Dir) Name(path string) (string, bool) {
	name, err := filepath.Rel(d.path, path)
	return name, err == nil && filepath.IsLocal(name)
}

// Open opens a plain file in d for reading, as Open does.
func (d *Dir) Open(name string) (*os.File, fs.FileInfo, error) {
	path := d.Path(name)
	// A root follows links that stay in it, whatever the flags: so it is looked
	// at before, and compared after.
	was, err := d.root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !was.Mode().IsRegular() {
		return nil, nil, notPlain(path, was.Mode())
	}
	f, err := d.root.OpenFile(name, readHow, 0)
	f, info, err := plain(path, f, err)
	if err == nil && !os.SameFile(was, info) {
		err = errors.Join(fmt.Errorf("%s was exchanged while it was opened", path), f.Close())
	}
	if err != nil {
		return nil, nil, err
	}
	return f, info, nil
}

// Read reads a plain file in d, of at most most bytes.
func (d *Dir) Read(name string, most int64) ([]byte, error) {
	f, info, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	return readClose(d.Path(name), f, info, most)
}

// Lstat describes what is at name, not what a link there points to.
func (d *Dir) Lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }

// Names lists what is directly in d, in order.
func (d *Dir) Names() ([]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// FS is d, read only. Links that lead out of d cannot be followed.
func (d *Dir) FS() fs.FS { return d.root.FS() }

// Create makes a new file in d, which can be written and read. What is there
// already, a link too, is an fs.ErrExist.
func (d *Dir) Create(name string) (*os.File, error) {
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NONBLOCK, fileMode)
}

// WriteNew makes a new file in d with that content, as Create does.
func (d *Dir) WriteNew(name string, content []byte) error {
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// Mkdir makes a new directory in d. What is there already is an fs.ErrExist.
func (d *Dir) Mkdir(name string) error { return d.root.Mkdir(name, dirMode) }

// Remove removes a file, a link, or an empty directory.
func (d *Dir) Remove(name string) error { return d.root.Remove(name) }

// RemoveAll removes what is at name, a link and not what it points to, with all
// that is in it.
func (d *Dir) RemoveAll(name string) error { return d.root.RemoveAll(name) }
