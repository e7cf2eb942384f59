package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gx1replay/internal/safefile"
)

// cgroup is the cgroup (version 2) of one command, which is killed as one.
type cgroup struct {
	dir    string
	fd     int
	memory bool // it bounds the memory of all its processes together
}

const cgroupPrefix = "gx1r-command-"

const cgroupWait = 200 * time.Millisecond

// newCgroup makes a cgroup below this process's own or beside it, with a limit of
// memory if above 0. It returns nil if none is delegated to us; the error is the
// reason for none, or for none with the limit. A delegated cgroup with processes of
// its own cannot hand the memory controller down. If a service manager puts us into
// a subgroup (systemd's DelegateSubgroup=), the one beside it has the limit.
func newCgroup(memoryMax int64) (*cgroup, error) {
	own, top, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	var first *cgroup
	var why error = errors.New("no cgroup is delegated to this process")
	for dir := own; isDelegated(dir, dir == top); dir = filepath.Dir(dir) {
		c, err := makeCgroup(dir, memoryMax)
		switch {
		case err != nil:
			why = err
		case memoryMax <= 0 || c.memory:
			first.remove()
			return c, nil
		case first == nil:
			first, why = c, fmt.Errorf("the memory controller is not available in %s", dir)
		default:
			c.remove()
		}
		if dir == top || dir != own { // itself and the one above, no further
			break
		}
	}
	return first, why
}

// sweepCgroups ends and removes the cgroups of commands whose guards are gone, in
// this process's own cgroup and the one above. ours is the namespace of this
// process's number.
func sweepCgroups(ours string) {
	own, top, err := ownCgroup()
	if err != nil {
		return
	}
	dirs := []string{own}
	if own != top {
		dirs = append(dirs, filepath.Dir(own))
	}
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if abandoned(e.Name(), ours) {
				killCgroup(filepath.Join(dir, e.Name()))
				removeCgroup(filepath.Join(dir, e.Name()))
			}
		}
	}
}

func abandoned(name, ours string) bool {
	rest, ok := strings.CutPrefix(name, cgroupPrefix)
	guard, _, marked := strings.Cut(rest, "-")
	return ok && marked && gone(guard, ours)
}

func makeCgroup(dir string, memoryMax int64) (*cgroup, error) {
	if memoryMax > 0 {
		// It fails without the controller, and if dir has processes.
		_ = writeFile(dir, "cgroup.subtree_control", "+memory")
	}
	path, err := os.MkdirTemp(dir, cgroupPrefix+ownName()+"-")
	if err != nil {
		return nil, fmt.Errorf("making a cgroup: %w", err)
	}
	c := &cgroup{dir: path, fd: -1}
	if c.fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		c.remove()
		return nil, fmt.Errorf("opening the cgroup %s: %w", path, err)
	}
	if memoryMax > 0 && writeFile(path, "memory.max", strconv.FormatInt(memoryMax, 10)) == nil {
		c.memory = true
		// All of it or nothing: half a command is of no use.
		_ = writeFile(path, "memory.oom.group", "1")
	}
	return c, nil
}

func (c *cgroup) path() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// kill kills all that are in it. Before Linux 5.14 it does nothing.
func (c *cgroup) kill() { killCgroup(c.path()) }

func (c *cgroup) remove() {
	if c == nil {
		return
	}
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
	removeCgroup(c.dir)
}

func killCgroup(dir string) {
	if dir != "" {
		_ = writeFile(dir, "cgroup.kill", "1")
	}
}

// removeCgroup also removes cgroups that the command made in it.
func removeCgroup(dir string) {
	if dir == "" {
		return
	}
	for until := time.Now().Add(cgroupWait); ; time.Sleep(time.Millisecond) {
		// Deepest first. The files in it are not there to be removed.
		var below []string
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				below = append(below, path)
			}
			return nil
		})
		for i := len(below) - 1; i >= 0; i-- {
			_ = unix.Rmdir(below[i])
		}
		if _, err := os.Lstat(dir); err != nil || time.Now().After(until) {
			return
		}
	}
}

func writeFile(dir, name, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// ownCgroup is the directory of this process's cgroup, and the topmost that it
// sees.
func ownCgroup() (own, top string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	return findCgroup(string(mounts), string(groups))
}

// findCgroup reads proc_pid_mountinfo(5) and cgroups(7).
func findCgroup(mounts, groups string) (own, top string, err error) {
	path, found := "", false
	for line := range strings.Lines(groups) {
		if p, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "0::"); ok {
			path, found = p, true
		}
	}
	if !found || !strings.HasPrefix(path, "/") {
		return "", "", errors.New("this process is in no cgroup of version 2")
	}
	// 30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) < 5 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		// What is mounted may be a part, and we outside it.
		root := strings.TrimSuffix(fields[3], "/")
		rest, ok := strings.CutPrefix(path, root)
		if !ok || rest != "" && rest[0] != '/' || strings.Contains(rest, "/..") || strings.Contains(fields[4], `\`) {
			continue
		}
		return filepath.Join(fields[4], rest), filepath.Clean(fields[4]), nil
	}
	return "", "", errors.New("the cgroup of this process is not mounted")
}

// isDelegated reports whether we may divide the cgroup dir. A service manager marks
// it by an attribute or its owner; the topmost that a container sees is its own.
func isDelegated(dir string, top bool) bool {
	// The root of all has no type, and no owner.
	if _, err := os.Stat(filepath.Join(dir, "cgroup.type")); err != nil || unix.Access(dir, unix.W_OK) != nil {
		return false
	}
	if top {
		return true
	}
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		var value [8]byte
		if n, err := unix.Getxattr(dir, name, value[:]); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	uid, ok := safefile.Owner(info)
	return ok && uid != 0 && uid == os.Geteuid()
}
