package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gx1replay/internal/atomicfile"
)

// Replace puts what write writes under the name name in d, as package atomicfile
// does. Whatever stood there, a link too, is replaced, and not followed; a
// directory is moved aside, with what is in it, to name.aside.
func (d *Dir) Replace(name string, sync bool, write func(io.Writer) error) error {
	return d.put(name, sync, func(w io.Writer) (string, error) { return name, write(w) })
}

// Put is Replace for a file directly in d whose name depends on what is written:
// write returns it.
func (d *Dir) Put(sync bool, write func(io.Writer) (name string, err error)) error {
	return d.put("put", sync, write)
}

func (d *Dir) put(name string, sync bool, write func(io.Writer) (string, error)) (err error) {
	f, err := atomicfile.Create(name, atomicfile.Options{Sync: sync, Root: d.root})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Discard()) }()
	if f.Path, err = write(f); err != nil {
		return err
	}
	if info, err := d.root.Lstat(f.Path); err == nil && info.IsDir() {
		if err := d.setAside(f.Path); err != nil {
			return err
		}
	}
	return f.Commit()
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

// Replace is Dir.Replace for the file at path, whose directory is there.
func Replace(path string, sync bool, write func(io.Writer) error) error {
	d, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close() // nothing is lost by it
	return d.Replace(filepath.Base(path), sync, write)
}

// Append opens the file at path for reading and for writing at its end, or makes
// it. What is there and is no plain file is an ErrNotPlain.
func Append(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, fileMode)
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
