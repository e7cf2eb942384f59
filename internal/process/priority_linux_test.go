package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestYieldToCoordinator runs in a process of its own, which stays as it was
// made: every thread is niced, those made later too.
func TestYieldToCoordinator(t *testing.T) {
	if os.Getenv("GX1R_TEST_YIELD") == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestYieldToCoordinator$", "-test.v")
		cmd.Env = append(os.Environ(), "GX1R_TEST_YIELD=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "niced") {
			t.Errorf("error %v\n%s", err, out)
		}
		return
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := YieldToCoordinator(); err != nil {
		t.Fatal(err)
	}
	block := make(chan struct{})
	for range 8 { // more threads
		go func() {
			r, w, err := os.Pipe()
			if err == nil {
				defer r.Close()
				defer w.Close()
			}
			<-block
		}()
	}
	defer close(block)
	stats, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("threads: %v, error %v", stats, err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		// The nice value is field 19; the name before field 3 may hold spaces.
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if want := fmt.Sprint(min(20-raw+workerNice, 19)); fields[16] != want {
			t.Errorf("%s: nice %s (want %s)", path, fields[16], want)
		}
	}
	fmt.Println("niced", len(stats))
}
