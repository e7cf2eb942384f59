package worker

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// workDir makes a work directory of these files, each as old as it says.
func workDir(t *testing.T, now time.Time, files map[string]time.Duration) string {
	t.Helper()
	dir := t.TempDir()
	var made []string
	for name := range files {
		full := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.WriteFile(full, []byte("x"), 0o644))
		made = append(made, name)
	}
	for name, age := range files {
		must(t, os.Chtimes(filepath.Join(dir, name), now.Add(-age), now.Add(-age)))
	}
	// Directories are as old as the oldest file in them: what is newer in
	// them has to be seen by itself.
	slices.SortFunc(made, func(a, b string) int { return int(files[b] - files[a]) })
	aged := map[string]bool{}
	for _, name := range made {
		for up := filepath.Dir(name); up != "." && !aged[up]; up = filepath.Dir(up) {
			aged[up] = true
			must(t, os.Chtimes(filepath.Join(dir, up), now.Add(-files[name]), now.Add(-files[name])))
		}
	}
	return dir
}

// held lists the files of a directory.
func held(t *testing.T, dir string) []string {
	t.Helper()
	all := []string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, err := filepath.Rel(dir, path)
			must(t, err)
			all = append(all, rel)
		}
		return err
	}))
	slices.Sort(all)
	return all
}

func TestRemoveOld(t *testing.T) {
	const old, fresh = 8 * 24 * time.Hour, time.Hour
	now := time.Now()
	sha := strings.Repeat("5e", 32)
	stay := map[string]time.Duration{
		"r1/chunk_0/attempt_2/chunk_footer.json": fresh, "r1/chunk_0/attempt_2/task.json": old, // a long one, under way
		"files/" + sha + "/notes.txt": fresh, "data/" + sha + ".rfc3339.csv": fresh,
		"r3/chunk_0/notes.txt": old, "r3/chunk_x/attempt_1/f": old, "r3/chunk_1/attempt_1.bak/f": old, "notes.txt": old,
		"files/mine/f": old, "data/mine.csv": old,
	}
	all := map[string]time.Duration{
		"r1/chunk_0/attempt_1/chunk_footer.json": old, "r2/chunk_7/attempt_1/out/f": old, "r3/chunk_0/attempt_1/f": old,
		"files/" + strings.Repeat("a0", 32) + "/model.bin": old, "data/" + strings.Repeat("a0", 32) + ".rfc3339.csv": old,
		"data/" + sha + sha + ".naive.parquet": old,
	}
	gone := len(all)
	var want []string
	for name, age := range stay {
		all[name] = age
		want = append(want, name)
	}
	slices.Sort(want)
	dir := workDir(t, now, all)
	if n := removeOld(dir, now.Add(-7*24*time.Hour)); n != gone {
		t.Errorf("it removed %d (want %d)", n, gone)
	}
	if got := held(t, dir); !slices.Equal(got, want) {
		t.Errorf("left are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := os.Stat(filepath.Join(dir, "r2")); err == nil {
		t.Error("an empty run is left")
	}
	if n := removeOld(filepath.Join(dir, "nothing"), now); n != 0 {
		t.Errorf("of a directory that is not there: %d", n)
	}
}

// Of a run that is complete and exported no attempt stays; of one that is
// stopped all do, and of one that this worker is still in.
func TestRemoveExported(t *testing.T) {
	now := time.Now()
	dir := workDir(t, now, map[string]time.Duration{
		"done." + string(benchIncarnation) + "/chunk_0/attempt_1/f": 0, "done/chunk_0/attempt_1/f": 0, "done/chunk_0/attempt_2/f": 0, "done/chunk_1/attempt_1/out/f": 0,
		"stopped/chunk_0/attempt_1/f": 0, "busy/chunk_0/attempt_1/f": 0, "kept/notes.txt": 0, "unknown/chunk_0/attempt_1/f": 0,
	})
	w := New(Config{ID: "w", WorkDir: dir, Logger: slog.New(slog.DiscardHandler), KeepWork: time.Hour})
	var list []bus.StoredManifest
	for _, m := range []run.Manifest{
		{RunID: "done", Incarnation: benchIncarnation, State: run.StateExported}, {RunID: "stopped", State: run.StateStopped},
		{RunID: "busy", State: run.StateExported}, {RunID: "kept", State: run.StateExported},
	} {
		list = append(list, bus.StoredManifest{Manifest: m})
	}
	key := chunkKey{"busy", 0}
	w.take(key)
	w.removeExported(list, true)
	// What an earlier run of a name has left is not the exported run's.
	want := []string{"busy/chunk_0/attempt_1/f", "done/chunk_0/attempt_1/f", "done/chunk_0/attempt_2/f", "done/chunk_1/attempt_1/out/f", "kept/notes.txt", "stopped/chunk_0/attempt_1/f", "unknown/chunk_0/attempt_1/f"}
	if got := held(t, dir); !slices.Equal(got, want) {
		t.Errorf("left are %v (want %v)", got, want)
	}
	w.drop(key)
	w.removeExported(list, true)
	if got := held(t, dir); !slices.Equal(got, want[1:]) {
		t.Errorf("left are %v (want %v)", got, want[1:])
	}
}
