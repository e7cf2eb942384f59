package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// parsed are the flags of a command line.
func parsed(t *testing.T, args ...string) (*execFlags, *pflag.FlagSet) {
	t.Helper()
	f, fl := &execFlags{}, pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.bindCommand(fl)
	if err := fl.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f, fl
}

// What is kept of a command line makes the same flags again, without what is
// secret.
func TestFlagsThatAreKept(t *testing.T) {
	dir := t.TempDir()
	f, _ := parsed(t, "--exec-dir", dir, "--exec-footer", "{out_dir}/f.json", "--exec-progress-regex", `bar (?P<bars>\d+)`, "--exec-env", "PYTHONPATH", "--exec-env", "GX1_*",
		"--exec-env", "MODE={param.mode}", "--exec-env", "N=7", "--slot-env", "CUDA_VISIBLE_DEVICES=0,0,1,1", "--exec-digest", "b/*.py", "--exec-digest", "a.py", "--files", dir,
		"--exec-serve", "--exec-recycle", "5", "--exec-memory-max", "4G", "--exec-mem-per-task", "1G", "--grace", "3s", "--stall-timeout", "0", "--exec-progress", "none")
	kept, err := f.kept()
	if err != nil {
		t.Fatal(err)
	}
	unset := func(string) (string, bool) { return "", false }
	_, given := parsed(t)
	got, notes, err := execFlags{engine: "exec", ship: []string{"a=b"}}.restored(kept, given, unset)
	if err != nil || len(notes) > 0 {
		t.Fatalf("%v, %q", err, notes)
	}
	if got.dir != dir || got.footer != f.footer || got.progress != f.progress || got.detect != "none" || !slices.Equal(got.env, f.env) || !slices.Equal(got.slotEnv, f.slotEnv) ||
		!slices.Equal(got.digest, f.digest) || got.files != dir || !got.serve || got.recycle != 5 || got.memoryMax != f.memoryMax || got.memPerTask != f.memPerTask ||
		got.grace != 3*time.Second || got.stall != 0 || got.engine != "exec" || !slices.Equal(got.ship, []string{"a=b"}) {
		t.Errorf("%+v\nwant %+v", got, f)
	}

	// What is given here comes before, and lists are joined.
	_, given = parsed(t, "--grace", "1s", "--exec-serve=false", "--exec-env", "N=8", "--exec-env", "MORE", "--slot-env", "CUDA_VISIBLE_DEVICES=3", "--exec-progress", "tqdm")
	if got, _, err = (execFlags{}).restored(kept, given, unset); err != nil {
		t.Fatal(err)
	}
	if got.grace != time.Second || got.serve || got.detect != "tqdm" || got.footer != f.footer || !slices.Equal(got.slotEnv, []string{"CUDA_VISIBLE_DEVICES=3"}) ||
		!slices.Equal(got.env, []string{"PYTHONPATH", "GX1_*", "MODE={param.mode}", "N=8", "MORE"}) {
		t.Errorf("%+v", got)
	}
}

func TestSecretsAreNotKept(t *testing.T) {
	f, _ := parsed(t, "--exec-env", "DB_PASSWORD=S3CR3T", "--exec-env", "WORD=S3CR3T", "--slot-env", "API_KEYS=S3CR3T,S3CR3T2")
	kept, err := f.kept()
	if err != nil || strings.Contains(strings.Join(kept, " "), "S3CR3T") {
		t.Fatalf("%v, %q", err, kept)
	}
	_, none := parsed(t)
	_, words := parsed(t, "--exec-env", "WORD=again", "--slot-env", "API_KEYS=again")
	set := func(name string) (string, bool) { return "x", name == "DB_PASSWORD" }
	unset := func(string) (string, bool) { return "", false }
	if _, _, err := (execFlags{}).restored(kept, none, unset); err == nil || !strings.Contains(err.Error(), "--exec-env DB_PASSWORD") {
		t.Errorf("nothing is given: %v", err)
	}
	if _, _, err := (execFlags{}).restored(kept, none, func(string) (string, bool) { return "x", true }); err == nil || !strings.Contains(err.Error(), "--slot-env") {
		t.Errorf("variables are set, slots have none: %v", err)
	}
	got, notes, err := execFlags{}.restored(kept, words, set)
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "DB_PASSWORD") || !slices.Equal(got.env, []string{"DB_PASSWORD", "WORD=again"}) || !slices.Equal(got.slotEnv, []string{"API_KEYS=again"}) {
		t.Errorf("%v, %q, %q, %q", err, notes, got.env, got.slotEnv)
	}
}

