package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// Replace puts what write writes under the name name in d: aside and renamed,
// so that a reader finds a whole file or none. Whatever stood there, a link
// too, is replaced, and not followed; a directory is moved aside, with what is in
// it, to name.aside. With sync it outlives a crash of the
// host. On an error nothing is left aside, and what stood there stays.
func (d *Dir) Replace(name string, sync bool, write func(io.Writer) error) error {
	aside := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s.%016x.tmp", filepath.Base(name), rand.Uint64()))
	return d.put(aside, sync, func(w io.Writer) (string, error) { return name, write(w) })
}

// Put is Replace for a file directly in d whose name depends on what is written:
// write returns it.
func (d *Dir) Put(sync bool, write func(io.Writer) (name string, err error)) error {
	return d.put(fmt.Sprintf(".put.%016x.tmp", rand.Uint64()), sync, write)
}

func (d *Dir) put(aside string, sync bool, write func(io.Writer) (string, error)) (err error) {
	f, err := d.Create(aside)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.root.Remove(aside))
		}
	}()
	name, err := write(f)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	err = d.root.Rename(aside, name)
	if info, errStat := d.root.Lstat(name); err != nil && errStat == nil && info.IsDir() {
		if err := d.setAside(name); err != nil {
			return err
		}
		err = d.root.Rename(aside, name)
	}
	if err != nil {
		return err
	}
	if !sync {
		return nil
	}
	return d.syncDir(filepath.Dir(name))
}

// setAside renames what stands at name to the first of name.aside, name.aside.2, …
// under which nothing stands. Somebody else may have done so meanwhile.
func (d *Dir) setAside(name string) error {
	to := name + ".aside"
	for k := 2; ; k++ {
		_, err := d.root.Lstat(to)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		to = fmt.Sprintf("%s.aside.%d", name, k)
	}
	if err := d.root.Rename(name, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("moving what is in the way aside: %w", err)
	}
	return nil
}

// syncDir makes renames in a directory outlive a crash. A file system that
// cannot sync directories keeps them in order by itself.
func (d *Dir) syncDir(name string) error {
	dir, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// Replace is Dir.Replace for the file at path, whose directory is there.
func Replace(path string, sync bool, write func(io.Writer) error) error {
	d, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close() // nothing is lost by it
	return d.Replace(filepath.Base(path), sync, write)
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

// Append opens the file at path for reading and for writing at its end, or makes
// it. What is there and is no plain file is an ErrNotPlain.
func Append(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, fileMode)
	if errors.Is(err, syscall.ELOOP) {
		return nil, notPlain(path, os.ModeSymlink)
	}
	if errors.Is(err, syscall.EISDIR) {
		return nil, notPlain(path, os.ModeDir)
	}
	f, _, err = plain(path, f, err)
	return f, err
}

// Rewrite is Append to a file that is emptied before.
func Rewrite(path string) (*os.File, error) {
	f, err := Append(path)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
