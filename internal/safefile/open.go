package safefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Modes of what this package makes.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// ErrNotPlain matches the error of what is there and is no plain file: a link,
// a pipe, a directory, a device.
var ErrNotPlain = errors.New("is no plain file")

// readHow opens for reading and waits for nothing.
const readHow = os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY

// Open opens the plain file at path for reading. A link in the last element of
// path is an ErrNotPlain, as is everything else that is no plain file.
func Open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, readHow|syscall.O_NOFOLLOW, 0)
	return plain(path, f, err)
}

// OpenLinked is Open, but a link to a plain file is followed. It is for files
// whose content is known or checked, and for the user's own.
func OpenLinked(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, readHow, 0)
	return plain(path, f, err)
}

// plain passes f on if it is a plain file, and closes it if not.
func plain(path string, f *os.File, err error) (*os.File, fs.FileInfo, error) {
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, nil, notPlain(path, fs.ModeSymlink)
	case errors.Is(err, syscall.EISDIR):
		return nil, nil, notPlain(path, fs.ModeDir)
	case err != nil:
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notPlain(path, info.Mode())
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func notPlain(path string, mode fs.FileMode) error {
	return fmt.Errorf("%s %w (%s)", path, ErrNotPlain, Kind(mode))
}

// Kind is what a file of that mode is called, with its article.
func Kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode.IsRegular():
		return "a file"
	}
	return "a device"
}

// Read reads the plain file at path, of at most most bytes.
func Read(path string, most int64) ([]byte, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	return readClose(path, f, info, most)
}

// ReadLinked is Read, but a link to a plain file is followed, as OpenLinked does.
func ReadLinked(path string, most int64) ([]byte, error) {
	f, info, err := OpenLinked(path)
	if err != nil {
		return nil, err
	}
	return readClose(path, f, info, most)
}

func readClose(path string, f *os.File, info fs.FileInfo, most int64) ([]byte, error) {
	defer f.Close() // it was read only
	most = max(most, 0)
	var b bytes.Buffer
	b.Grow(int(min(info.Size(), most)) + bytes.MinRead) // the file is read without a copy
	if _, err := b.ReadFrom(io.LimitReader(f, most+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return b.Bytes(), nil
}
