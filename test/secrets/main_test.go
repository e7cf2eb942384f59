//go:build linux

package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/test/drive"
)

// built is the directory of both programs.
var built string

func TestMain(m *testing.M) {
	drive.Main(m, 0, func(ctx context.Context, dir string) error {
		built = dir
		return drive.BuildProduct(ctx, dir)
	})
}

// deadline is generous: it is there so that a hang is a failure.
const deadline = 3 * time.Minute

// marker is in every secret, and nowhere else.
const marker = "S3CR3T-marker"

// place is a directory in which programs run, and all that they printed.
type place struct {
	t    *testing.T
	dir  string
	env  []string
	said bytes.Buffer
}

// newPlace makes a place: home, runtime, temporary files and output are below it.
func newPlace(t *testing.T, env ...string) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	for _, name := range []string{"home", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(p.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir + "/home", "XDG_RUNTIME_DIR=" + p.dir + "/run", "TMPDIR=" + p.dir + "/tmp",
	}, env...)
	return p
}

// command is a program of ours, without a umask: what it wants to hide it has to
// hide itself.
func (p *place) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `umask 0; exec "$@"`, "sh", filepath.Join(built, name)}, args...)...)
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// coordinator runs the program to its end and returns what it printed. codes are
// the exit codes that are right.
func (p *place) coordinator(codes []int, args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), deadline)
	defer cancel()
	out, err := p.command(ctx, "coordinator", args...).CombinedOutput()
	p.said.Write(out)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		p.t.Fatalf("coordinator %q: %v", args, err)
	}
	if !slices.Contains(codes, code) {
		p.t.Errorf("coordinator %q: exit code %d (want %v)\n%s", args, code, codes, out)
	}
	return string(out)
}

// write writes a file of the user.
func (p *place) write(name, text string, mode fs.FileMode) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// leaks are the files below the place that hold the marker and that others may
// read, or that allowed does not name. A file below a directory that is closed to
// others is one that they cannot read.
func (p *place) leaks(allowed ...string) []string {
	p.t.Helper()
	var list []string
	closed := map[string]bool{p.dir: false}
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went meanwhile
			}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if path == p.dir {
			return nil
		}
		private := closed[filepath.Dir(path)] || info.Mode().Perm()&0o077 == 0
		if d.IsDir() {
			closed[path] = private
			return nil
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(marker)) {
			return nil
		}
		rel, err := filepath.Rel(p.dir, path)
		if err != nil {
			return err
		}
		named := false
		for _, pattern := range allowed {
			at := rel
			if prefix, tree := strings.CutSuffix(pattern, "/..."); tree {
				pattern = prefix
				parts := strings.Split(rel, "/")
				at = strings.Join(parts[:min(len(parts), 1+strings.Count(prefix, "/"))], "/")
			}
			ok, err := filepath.Match(pattern, at)
			if err != nil {
				return err
			}
			named = named || ok
		}
		if !named || !private {
			list = append(list, fmt.Sprintf("%s (%v, named: %v, private: %v)", rel, info.Mode(), named, private))
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// quiet fails if anything that was printed holds the marker.
func (p *place) quiet() {
	p.t.Helper()
	for line := range strings.SplitSeq(p.said.String(), "\n") {
		if strings.Contains(line, marker) {
			p.t.Errorf("printed: %s", line)
		}
	}
}
