//go:build linux

package crash_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// command runs a verb that must end with this code, and returns all that it
// said.
func (v *victim) command(code int, args ...string) string {
	v.t.Helper()
	said, err := v.Command(v.ctx, args...)
	v.must(err)
	all := said.Stdout + said.Stderr
	if said.Code != code {
		v.t.Errorf("coordinator %s: code %d (expected %d): %s", strings.Join(args, " "), said.Code, code, all)
	}
	return all
}

// While the run goes on, `export` writes what the bus holds to another file,
// and not to the coordinator's own.
func TestExportOfALiveRun(t *testing.T) {
	v := start(t, holding(planBars/4+100))
	v.done(planBars / 4)
	other := filepath.Join(v.Dir, "other.json")
	said := v.command(1, "export", v.RunID, "--output-dir", v.Out)
	if !strings.Contains(said, "--output") {
		t.Errorf("it does not say what to do: %s", said)
	}
	said = v.command(1, "export", v.RunID, "--output-dir", v.Out, "--output", v.Perf())
	if !strings.Contains(said, "--output") {
		t.Errorf("it does not say what to do: %s", said)
	}
	if _, err := os.Stat(v.Perf()); err == nil {
		t.Error("the live run's file was written")
	}
	v.command(0, "export", v.RunID, "--output-dir", v.Out, "--output", other)
	v.judge(other, func(o *check.Options) { o.Mode, o.Early = []string{"recovered"}, true })
	v.keep(other, "live.json")
	if v.over() {
		t.Fatal("the run did not go on")
	}
	v.open()
	v.completes()
}

// Both are dead: `export` makes the file from the bus that they left.
func TestExportFromTheBus(t *testing.T) {
	testsize.All(t)
	v := start(t, holding(twoChunks).with("--no-guardian"))
	v.backedUp(1)
	if n := len(v.Guardians()); n != 0 {
		t.Errorf("%d guardians with --no-guardian", n)
	}
	v.must(v.Kill())
	v.dead()
	v.command(0, "export", v.RunID, "--output-dir", v.Out)
	v.file(recovered)
	v.command(0, "verify", v.Perf())
	v.open()
	v.again(nil)
	v.completes()
}

// The bus is gone, too: footers on workers' disks and the backup.
func TestExportFromFooters(t *testing.T) {
	testsize.All(t)
	v := start(t, holding(twoChunks).with("--no-guardian"))
	v.backedUp(1)
	v.must(v.Kill())
	v.dead()
	v.must(os.RemoveAll(filepath.Join(v.State(), "bus")))
	work := filepath.Join(v.State(), "work")
	// Twice: it must come to the same.
	for range 2 {
		v.command(0, "export", v.RunID, "--output-dir", v.Out, "--footers", work)
		v.file(recovered)
	}
	// The backup is gone as well: what the footers say of the plan.
	v.must(os.Remove(v.backup()))
	v.must(os.Remove(v.Perf()))
	v.o.Earlier = nil
	other := filepath.Join(v.Dir, "footers.json")
	v.command(0, "export", v.RunID, "--output-dir", v.Out, "--footers", work, "--output", other)
	b, err := os.ReadFile(other)
	v.must(err)
	if !bytes.Contains(b, []byte(`"recovered"`)) {
		t.Errorf("export_mode: %s", b)
	}
	v.command(0, "verify", other)
	// Each footer says how many chunks and bars the plan has.
	var found struct {
		ChunksTotal int `json:"chunks_total"`
		Data        struct {
			Bars int `json:"bars"`
		} `json:"data"`
		Coverage struct {
			Planned int `json:"planned_bars"`
		} `json:"coverage"`
	}
	v.must(json.Unmarshal(b, &found))
	if found.ChunksTotal != planChunks || found.Data.Bars != v.Config.Bars || found.Coverage.Planned != v.Config.Bars {
		t.Errorf("%+v of footers alone (expected %d chunks, %d bars)", found, planChunks, v.Config.Bars)
	}
}

// verify names the first thing that does not fit.
func TestVerify(t *testing.T) {
	v := start(t, setup{})
	v.completes()
	v.command(0, "verify", v.Perf())
	good, err := os.ReadFile(v.Perf())
	v.must(err)
	bad := filepath.Join(v.Dir, "bad.json")
	for _, c := range []struct{ old, new, want string }{
		{`"total_bars":2400`, `"total_bars":2401`, "total_bars"},
		{`"chunks_completed":12`, `"chunks_completed":11`, "chunks_completed"},
		{`"chunk_idx":5`, `"chunk_idx":6`, "chunk"},
		{`"schema_version":"perf_v1"`, `"schema_version":"perf_v2"`, "schema_version"},
	} {
		text := string(good)
		for _, s := range []string{c.old, strings.Replace(c.old, ":", ": ", 1)} {
			if strings.Contains(text, s) {
				text = strings.Replace(text, s, c.new, 1)
				break
			}
		}
		if text == string(good) {
			t.Fatalf("the file has no %s", c.old)
		}
		v.must(os.WriteFile(bad, []byte(text), 0o644))
		if said := v.command(1, "verify", bad); !strings.Contains(said, c.want) {
			t.Errorf("%s: it does not name it: %s", c.new, said)
		}
	}
	v.must(os.WriteFile(bad, good[:len(good)/2], 0o644))
	v.command(1, "verify", bad)
}
