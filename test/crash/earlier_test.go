//go:build linux

package crash_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gx1replay/test/testsize"
)

// earlierTrades is the SHA-256 of the trades that the version which made the
// fixture found in the whole run.
const earlierTrades = "938d9faa32561c090e4c149a3863e3bf42dfc63e2c1c85f4d975de6aebeae056"

// unpack unpacks what a version without incarnations left of two runs: one was
// stopped by its time-box, one killed with its guardian's place empty.
func unpack(t *testing.T) (dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir = t.TempDir()
	f, err := os.Open(filepath.Join("testdata", "before_incarnations.tar.gz"))
	must(err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		must(err)
		if !filepath.IsLocal(h.Name) {
			t.Fatalf("the fixture has a file %q", h.Name)
		}
		path := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			must(os.MkdirAll(path, h.FileInfo().Mode().Perm()))
			continue
		}
		content, err := io.ReadAll(r)
		must(err)
		must(os.MkdirAll(filepath.Dir(path), 0o700))
		must(os.WriteFile(path, content, h.FileInfo().Mode().Perm()))
	}
}

// Runs of the version before incarnations export, resume by the rules of their
// engine's version, and are cleaned. A program without that version refuses them.
func TestRunsOfTheVersionBeforeIncarnations(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	for _, id := range []string{"stopped", "killed"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			dir, runtime := unpack(t), t.TempDir()
			try := func(args []string, variables ...string) (string, error) {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				cmd := exec.CommandContext(ctx, built.binary, args...)
				cmd.Dir, cmd.Env = dir, slices.Concat(os.Environ(), []string{"XDG_RUNTIME_DIR=" + runtime}, variables)
				said, err := cmd.CombinedOutput()
				return string(said), err
			}
			command := func(args ...string) string {
				t.Helper()
				said, err := try(args)
				if err != nil {
					t.Fatalf("coordinator %s: %v\n%s", strings.Join(args, " "), err, said)
				}
				return said
			}
			perf := func(path string) (p struct {
				Outcome     string
				Incarnation string
				TotalBars   int64 `json:"total_bars"`
			}) {
				t.Helper()
				b, err := os.ReadFile(filepath.Join(dir, path))
				if err == nil {
					err = json.Unmarshal(b, &p)
				}
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			command("export", id, "--output-dir", "out", "--output", "so_far.json")
			if p := perf("so_far.json"); p.Outcome != "stopped" || p.TotalBars < 1000 || p.TotalBars >= 5000 || p.Incarnation != "" {
				t.Errorf("exported: %+v (want a stopped run with bars and without an incarnation)", p)
			}
			resume := []string{"run", "--policy", "policy.yaml", "--data", "synthetic:5000", "--chunks", "6", "--workers", "2",
				"--run-id", id, "--output-dir", "out", "--listen", "127.0.0.1:0", "--explain"}
			if said, err := try(resume, "GX1TEST_ENGINE_VERSION=3"); err == nil || !strings.Contains(said, "engine version (resume it with the release that began it)") {
				t.Errorf("resumed without its engine's version: %v\n%s", err, said)
			}
			said := command(resume...)
			if !strings.Contains(said, "kept") {
				t.Errorf("no chunk was kept:\n%s", said)
			}
			if p := perf("out/perf_" + id + ".json"); p.Outcome != "complete" || p.TotalBars != 5000 || p.Incarnation != "" {
				t.Errorf("resumed: %+v (want complete, 5000 bars, no incarnation)", p)
			}
			trades, err := os.ReadFile(filepath.Join(dir, "out", id, "trades_"+id+".csv"))
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(trades); hex.EncodeToString(sum[:]) != earlierTrades {
				t.Errorf("the trades have SHA-256 %x (want those of the version before)", sum)
			}
			if _, err := os.Stat(filepath.Join(dir, "out", ".gx1", id, "bus")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the bus of the complete run: %v (want it cleaned)", err)
			}
			command("verify", "out/perf_"+id+".json")
		})
	}
}
