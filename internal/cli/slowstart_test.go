package cli

import (
	"slices"
	"strings"
	"testing"

	"gx1replay/test/testsize"
)

// A command that takes longer to start than it may is told what helps; one that
// serves many chunks, or has one for each worker, is not.
func TestSlowStart(t *testing.T) {
	testsize.All(t)
	const script = `sleep 0.7; for n in 1 40 80 100; do echo "$n/100"; sleep 0.1; done; : > "$1"/trades.csv`
	const serving = `sleep 0.7; while read line; do echo "GX1 {\"bars_processed\": 100}"; echo "GX1 {\"chunk_id\": $(echo "$line" | sed 's/.*chunk_\([0-9]*\).*/\1/'), \"final\": true, \"status\": \"ok\"}"; done`
	for name, c := range map[string]struct {
		chunks string
		argv   []string
		note   bool
	}{
		"a process for each chunk": {"3", []string{"--", "sh", "-c", script, "sh", "{out_dir}"}, true},
		"a chunk for each worker":  {"1", []string{"--", "sh", "-c", script, "sh", "{out_dir}"}, false},
		"quick":                    {"3", []string{"--", "sh", "-c", strings.Replace(script, "sleep 0.7; ", "", 1), "sh", "{out_dir}"}, false},
		"serving":                  {"3", []string{"--exec-serve", "--", "sh", "-c", serving}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ownPlaces(t)
			bars := map[string]string{"1": "100", "3": "300"}[c.chunks]
			list := []string{"run", "--policy", replayPolicy(t, 30), "--data", "synthetic:" + bars + ",seed=4", "--run-id", "r1", "--output-dir", t.TempDir(), "--workers", "1", "--chunks", c.chunks,
				"--listen", "127.0.0.1:0", "--no-guardian", "--engine", "exec", "--slice-format", "csv"}
			got := coordinates(t, slices.Concat(list, c.argv)...)
			if got.code != 0 {
				t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
			}
			if has := strings.Contains(got.stderr, "of its time starting"); has != c.note || has && !strings.Contains(got.stderr, "--exec-serve") {
				t.Errorf("the note is there: %v (want %v)\n%s", has, c.note, got.stderr)
			}
		})
	}
}
