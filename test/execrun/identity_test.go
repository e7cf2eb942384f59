//go:build linux

package execrun

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/drive"
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
	var entry struct {
		URL string `json:"url"`
		Key string `json:"key_file"`
	}
	v.must(v.Until(v.ctx, "it stands in the register", func() bool {
		b, err := os.ReadFile(v.Entry())
		return err == nil && json.Unmarshal(b, &entry) == nil && entry.URL != ""
	}))
	args := []string{"worker", "--run", v.RunID, "--work-dir", v.t.TempDir(), "--nats", entry.URL, "--nkey", entry.Key, "--engine", "exec", "--exec-env", "GX1TEST_*"}
	for i, arg := range v.Args {
		switch arg { // what a worker has to be told as well
		case "--exec-dir":
			args = append(args, arg, dir)
		case "--exec-digest":
			args = append(args, arg, v.Args[i+1])
		case "--":
			args = append(args, v.Args[i:]...)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, v.Binary, args...)
	cmd.Env = v.Environ()
	log, err := os.Create(filepath.Join(v.Dir, "stderr.joined"))
	v.must(err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	v.must(cmd.Start())
	leave = sync.OnceFunc(func() {
		cancel()
		_ = cmd.Wait() // it was told to go
	})
	v.t.Cleanup(leave)
	return cmd.Process.Pid, leave
}
