//go:build linux

package execrun

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/drive"
)

// bus waits until the run registry has the run's bus and its key.
func (v *trial) bus() (url, keyFile string) {
	v.t.Helper()
	var entry struct {
		URL string `json:"url"`
		Key string `json:"key_file"`
	}
	v.must(v.Until(v.ctx, "it stands in the register", func() bool {
		b, err := os.ReadFile(v.Entry())
		return err == nil && json.Unmarshal(b, &entry) == nil && entry.URL != ""
	}))
	return entry.URL, entry.Key
}

// argv is the run's command.
func (v *trial) argv() []string {
	i := slices.Index(v.Args, "--")
	if i < 0 {
		v.t.Fatalf("the run has no command: %q", v.Args)
	}
	return v.Args[i+1:]
}

// serving is a worker of the bus at url that serves runs of a command.
func serving(binary, url string, flags, argv []string) *exec.Cmd {
	return exec.Command(binary, slices.Concat([]string{"worker", "--nats", url, "--engine", "exec"}, flags, []string{"--"}, argv)...)
}

// leaveTime is how long a worker may take to leave, with its command.
const leaveTime = 10 * time.Second

// join starts a worker. leave tells it to go and waits for it; the end of the
// test does, too.
func join(t *testing.T, cmd *exec.Cmd) (leave func()) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "worker.log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	leave = sync.OnceFunc(func() {
		late := time.AfterFunc(leaveTime, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it was told to go
	})
	t.Cleanup(func() {
		leave()
		if t.Failed() {
			t.Logf("%s ends with:\n%s", log, drive.Tail(log, 40))
		}
	})
	return leave
}
