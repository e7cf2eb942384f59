// Package release builds one release archive by scripts/release.sh and looks at
// what is in it. It is tests only.
package release

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// patience is far above what two builds take.
const patience = 10 * time.Minute

// TestRelease builds the archive of this machine twice. Both have the same bytes,
// and its programs print the version that was asked for.
func TestRelease(t *testing.T) {
	testsize.All(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const version = "v1.2.3-test"
	name := fmt.Sprintf("gx1-replay_%s_%s_%s", version, runtime.GOOS, runtime.GOARCH)
	var sums []string
	var dir string
	for range 2 {
		dir = t.TempDir()
		cmd := exec.CommandContext(ctx, "bash", "../../scripts/release.sh", "--version", version, "--output", dir, runtime.GOOS+"/"+runtime.GOARCH)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("release.sh: %v\n%s", err, out)
		}
		sum, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(sum))
	}
	archive, err := os.ReadFile(filepath.Join(dir, name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x  %s.tar.gz\n", sha256.Sum256(archive), name); sums[1] != want {
		t.Errorf("SHA256SUMS is %q (want %q)", sums[1], want)
	}
	if sums[0] != sums[1] {
		t.Errorf("two builds of one commit differ: %q and %q", sums[0], sums[1])
	}

	files := unpack(t, filepath.Join(dir, name+".tar.gz"), t.TempDir())
	for _, want := range []string{"LICENSE", "THIRD_PARTY.md", "README.md", "man/man1/coordinator-run.1", "man/man1/chunkworker.1", "completions/coordinator.bash", "completions/_chunkworker", "completions/coordinator.fish"} {
		if _, ok := files[name+"/"+want]; !ok {
			t.Errorf("the archive lacks %s", want)
		}
	}
	for _, program := range []string{"coordinator", "chunkworker"} {
		cmd := exec.CommandContext(ctx, files[name+"/"+program], "--version")
		cmd.Env = []string{} // a variable of the tests is none of the program's
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "gx1-replay "+version+" (commit ") || strings.Contains(string(out), "commit unknown") {
			t.Errorf("%s --version printed %q, %v", program, out, err)
		}
	}
	page, err := os.ReadFile(files[name+"/man/man1/coordinator-run.1"])
	if err != nil || !strings.Contains(string(page), "drain-timeout") {
		t.Errorf("the man page of run does not describe its flags: %v", err)
	}
}

// unpack returns the paths of the archive's files on disk, by their names in it.
func unpack(t *testing.T, archive, dir string) map[string]string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch {
		case !filepath.IsLocal(filepath.FromSlash(h.Name)):
			t.Fatalf("%s is a path outside of the archive", h.Name)
		case h.Typeflag == tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		default:
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, os.FileMode(h.Mode))
			}
			files[h.Name] = path
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
