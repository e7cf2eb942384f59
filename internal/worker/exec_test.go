package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// objectMap is an object store in memory.
type objectMap map[string][]byte

func (m objectMap) HasObject(_ context.Context, name string) (bool, error) {
	_, ok := m[name]
	return ok, nil
}

func (m objectMap) PutObject(_ context.Context, name string, data []byte) error {
	m[name] = data
	return nil
}

func (m objectMap) GetObject(_ context.Context, name string, limit int64) ([]byte, error) {
	data, ok := m[name]
	if !ok || int64(len(data)) > limit {
		return nil, fmt.Errorf("no object %s of at most %d bytes", name, limit)
	}
	return data, nil
}

func execOf(argv []string, digests map[string]string) *Exec {
	return &Exec{Engine: &execengine.Engine{Spec: execengine.Spec{Command: run.Command{Argv: argv, Digests: digests}}}}
}

// execIn is an engine whose command runs in a directory of its own with these
// files.
func execIn(t *testing.T, argv []string, files map[string]string) *Exec {
	t.Helper()
	e := execOf(argv, nil)
	e.Engine.Dir = t.TempDir()
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(e.Engine.Dir, name), []byte(text), 0o600))
		if name == "mod.py" {
			e.Engine.Spec.Digest = []string{name}
		}
	}
	digests, err := execengine.Identify(argv, e.Engine.Dir, e.Engine.Spec.Digest)
	must(t, err)
	e.Engine.Spec.Command.Digests = digests
	return e
}

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestExecFits(t *testing.T) {
	argv := []string{"python3", "replay.py", "--log", "out.log"}
	theirs := run.Command{
		Argv: argv, Digests: map[string]string{"replay.py": sha256Hex("a"), "mod.py": sha256Hex("b")},
		Emits: run.EmitsScores, SliceFormat: "csv", TSFormat: "naive", TailBars: 7, Params: map[string]string{"x": "1"},
	}
	m := run.Manifest{Command: theirs, Identity: theirs.Identity()}
	for name, c := range map[string]struct {
		e     *Exec
		later map[string]string // files that are written when the worker has started
		want  []string          // of the error; empty: it fits
	}{
		"the same":             {execIn(t, argv, map[string]string{"replay.py": "a", "mod.py": "b"}), nil, nil},
		"another file":         {execIn(t, argv, map[string]string{"replay.py": "a", "mod.py": "c"}), nil, []string{"file mod.py", sha256Hex("c")[:12]}},
		"a file is missing":    {execIn(t, argv, map[string]string{"replay.py": "a"}), nil, []string{"file mod.py"}},
		"another command line": {execIn(t, []string{"python3", "other.py"}, nil), nil, []string{"other.py"}},
		"a file has changed":   {execIn(t, argv, map[string]string{"replay.py": "a", "mod.py": "b"}), map[string]string{"mod.py": "d"}, []string{"file mod.py", sha256Hex("d")[:12]}},
		"it has come":          {execIn(t, argv, map[string]string{"replay.py": "old", "mod.py": "b"}), map[string]string{"replay.py": "a"}, nil},
		"its own output":       {execIn(t, argv, map[string]string{"replay.py": "a", "mod.py": "b"}), map[string]string{"out.log": "x"}, nil},
	} {
		for file, text := range c.later {
			must(t, os.WriteFile(filepath.Join(c.e.Engine.Dir, file), []byte(text), 0o600))
		}
		err := c.e.Fits(m)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not name %q", name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "--exec") {
			t.Errorf("%s: %q names what is the run's own", name, err)
		}
	}
	gone := execIn(t, argv, map[string]string{"replay.py": "a", "mod.py": "b"})
	must(t, os.Remove(filepath.Join(gone.Engine.Dir, "mod.py")))
	if err := gone.Fits(m); err == nil || !strings.Contains(err.Error(), "mod.py") || gone.Identity() != "" {
		t.Errorf("a file that is gone: %v, identity %q (want an error that names it, and none)", err, gone.Identity())
	}
	unknown := run.Manifest{}
	if err := execOf(argv, nil).Fits(unknown); err != nil {
		t.Errorf("a run that takes the command of its first claim: %v", err)
	}
	unknown.Identity = sha256Hex("d")
	if err := execOf(argv, nil).Fits(unknown); err == nil {
		t.Error("a run that has the command of another's claim is served")
	}
}

func TestExecFile(t *testing.T) {
	content := []byte("weights")
	sum := sha256.Sum256(content)
	f := run.CommandFile{Name: "model.bin", SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
	object := run.FileObject(f.SHA256)
	e := execOf(nil, nil)
	e.WorkDir = t.TempDir()
	store := objectMap{object: content}
	e.Objects = store

	read := func(path string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(content) || filepath.Base(path) != f.Name {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
	path, err := e.file(t.Context(), f)
	read(path, err)

	// A copy that was damaged on disk is fetched again.
	must(t, os.WriteFile(path, []byte("wEights"), 0o644))
	read(e.file(t.Context(), f))

	// What the bus has is not what was asked for.
	store[object] = []byte("another")
	must(t, os.Remove(path))
	if _, err := e.file(t.Context(), f); err == nil || !strings.Contains(err.Error(), f.SHA256) {
		t.Errorf("a file of another digest: %v", err)
	}

	// The directory of large files comes first, by digest or by name.
	e.Engine.Spec.FilesDir = t.TempDir()
	must(t, os.WriteFile(filepath.Join(e.Engine.Spec.FilesDir, f.Name), content, 0o644))
	read(e.file(t.Context(), f))

	f.Bytes = execengine.MaxShipped + 1
	if _, err := e.file(t.Context(), f); err == nil || !strings.Contains(err.Error(), "--files") {
		t.Errorf("a file that is too large to travel: %v", err)
	}
}

// A worker that is set up wrongly gives its chunk back, says why, and ends.
func TestAWorkerThatIsSetUpWronglyEnds(t *testing.T) {
	x := newBench(t)
	why := &SetUpError{Code: 127, Err: errors.New("python4: command not found")}
	x.a.w.cfg.Engine = engineFunc(func(context.Context, func(footer.Footer)) (Result, error) { return Result{}, why })
	ended := false
	x.a.w.endRun = func() { ended = true }
	x.a.run(t.Context())
	rec, _ := x.record()
	if rec.State != "released" || rec.Failures != 0 || rec.Releases != 1 || rec.Error != why.Error() {
		t.Errorf("record %s, %d failures, %d releases, error %q", rec.State, rec.Failures, rec.Releases, rec.Error)
	}
	if !ended || x.a.w.broken != why {
		t.Errorf("the worker goes on (ended %v, broken %v)", ended, x.a.w.broken)
	}
}
