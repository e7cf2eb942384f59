package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gx1replay/test/testsize"
)

// A command that fails in the same way in its first two attempts ends the run: no
// further chunk is tried, and the file says why.
func TestACommandThatCannotBegin(t *testing.T) {
	testsize.All(t)
	for name, argv := range map[string][]string{
		"an error of its own": replayCommand(t, "fails"),
		"bad usage":           {"--", "sh", "-c", "echo 'usage: replay [-h]' >&2; exit 2"},
		"no result":           {"--", "true"},
		"not there":           {"--", "./no-such-command"},
	} {
		t.Run(name, func(t *testing.T) {
			ownPlaces(t)
			dir := t.TempDir()
			list := []string{"run", "--policy", replayPolicy(t, 30), "--data", "synthetic:4000,seed=4", "--run-id", "r1", "--output-dir", dir, "--workers", "2", "--chunks", "40",
				"--listen", "127.0.0.1:0", "--no-guardian", "--engine", "exec", "--slice-format", "csv"}
			got := coordinates(t, slices.Concat(list, argv)...)
			if got.code != exitChunks {
				t.Fatalf("exit code %d (want %d)\n%s%s", got.code, exitChunks, got.stdout, got.stderr)
			}
			b, err := os.ReadFile(filepath.Join(dir, "perf_r1.json"))
			if err != nil {
				t.Fatal(err)
			}
			var f struct {
				Outcome string `json:"outcome"`
				Error   string `json:"error"`
				Partial bool   `json:"export_partial"`
				Chunks  []struct {
					Attempt int `json:"attempt"`
				} `json:"chunks"`
			}
			if err := json.Unmarshal(b, &f); err != nil {
				t.Fatal(err)
			}
			attempts := 0
			for _, c := range f.Chunks {
				attempts += c.Attempt
			}
			if f.Outcome != "failed" || !strings.Contains(f.Error, "first two attempts") || f.Partial {
				t.Errorf("outcome %s, partial %v, error %q", f.Outcome, f.Partial, f.Error)
			}
			// Those that were under way when it was found out.
			if attempts > 8 {
				t.Errorf("%d attempts", attempts)
			}
			if !strings.Contains(got.stdout, "first two attempts") {
				t.Errorf("the summary does not say why:\n%s", got.stdout)
			}
		})
	}
}
