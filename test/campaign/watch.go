//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// watcher waits for a file to get its name; the kernel wakes it, so that
// watching costs nothing that is measured.
type watcher struct {
	f    *os.File
	name string
}

func watchFor(path string) (*watcher, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("watching for %s: it is there already", path)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching for %s: %w", path, err)
	}
	w := &watcher{f: os.NewFile(uintptr(fd), "inotify"), name: filepath.Base(path)}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_MOVED_TO|unix.IN_CREATE); err != nil {
		w.Close()
		return nil, fmt.Errorf("watching for %s: %w", path, err)
	}
	return w, nil
}

func (w *watcher) Close() { w.f.Close() }

// wait returns how long after begun the file was there.
func (w *watcher) wait(begun time.Time, limit time.Duration) (time.Duration, error) {
	if err := w.f.SetReadDeadline(begun.Add(limit)); err != nil {
		return 0, fmt.Errorf("watching for %s: %w", w.name, err)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := w.f.Read(buf)
		d := time.Since(begun)
		if err != nil {
			return 0, fmt.Errorf("watching for %s: %w", w.name, err)
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(rest[12:])) // the field len
			name, _, _ := bytes.Cut(rest[unix.SizeofInotifyEvent:size], []byte{0})
			if string(name) == w.name {
				return d, nil
			}
			rest = rest[size:]
		}
	}
}