// What comes from a file or a bus may be anything.
func TestKeptFlagsOfOthers(t *testing.T) {
	_, none := parsed(t)
	for text, want := range map[string]string{
		"--exec-grace=1s":           "not known here",
		"--engine=builtin":          "not known here",
		"--exec-dir=/no/such/place": "is not here",
	} {
		if _, notes, err := (execFlags{}).restored([]string{text}, none, os.LookupEnv); err != nil || len(notes) != 1 || !strings.Contains(notes[0], want) {
			t.Errorf("%s: %v, %q", text, err, notes)
		}
	}
	for _, text := range []string{"--grace=long", "--exec-recycle=x", "--exec-memory-max=many"} {
		if _, _, err := (execFlags{}).restored([]string{text}, none, os.LookupEnv); err == nil || !strings.Contains(err.Error(), text[:strings.Index(text, "=")]) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, notes, err := (execFlags{}).restored(nil, none, os.LookupEnv); err != nil || len(notes) > 0 || got.detect == "" || got.grace == 0 {
		t.Errorf("a run that kept none: %v, %q, %+v", err, notes, got)
	}
}

// A chunk is replayed again with the flags that its run had, from another
// directory too, and nothing has to be said twice.
func TestRerunHasTheRunsFlags(t *testing.T) {
	for _, keepBus := range []bool{false, true} {
		work := t.TempDir()
		script := "#!/bin/sh\n[ \"$MODE\" = 7 ] && [ \"$WORD\" = blue ] || { echo \"mode $MODE, word $WORD\" >&2; exit 3; }\nprintf 'pnl_bps\\n1\\n2\\n' > \"$1\"/trades.csv\n"
		if err := os.WriteFile(filepath.Join(work, "replay.sh"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		ownPlaces(t)
		t.Setenv("WORD", "blue")
		dir := t.TempDir()
		args := []string{"run", "--policy", replayPolicy(t, 30), "--data", "synthetic:400,seed=4", "--run-id", "r1", "--output-dir", dir, "--workers", "1", "--chunks", "2",
			"--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--engine", "exec", "--slice-format", "csv", "--exec-dir", work, "--exec-env", "MODE=7", "--exec-env", "WORD=blue",
			"--exec-footer", "none"}
		if keepBus {
			args = append(args, "--keep-bus")
		}
		got := coordinates(t, append(args, "--", "./replay.sh", "{out_dir}")...)
		if got.code != 0 {
			t.Fatalf("the run ended with exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
		perf, err := os.ReadFile(filepath.Join(dir, "perf_r1.json"))
		if err != nil || strings.Contains(string(perf), "blue") || !strings.Contains(string(perf), `"--exec-footer=none"`) {
			t.Errorf("the perf JSON, %v: %s", err, perf[:min(len(perf), 4000)])
		}
		for _, args := range [][]string{{"chunk", "r1", "1"}, {"chunk", "r1", "1", "--rerun"}} {
			got = coordinates(t, append(args, "--output-dir", dir)...)
			if got.code != 0 {
				t.Fatalf("%q: exit code %d\n%s%s", args, got.code, got.stdout, got.stderr)
			}
			holds(t, "it", got.stderr, "chunk 1: ok after", "trades 2 (the same in the run)", "note: --exec-env WORD: the run's value is not stored")
			if strings.Contains(got.stderr, "differs") {
				t.Errorf("%s", got.stderr)
			}
		}
		if err := os.Unsetenv("WORD"); err != nil {
			t.Fatal(err)
		}
		if got = coordinates(t, "chunk", "r1", "1", "--output-dir", dir); got.code != 1 || !strings.Contains(got.stderr, "--exec-env WORD") {
			t.Errorf("without the variable: exit code %d\n%s", got.code, got.stderr)
		}
		if got = coordinates(t, "chunk", "r1", "1", "--output-dir", dir, "--exec-env", "WORD=blue"); got.code != 0 {
			t.Errorf("with its value: exit code %d\n%s", got.code, got.stderr)
		}
	}
}
