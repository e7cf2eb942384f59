package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/execengine"
	"gx1replay/test/testsize"
)

// A file that is too large to go with a run is refused before there is one, unless
// workers find it where they look.
func TestExecFileThatIsTooLarge(t *testing.T) {
	testsize.All(t)
	ownPlaces(t)
	large, small := filepath.Join(t.TempDir(), "weights.bin"), filepath.Join(t.TempDir(), "weights.bin")
	for path, size := range map[string]int64{large: execengine.MaxShipped + 1, small: execengine.MaxShipped - 1} {
		f, err := os.Create(path)
		if err == nil {
			err = f.Truncate(size)
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, policy := t.TempDir(), replayPolicy(t, 30)
	start := func(args ...string) said {
		list := []string{"run", "--policy", policy, "--data", "synthetic:200", "--run-id", "r1", "--output-dir", dir, "--workers", "1", "--chunks", "1",
			"--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--engine", "exec", "--slice-format", "csv"}
		return coordinates(t, slices.Concat(list, args, replayCommand(t, "window"))...)
	}
	got := start("--exec-file", "model="+large)
	if got.code != 1 {
		t.Errorf("exit code %d (want 1)\n%s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "it", got.stderr, "--exec-file model: "+large, fmt.Sprint(execengine.MaxShipped+1), fmt.Sprint(execengine.MaxShipped), "--files DIR")
	got = start("--exec-file", "model="+large, "--files", filepath.Dir(small))
	if got.code != 1 || !strings.Contains(got.stderr, "has neither weights.bin nor") {
		t.Errorf("another of its name is there: exit code %d, %s", got.code, got.stderr)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the runs that were refused have left %v, %v", left, err)
	}
	if got := start("--exec-file", "model="+large, "--files", filepath.Dir(large)); got.code != 0 {
		t.Errorf("where workers look: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if got := start("--exec-file", "model="+filepath.Join(dir, "none")); got.code != 1 || !strings.Contains(got.stderr, "--exec-file model: ") {
		t.Errorf("a file that is not there: exit code %d, %s", got.code, got.stderr)
	}
}
