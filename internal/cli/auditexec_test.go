package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/trade"
	"gx1replay/test/testsize"
)

// A command's run is audited by the command: its rows are compared where the
// digest of what it leaves differs.
func TestAuditOfACommand(t *testing.T) {
	testsize.All(t)
	dir, policy := aRun(t, "mean", 0)
	path := filepath.Join(dir, "perf_r1.json")
	// The command counts 3 trades per chunk, however many it leaves.
	if got := coordinates(t, "verify", path); got.code != 1 || !strings.Contains(got.stdout, "trades_r1.csv: rows is 26 (expected 6: total_trades 6 less trades.without_rows 0)") {
		t.Errorf("verify: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	before := treeOf(t, dir)
	if r := audited(t, 0, "r1", "--output-dir", dir); r.Equal != 2 || r.Engine != "exec" {
		t.Errorf("%+v", r)
	}
	// Another way to compute: the counters that it reports are the same, and
	// some trades are not.
	other := replayCommand(t, "ema")
	got := coordinates(t, slices.Concat([]string{"audit", path}, other)...)
	if got.code != 1 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "audit", got.stdout, "2 differ", trade.OwnTradesName+": recorded entry_time=2", "every one of them was replayed")
	if strings.Contains(got.stdout, "trade_id=") || strings.Contains(got.stdout, "SHA-256") {
		t.Errorf("it compares what numbers rows, or digests alone:\n%s", got.stdout)
	}
	holds(t, "the notes", got.stderr, "note: differs from the run: it had")
	if after := treeOf(t, dir); !slices.Equal(before, after) {
		t.Errorf("the run has changed: %q, then %q", before, after)
	}
	// Without the rows digests are left.
	if err := os.Remove(filepath.Join(dir, "r1", "trades_r1.csv")); err != nil {
		t.Fatal(err)
	}
	got = coordinates(t, slices.Concat([]string{"audit", path}, other)...)
	holds(t, "audit", got.stdout, "2 differ", "SHA-256")
	holds(t, "the notes", got.stderr, "note: "+trade.OwnTradesName+" was compared by its digest alone: it is no longer stored")

	got = coordinates(t, slices.Concat([]string{"audit", path}, replayCommand(t, "fails"))...)
	if got.code != 2 || !strings.Contains(got.stdout, "could not be replayed: the command ended with exit code 1") {
		t.Errorf("a command that fails: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	// The policy file travels to a command as it is, so its values are not
	// enough.
	alone := filepath.Join(t.TempDir(), "perf_r1.json")
	copyFile(t, path, alone)
	if got := coordinates(t, "audit", alone); got.code != 2 || !strings.Contains(got.stderr, "--policy P") {
		t.Errorf("without the policy: exit code %d\n%s", got.code, got.stderr)
	}
	if r := audited(t, 0, alone, "--policy", policy); r.Equal != 2 {
		t.Errorf("%+v", r)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "gx1-audit-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// Signals that were made of a command's scores are compared like those of the
// built-in engine.
func TestAuditOfScores(t *testing.T) {
	testsize.All(t)
	dir, _ := aRun(t, "mean-scores", 0, "--exec-emits", "scores")
	path := filepath.Join(dir, "perf_r1.json")
	if r := audited(t, 0, path); r.Equal != 2 {
		t.Errorf("%+v", r)
	}
	got := coordinates(t, slices.Concat([]string{"audit", path}, replayCommand(t, "ema-scores"))...)
	if got.code != 1 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "audit", got.stdout, trade.ArtifactName+": recorded ")
}
