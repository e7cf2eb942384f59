package docs

import (
	"regexp"
	"strings"
	"testing"
)

// sample is the one block of the documents with this info.
func sample(t *testing.T, info string) []string {
	t.Helper()
	var found []string
	for _, d := range documents(t) {
		for _, b := range d.blocks() {
			if b.info == info {
				found = append(found, b.text)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("the documents have %d blocks `%s` (want one)", len(found), info)
	}
	return strings.Split(strings.TrimRight(found[0], "\n"), "\n")
}

// explained are the lines of --explain that a run without failures can have.
var explained = regexp.MustCompile(`^(?:resuming run \S+: \d+ of \d+ chunks to replay` +
	`|  chunk \d+  kept    ok: \d+ of \d+ bars, by attempt \d+ of \S+` +
	`|  chunk \d+  replay  (?:not started|stopped at \d+ of \d+ bars))$`)

// TestExplainSample: the documented output of --explain looks like that of a run
// that is resumed after a stop.
func TestExplainSample(t *testing.T) {
	s := newShell(t)
	const run = "coordinator run --policy examples/policies/minimal.yaml --data synthetic:600 --chunks 6 --run-id twice"
	// Without workers nothing is replayed before the time-box ends the run.
	s.run(t, run+" --workers 0 --timeout 0.5")
	out := s.run(t, run+" --workers 1 --explain 2>&1")
	_, said, ok := strings.Cut(out, "resuming run")
	if !ok {
		t.Fatalf("the run did not print that it resumes:\n%s", out)
	}
	said = "resuming run" + said
	got := strings.Split(said, "\n")[:7]
	for _, lines := range [][]string{got, sample(t, "text explain")} {
		for _, line := range lines {
			if !explained.MatchString(line) {
				t.Errorf("%q is no line of --explain as this test knows it", line)
			}
		}
	}
}

// TestStatusSample: the documented list of runs has the columns and the states
// of a real one.
func TestStatusSample(t *testing.T) {
	s := newShell(t)
	out := s.run(t, `
coordinator run --policy examples/policies/minimal.yaml --data synthetic:600 --workers 0 --chunks 2 --quiet --run-id dead > /dev/null &
dead=$!
until coordinator status dead > /dev/null 2>&1; do sleep 0.05; done
kill -9 $dead
wait $dead || true
until [ -e reports/replay_eval/GATED/perf_dead.json ]; do sleep 0.05; done
coordinator run --policy examples/policies/minimal.yaml --data synthetic:600 --workers 0 --chunks 2 --quiet --run-id alive > /dev/null &
until coordinator status alive > /dev/null 2>&1; do sleep 0.05; done
coordinator status
coordinator stop alive > /dev/null
wait`)
	gap := regexp.MustCompile(` {2,}`)
	below := regexp.MustCompile(`^[a-z]+: pid [0-9]+, nats://[0-9.:]+(, [0-9]+ (?:B|kB|MB) left)?$`)
	shape := func(lines []string) map[string]bool {
		kinds := map[string]bool{}
		for i, line := range lines {
			cells := gap.Split(strings.TrimSpace(line), -1)
			if i == 0 {
				kinds[strings.Join(cells, "|")] = true
				continue
			}
			if m := below.FindStringSubmatch(line); m != nil || strings.HasPrefix(line, "  ") {
				kinds["below the table"] = true
				if m != nil && m[1] != "" {
					kinds["what is left"] = true
				}
				continue
			}
			if len(cells) != 5 {
				t.Fatalf("%q has %d cells (want 5)", line, len(cells))
			}
			for k, form := range map[int]string{3: `[0-9]+ of [0-9]+`, 4: `[0-9,]+ of [0-9,]+`} {
				if !regexp.MustCompile(`^(?:-|` + form + `)$`).MatchString(cells[k]) {
					t.Errorf("%q: cell %d is %q (want - or %s)", line, k+1, cells[k], form)
				}
			}
			kinds[cells[1]] = true
		}
		return kinds
	}
	got, shown := shape(strings.Split(strings.TrimSpace(out), "\n")), shape(sample(t, "text status"))
	for kind := range shown {
		if !got[kind] {
			t.Errorf("the document shows %q, a real list has %v", kind, got)
		}
	}
	for kind := range got {
		if !shown[kind] {
			t.Errorf("a real list has %q, the document does not show it", kind)
		}
	}
}
