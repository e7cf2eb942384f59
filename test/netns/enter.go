//go:build linux

package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// in calls f in a namespace, on a thread of its own. A thread that has entered
// a namespace is not given back: it ends with its goroutine.
func in[T any](namespace string, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		v, err := entered(namespace, f)
		done <- result{v, err}
	}()
	r := <-done
	return r.v, r.err
}

// entered calls f once the thread has entered the namespace.
func entered[T any](namespace string, f func() (T, error)) (v T, err error) {
	ns, err := os.Open(filepath.Join(namespaces, namespace))
	if err != nil {
		return v, fmt.Errorf("entering namespace %s: %w", namespace, err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return v, fmt.Errorf("entering namespace %s: %w", namespace, err)
	}
	return f()
}

// openTap makes the device `wire` in the thread's namespace.
func openTap() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq("wire")
	if err == nil {
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a TAP device: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// Argv is the command line that runs argv on the host. It becomes that program:
// no other process stands between.
func (h *Host) Argv(argv ...string) []string {
	return append([]string{"ip", "netns", "exec", h.Name}, argv...)
}
