//go:build linux

package ends

import (
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// join starts a chunkworker for the run, as on another host, whose output
// nobody reads.
func (v *trial) join() *exec.Cmd {
	v.t.Helper()
	var entry struct {
		URL string `json:"url"`
		Key string `json:"key_file"`
	}
	v.until("it stands in the register", func() bool {
		b, err := os.ReadFile(v.Entry())
		return err == nil && json.Unmarshal(b, &entry) == nil && entry.URL != ""
	})
	args := []string{"worker", "--run", v.RunID, "--work-dir", v.t.TempDir(), "--nats", entry.URL, "--nkey", entry.Key, "--engine", "exec", "--exec-env", "GX1TEST_*", "--"}
	cmd := exec.Command(v.Binary, append(args, v.plan.command()...)...)
	cmd.Env = v.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	reader, writer, err := os.Pipe()
	v.must(err)
	defer writer.Close()
	v.must(reader.Close())
	cmd.Stdout, cmd.Stderr = writer, writer
	v.must(cmd.Start())
	v.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // its code was looked at, or does not matter
	})
	return cmd
}

// A chunkworker whose reader is gone works all the same. One that is ended,
// twice within a moment, gives its chunk back with the command's whole grace.
func TestAWorkerOfAnotherHost(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	for name, signals := range map[string][]syscall.Signal{
		"twice":         {syscall.SIGTERM, syscall.SIGTERM},
		"login session": {syscall.SIGTERM, syscall.SIGHUP},
		"hang-up":       {syscall.SIGHUP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan(t)
			p.Exec, p.Workers, p.Flush = true, 0, 2*time.Second
			r, err := Start(p)
			if err != nil {
				t.Fatal(err)
			}
			v := watch(t, r)
			w := v.join()
			v.moves(40)
			for _, sig := range signals {
				v.must(w.Process.Signal(sig))
			}
			if err := w.Wait(); err != nil {
				t.Errorf("the worker: %v (expected exit code 0)", err)
			}
			v.must(v.Signal(syscall.SIGTERM))
			rep := v.stopped("sigterm")
			v.inOrder(rep)
			if rep.Releases != 1 {
				t.Errorf("%d releases (expected 1)", rep.Releases)
			}
		})
	}
}
