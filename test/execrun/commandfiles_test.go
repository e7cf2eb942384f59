//go:build linux

package execrun

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gx1replay/test/testsize"
)

// secret is in files that are none of the run's.
const secret = "SECRET-7f3a"

// secrets makes a directory of such files.
func secrets(t *testing.T) (dir string, unchanged func()) {
	t.Helper()
	dir = t.TempDir()
	files := map[string]string{
		"secret.json": `{"status": "ok", "bars_processed": 100, "error": "` + secret + `", "note": "` + secret + `"}` + "\n",
		"trades.csv":  "id,note\n1," + secret + "\n",
		"stderr.log":  secret + "\n",
		"task.json":   `{"x": "` + secret + `"}` + "\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func() {
		t.Helper()
		names, err := fs.Glob(os.DirFS(dir), "*")
		if err != nil || len(names) != len(files) {
			t.Errorf("the directory that the command has linked to holds %v, %v (want the %d files that were in it)", names, err, len(files))
		}
		for name, text := range files {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
				t.Errorf("%s, which the command has linked to, holds %q, %v", name, b, err)
			}
		}
	}
}

// holding lists the files below dir in which the secret is. It follows no link,
// and looks into archives.
func holding(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".gz") {
			zip, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				return err
			}
			if b, err = io.ReadAll(zip); err != nil {
				return err
			}
		}
		if bytes.Contains(b, []byte(secret)) {
			list = append(list, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A command that puts a pipe or a link where one of its files belongs holds up
// nobody, brings no other file into the report, and has none overwritten. What
// it printed is kept.
func TestWhatACommandLeavesInPlaceOfAFile(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	script, err := filepath.Abs("testdata/leaves.py")
	if err != nil {
		t.Fatal(err)
	}
	for what, code := range map[string]int{
		"pipe stderr.log": 0, "link stderr.log": 0, "link stdout.log": 0,
		"pipe footer": 0, "link footer": 3,
		"pipe progress": 0, "link progress": 0,
		"link out": 3, "link trades": 3, "pipe trades": 3,
		"link task.json": 0, "pipe chunk_footer.json.tmp": 0, "link chunk_footer.json.tmp": 0, "link stderr.log.tmp": 0,
		"link attempt": 0,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := small(t).with("--max-failures", "1")
			p.Workers, p.Chunks = 1, 1
			dir, unchanged := secrets(t)
			v := command(t, p, built.python, script, what, dir)
			v.ends(code)
			for _, path := range holding(t, v.Out) {
				t.Errorf("%s holds what the command has linked to", path)
			}
			unchanged()
			if strings.HasSuffix(what, "attempt") {
				return
			}
			logs, err := filepath.Glob(filepath.Join(v.Out, v.RunID, "chunk_0", "attempt_1", "stderr.log"))
			v.must(err)
			if len(logs) != 1 {
				t.Fatalf("there are %d logs (want 1)", len(logs))
			}
			if b, err := os.ReadFile(logs[0]); err != nil || !strings.Contains(string(b), "this is what it printed") {
				t.Errorf("%s holds %q, %v", logs[0], b, err)
			}
		})
	}
}

// Nor does a pipe or a link in place of the run's own log hold up a resume, or
// have a file written.
func TestARunLogThatIsNone(t *testing.T) {
	t.Parallel()
	dir, unchanged := secrets(t)
	for what, make := range map[string]func(path string) error{
		"a named pipe":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a symbolic link": func(path string) error { return os.Symlink(filepath.Join(dir, "stderr.log"), path) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := small(t)
			in := filepath.Join(p.Dir, "out", strings.NewReplacer(" ", "_").Replace(p.RunID))
			p.RunID = filepath.Base(in)
			if err := errors.Join(os.MkdirAll(in, 0o700), make(filepath.Join(in, "run.log"))); err != nil {
				t.Fatal(err)
			}
			v := command(t, p, "true")
			v.ends(1)
			if !all(v.said(), []string{"run.log", what}) {
				t.Errorf("it said %q", v.said())
			}
			unchanged()
		})
	}
}

// Nor does a pipe or a link where the stop file belongs hold up a stop, or have
// a file overwritten.
func TestAStopFileThatTheCommandHasMade(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("testdata/leaves.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"pipe stop", "link stop"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := small(t).with("--grace", "500ms")
			p.Workers, p.Chunks = 1, 1
			dir, unchanged := secrets(t)
			v := command(t, p, built.python, script, what, dir)
			v.must(v.Until(v.ctx, "the command has made the file", func() bool {
				_, err := os.Stat(filepath.Join(v.BarLog(), "ready"))
				return err == nil
			}))
			v.must(v.Signal(syscall.SIGTERM))
			v.ends(0)
			v.judge(nil)
			unchanged()
		})
	}
}
