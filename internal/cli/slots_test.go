package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Local workers differ by their slots: two processes on each of two GPUs.
func TestLocalWorkersHaveSlots(t *testing.T) {
	ownPlaces(t)
	dir, policy := t.TempDir(), replayPolicy(t, 30)
	list := []string{"run", "--policy", policy, "--data", "synthetic:400,seed=4", "--run-id", "r1", "--output-dir", dir, "--workers", "4", "--chunks", "4", "--keep-bus",
		"--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--engine", "exec", "--slice-format", "csv", "--max-failures", "1", "--slot-env", "CUDA_VISIBLE_DEVICES=0,0,1,1"}
	if got := coordinates(t, append(list, replayCommand(t, "slots")...)...); got.code != 0 {
		t.Fatalf("the run ended with exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	found, err := filepath.Glob(filepath.Join(dir, ".gx1", "r1", "work", "*", "slots", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	if slices.Sort(found); !slices.Equal(found, []string{"0 0", "1 0", "2 1", "3 1"}) {
		t.Errorf("slots and their GPUs are %q", found)
	}
	b, err := os.ReadFile(filepath.Join(dir, "r1", "run.log"))
	if err != nil || strings.Contains(string(b), slotVar) {
		t.Errorf("the run's log, %v, has a word about %s:\n%s", err, slotVar, b)
	}
}

func TestLocalSlot(t *testing.T) {
	for text, want := range map[string]int{"": 0, "0": 0, "7": 7, "9999": 9999, "10000": -1, "-1": -1, "x": -1, "1 ": -1} {
		if got, err := localSlot(text); err == nil && got != want || err != nil && want >= 0 {
			t.Errorf("%q: %d, %v (want %d)", text, got, err, want)
		}
	}
}
