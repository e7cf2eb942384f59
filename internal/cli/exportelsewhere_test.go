package cli

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/access"
	"gx1replay/test/keybus"
	"gx1replay/test/testsize"
)

// wantEmpty holds that nothing was written into a directory.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was written into %s", e.Name(), dir)
	}
}

// A run that is complete has its footers cleaned from the bus. In another
// directory, export names its file and writes nothing; bundle takes the file in
// or names it.
func TestExportElsewhere(t *testing.T) {
	testsize.All(t)
	ownPlaces(t)
	r := newKeyRun(t, keybus.Config{}, "done1")
	look := filepath.Join(t.TempDir(), "running.tar.gz")
	bundle := func(role access.Role, dir, path string) []string {
		return append([]string{"bundle", "done1", "--output-dir", dir, "--output", path}, r.as(role)...)
	}
	if code, _, stderr := program(t, t.Context(), false, bundle(access.Observer, t.TempDir(), look)...); code != 0 || strings.Contains(stderr, "warning") {
		t.Errorf("an observer's bundle of a run that is under way: %d %s", code, stderr)
	} else if files := unpack(t, look); !strings.Contains(files["manifest.json"], `"running"`) || files["footers.json"] == "" {
		t.Errorf("it lacks the manifest or the footers:\n%s", files["README.txt"])
	}
	r.work(t)
	if said := <-r.ran; !strings.HasPrefix(said, "0 ") {
		t.Fatalf("the run: %s", said)
	}
	file := filepath.Join(r.out, "perf_done1.json")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	where := []string{file, host, fmt.Sprintf("%x", sha256.Sum256(content))}

	empty := t.TempDir()
	export := func(role access.Role, more ...string) []string {
		return append(append([]string{"export", "done1", "--output-dir", empty}, more...), r.as(role)...)
	}
	for _, role := range []access.Role{access.Observer, access.Operator, access.Worker} {
		refused(t, false, "lacks the role coordinator", export(role)...)
	}
	refused(t, false, "lacks the role observer", bundle(access.Worker, empty, filepath.Join(t.TempDir(), "b.tar.gz"))...)
	for _, w := range where {
		refused(t, false, w, export(access.Coordinator)...)
		refused(t, false, w, export(access.Coordinator, "--output", filepath.Join(empty, "o.json"))...)
	}
	wantEmpty(t, empty)

	// The file is on this host, in another directory.
	here := filepath.Join(t.TempDir(), "here.tar.gz")
	if code, _, stderr := program(t, t.Context(), false, bundle(access.Observer, empty, here)...); code != 0 {
		t.Fatalf("the bundle: %d %s", code, stderr)
	}
	files := unpack(t, here)
	if !strings.Contains(files["perf.json"], `"complete"`) || !strings.Contains(files["footers.json"], `"ok"`) || strings.Contains(files["footers.json"], `"missing"`) {
		t.Errorf("the bundle lacks the file or its footers:\n%s\n%.300s", files["README.txt"], files["footers.json"])
	}
	// In its own directory, export says what it is, as before.
	own := append([]string{"export", "done1", "--output-dir", r.out}, r.as(access.Coordinator)...)
	if code, stdout, stderr := program(t, t.Context(), false, own...); code != 0 || !strings.Contains(stdout, "complete, 12000 of 12000 bars") {
		t.Errorf("export where the file is: %d %s%s", code, stdout, stderr)
	}
	// It is on another host.
	if err := os.Rename(file, filepath.Join(t.TempDir(), "away.json")); err != nil {
		t.Fatal(err)
	}
	away := filepath.Join(t.TempDir(), "away.tar.gz")
	if code, _, stderr := program(t, t.Context(), false, bundle(access.Observer, empty, away)...); code != 0 {
		t.Fatalf("the bundle: %d %s", code, stderr)
	}
	files = unpack(t, away)
	holds(t, "README.txt", files["README.txt"], where...)
	if files["footers.json"] != "" || files["perf.json"] != "" {
		t.Errorf("a bundle of cleaned footers has %q and %q", files["footers.json"], files["perf.json"])
	}
	wantEmpty(t, empty)
}
