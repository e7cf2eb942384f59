package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// maxEnviron bounds an environment; the kernel takes no more than 6 MB.
const maxEnviron = 8 << 20

func takeName(name string) {
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0) // without it, it works as well
}

func guardMark() []string {
	name := ownName()
	if name == "" {
		return nil // no /proc: nothing could be found by it
	}
	return []string{GuardEnv + "=" + name}
}

// ownName distinguishes this process from every other: number, start time, and the
// namespace of the number.
func ownName() string {
	st, err := readStat(os.Getpid())
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d.%s", os.Getpid(), st.start, pidNamespace("self"))
}

// gone reports whether the process with that ownName has ended. In a namespace
// other than ours that cannot be seen.
func gone(name, ours string) bool {
	var pid int
	var start uint64
	var where string
	if n, err := fmt.Sscanf(name, "%d.%d.%s", &pid, &start, &where); n != 3 || err != nil || pid <= 1 || ours == "" || where != ours {
		return false
	}
	st, err := readStat(pid)
	return err != nil || st.start != start || st.dead()
}

func pidNamespace(pid string) string {
	link, err := os.Readlink("/proc/" + pid + "/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(link, "pid:["), "]")
}

// SweepCommands ends the processes of this user that commands have left whose
// guards were killed, and whose environment has mark ("NAME=value"): SIGTERM, a
// second, SIGKILL. It returns how many there were, and how many still live.
// Cgroups of commands whose guards are gone are ended with all that is in them.
// Processes in another namespace of process numbers are left alone: whether
// their guard lives cannot be seen from here.
func SweepCommands(ctx context.Context, mark string) (found, alive int) {
	ours := pidNamespace("self")
	told := map[kin]bool{}
	until := time.Now().Add(endWait + killedWait)
	harsh := time.Now().Add(endWait)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		left := strays(mark, ours)
		for _, k := range left {
			switch {
			case time.Now().After(harsh):
				k.kill()
			case !told[k]:
				k.signal(sigTerm)
			}
			told[k] = true
		}
		if len(left) == 0 || time.Now().After(until) || ctx.Err() != nil {
			sweepCgroups(ours)
			return len(told), len(left)
		}
		time.Sleep(pause)
	}
}

func strays(mark, namespace string) (list []kin) {
	if namespace == "" {
		return nil
	}
	for pid, st := range processes() {
		if st.dead() || pid == os.Getpid() {
			continue
		}
		guard, ok := marked(pid, mark)
		if !ok {
			continue
		}
		if gone(guard, namespace) && pidNamespace(fmt.Sprint(pid)) == namespace {
			list = append(list, kin{pid, st.start})
		}
	}
	return list
}

// marked returns the guard's name in the environment of a process of this user that
// has mark, too.
func marked(pid int, mark string) (guard string, ok bool) {
	// Another user's cannot be opened, except by root, which ends its own alone.
	f, err := os.Open(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", false
	}
	if st, known := info.Sys().(*syscall.Stat_t); !known || int(st.Uid) != os.Geteuid() {
		return "", false
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return "", false
	}
	found := false
	for item := range bytes.SplitSeq(b, []byte{0}) {
		if value, is := bytes.CutPrefix(item, []byte(GuardEnv+"=")); is {
			guard = string(value)
		}
		found = found || string(item) == mark
	}
	return guard, found && guard != ""
}
