//go:build linux

package execrun

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// copied is a copy of the examples that a test may edit.
func copied(t *testing.T) string {
	t.Helper()
	root, err := drive.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "examples")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// edit changes a file, though nothing that it does.
func edit(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("# edited\n")
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A run that was begun with one version of the user's files does not go on
// with another, be it the script or a module that --exec-digest names.
func TestEditedBetweenTwoStarts(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	for _, file := range []string{"python/gx1replay.py", "python/replay_protocol.py"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			p := plan(t)
			p.Examples = copied(t)
			v := start(t, "protocol", p)
			v.done(p.Bars / 10)
			v.must(v.Signal(syscall.SIGTERM))
			v.ends(0)
			v.judge(nil)
			before, err := os.ReadFile(v.Perf())
			v.must(err)
			edit(t, filepath.Join(p.Examples, file))
			first := v.Bars()
			v.again()
			v.ends(1)
			if !strings.Contains(v.said(), filepath.Base(file)) {
				t.Errorf("the refusal does not name %s:\n%s", filepath.Base(file), v.said())
			}
			if n := v.Bars(); n != first {
				t.Errorf("%d bars were replayed by what was refused", n-first)
			}
			if after, err := os.ReadFile(v.Perf()); err != nil || string(after) != string(before) {
				t.Errorf("the refused start has changed the file (error %v)", err)
			}
		})
	}
}

// A worker that has another version of the script claims nothing, status names
// the file, and the run is completed by the others.
func TestWorkerWithAnotherScript(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	p := plan(t)
	p.Workers = 1
	p.Examples = copied(t)
	v := start(t, "protocol", p)
	v.done(1)
	other := copied(t)
	edit(t, filepath.Join(other, "python/replay_protocol.py"))
	pid, leave := v.join(other)
	named := func() bool {
		said, err := v.Command(v.ctx, "status", v.RunID)
		return err == nil && all(said.Stdout, []string{"does not serve this run", "replay_protocol.py"})
	}
	if err := v.Until(v.ctx, "status names the file", named); err != nil {
		t.Error(err)
	}
	v.ends(0)
	leave()
	v.judge(nil)
	for i, c := range v.lines() {
		if strings.Contains(c.Worker, fmt.Sprint(pid)) {
			t.Errorf("chunk %d was replayed by %s, the worker with another script", i, c.Worker)
		}
	}
}

// join has a further worker serve the run, with the examples in dir, until it
// is told to leave.
func (v *trial) join(dir string) (pid int, leave func()) {
	v.t.Helper()
	url, key := v.bus()
	flags := []string{"--run", v.RunID, "--work-dir", v.t.TempDir(), "--nkey", key, "--exec-env", "GX1TEST_*"}
	for i, arg := range v.Args {
		switch arg { // what a worker has to be told as well
		case "--exec-dir":
			flags = append(flags, arg, dir)
		case "--exec-digest":
			flags = append(flags, arg, v.Args[i+1])
		}
	}
	cmd := serving(v.Binary, url, flags, v.argv())
	cmd.Env = v.Environ()
	leave = join(v.t, cmd)
	return cmd.Process.Pid, leave
}
