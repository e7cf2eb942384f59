//go:build linux

package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namespaces is where iproute2 keeps them.
const namespaces = "/run/netns"

// sweep removes the hosts of processes that are no more.
func sweep() error {
	entries, err := os.ReadDir(namespaces)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("looking for hosts that were left: %w", err)
	}
	for _, e := range entries {
		pid, ok := owner(e.Name())
		if !ok || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			continue
		}
		// Another process may sweep at the same time: that it is gone is what counts.
		err := ip("netns", "delete", e.Name())
		if _, gone := os.Lstat(filepath.Join(namespaces, e.Name())); err != nil && !errors.Is(gone, os.ErrNotExist) {
			return fmt.Errorf("removing a host that was left: %w", err)
		}
	}
	return nil
}

// owner is the process that made the namespace; not ok: it is no host's.
func owner(namespace string) (pid int, ok bool) {
	rest, ours := strings.CutPrefix(namespace, namePrefix)
	number, _, more := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	return pid, ours && more && err == nil && pid > 0
}
