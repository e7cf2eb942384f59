package execengine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/run"
)

// tree makes files that hold their own names, and returns the directory.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	// A name that would be a pattern if it were taken for one.
	dir := filepath.Join(t.TempDir(), "a[b]*c")
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func shaOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestIdentify(t *testing.T) {
	dir := tree(t, "work/replay.py", "work/model.bin", "work/cfg=x", "work/{slice}", "work/{x}", "work/python3",
		"work/lib/a.py", "work/lib/sub/b.py", "work/lib/sub/b.txt", "work/lib/.hidden.py", "work/lib/.git/c.py",
		"work/lib/__pycache__/a.pyc", "work/.env", "shared/s.py", "work/empty/__pycache__/x")
	work := filepath.Join(dir, "work")
	for from, to := range map[string]string{"lib/link.py": "../../shared/s.py", "lib/loop": "..", "libs": "lib", "lib/gone.py": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(work, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(work, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(dir, "shared/s.py")
	for _, c := range []struct {
		argv, globs []string
		want        map[string]string // name: the file below dir, where it is another
		err         string
	}{
		{argv: []string{"python3", "replay.py", "-v", "none.py", "lib", "", "fifo", "x\x00"}, want: map[string]string{"replay.py": "work/replay.py"}},
		{argv: []string{"./python3"}, want: map[string]string{"./python3": "work/python3"}},
		{argv: []string{"x", "--model=model.bin", "--cfg=x", "cfg=x", "--="}, want: map[string]string{"model.bin": "work/model.bin", "cfg=x": "work/cfg=x"}},
		{argv: []string{"x", shared, "../shared/s.py"}, want: map[string]string{shared: "shared/s.py", "../shared/s.py": "shared/s.py"}},
		{argv: []string{"x", "{slice}", "{{x}}"}, want: map[string]string{"{x}": "work/{x}"}},
		{argv: []string{"x"}, globs: []string{"*.py", "lib/*.py"}, want: map[string]string{
			"replay.py": "work/replay.py", "lib/a.py": "work/lib/a.py", "lib/link.py": "shared/s.py"}, err: "gone.py"},
		{globs: []string{"lib"}, want: map[string]string{
			"lib/a.py": "work/lib/a.py", "lib/sub/b.py": "work/lib/sub/b.py", "lib/sub/b.txt": "work/lib/sub/b.txt", "lib/link.py": "shared/s.py"}},
		{globs: []string{"libs"}, want: map[string]string{
			"libs/a.py": "work/lib/a.py", "libs/sub/b.py": "work/lib/sub/b.py", "libs/sub/b.txt": "work/lib/sub/b.txt", "libs/link.py": "shared/s.py"}},
		{globs: []string{"lib/s*/*.py", filepath.Join(literal(work), "model.*"), "../shared/*", literal(shared)}, want: map[string]string{
			"lib/sub/b.py": "work/lib/sub/b.py", "model.bin": "work/model.bin", "../shared/s.py": "shared/s.py", shared: "shared/s.py"}},
		{globs: []string{".e*"}, want: map[string]string{".env": "work/.env"}},
		{globs: []string{"lib/__pycache__"}, want: map[string]string{"lib/__pycache__/a.pyc": "work/lib/__pycache__/a.pyc"}},
		{globs: []string{"*.none"}, err: `--exec-digest "*.none": it matches no file`},
		{globs: []string{"empty"}, err: `--exec-digest "empty": it matches no file`},
		{globs: []string{"fifo"}, err: "it matches no file"},
		{globs: []string{""}, err: "it is empty"},
		{globs: []string{"["}, err: `--exec-digest "[": syntax error in pattern`},
	} {
		got, err := Identify(c.argv, work, c.globs)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q %q: error %v, want %s", c.argv, c.globs, err, c.err)
			}
			continue
		}
		want := map[string]string{}
		for name, file := range c.want {
			want[name] = shaOf(file)
		}
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%q %q:\n got %v, %v\nwant %v", c.argv, c.globs, got, err, want)
		}
	}
	if os.Getuid() != 0 { // root reads all
		if err := os.Chmod(filepath.Join(work, "replay.py"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Identify([]string{"x", "replay.py"}, work, nil); err == nil || !strings.Contains(err.Error(), "argument 1 of the command: open ") {
			t.Errorf("a file that cannot be read: %v", err)
		}
	}
}

// As many files as a run's manifest takes, and no more.
func TestIdentify_Bounds(t *testing.T) {
	names := []string{"x.py"}
	for i := range maxDigests - 1 {
		names = append(names, fmt.Sprintf("lib/%04d.py", i))
	}
	dir := tree(t, names...)
	argv := []string{"python3", "x.py"}
	digests, err := Identify(argv, dir, []string{"lib", "l*"})
	if err != nil || len(digests) != maxDigests {
		t.Fatalf("%d files, %v", len(digests), err)
	}
	c := run.Command{Argv: argv, Digests: digests, Emits: run.EmitsTrades, SliceFormat: "csv", TSFormat: TSNaive}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lib/more.py"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Identify(argv, dir, []string{"lib"}); err == nil || !strings.Contains(err.Error(), `--exec-digest "lib": it leads to more than 1024 files`) {
		t.Errorf("one more: %v", err)
	}

	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxDigestBytes+1); err != nil { // a hole: it takes no room
		t.Skip(err)
	}
	if _, err = Identify(argv, dir, []string{"large"}); err == nil || !strings.Contains(err.Error(), "with large it comes to more than 2 GiB") {
		t.Errorf("a large file: %v", err)
	}
}

func TestShipFile(t *testing.T) {
	dir := tree(t, "m/model.bin")
	got, err := ShipFile(filepath.Join(dir, "m/../m/model.bin"))
	if want := (run.CommandFile{Name: "model.bin", SHA256: shaOf("m/model.bin"), Bytes: 11}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "none"): "no such file", filepath.Join(dir, "m"): "is no plain file"} {
		if _, err := ShipFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
