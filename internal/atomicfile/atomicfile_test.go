package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// errFault is the error of a call that a test has fail.
var errFault = errors.New("this call fails")

// faulty is a file system whose call number fail fails, counted from 1.
type faulty struct {
	place
	fail, calls int
}

func (f *faulty) next() error {
	if f.calls++; f.calls == f.fail {
		return errFault
	}
	return nil
}

func (f *faulty) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.place.OpenFile(name, flag, perm)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.next(); err != nil {
		return err
	}
	return f.place.Rename(from, to)
}

func (f *faulty) Link(from, to string) error {
	if err := f.next(); err != nil {
		return err
	}
	return f.place.Link(from, to)
}

// put writes content in two pieces to path, at a file system.
func put(at place, path, content string, o Options) (err error) {
	f, err := create(at, path, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Discard()) }()
	half := len(content) / 2
	if err := Parts([]byte(content[:half]), []byte(content[half:]))(f); err != nil {
		return err
	}
	return f.Commit()
}

// names lists what is in dir.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("%s holds %q, %v (want %q)", filepath.Base(path), b, err, want)
	}
}

// Whatever call fails, the name holds the old file or the new one, and nothing
// else is left.
func TestEveryFaultLeavesOneWholeFile(t *testing.T) {
	for _, o := range []Options{{}, {Sync: true}, {New: true}, {New: true, Sync: true}} {
		failed := 0
		for fail := 1; ; fail++ {
			dir := t.TempDir()
			path, old := filepath.Join(dir, "file"), "file"
			if o.New {
				old = ""
			} else if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			at := &faulty{place: fileSystem{}, fail: fail}
			err := put(at, path, "the new one", o)
			if at.calls < fail { // there is no such call
				if err != nil {
					t.Fatal(err)
				}
				wantFile(t, path, "the new one")
				break
			}
			failed++
			if !errors.Is(err, errFault) {
				t.Errorf("%+v, call %d: %v", o, fail, err)
			}
			got := names(t, dir)
			switch last := o.Sync && fail == 3; {
			case last: // opening the directory to sync it
				wantFile(t, path, "the new one")
			case got != old:
				t.Errorf("%+v, call %d: left %q (want %q)", o, fail, got, old)
			case !o.New:
				wantFile(t, path, "old")
			}
		}
		if want := map[bool]int{false: 2, true: 3}[o.Sync]; failed != want {
			t.Errorf("%+v: %d calls can fail (want %d)", o, failed, want)
		}
	}
}

// An error of the writer, a file that was closed, and a directory in the way.
func TestNothingIsLeftOfAFileThatFailed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := Write(path, Options{}, Parts([]byte("old"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path  string
		write func(w io.Writer) error
		want  error
	}{
		"writing":                {path, func(w io.Writer) error { fmt.Fprint(w, "x"); return errFault }, errFault},
		"closing":                {path, func(w io.Writer) error { return w.(*File).Close() }, fs.ErrClosed},
		"a directory in the way": {filepath.Join(dir, "dir"), Parts([]byte("x")), syscall.EEXIST},
		"no directory":           {filepath.Join(dir, "none", "file"), Parts([]byte("x")), fs.ErrNotExist},
		"its directory deleted": {filepath.Join(dir, "gone", "file"), func(io.Writer) error {
			return os.RemoveAll(filepath.Join(dir, "gone"))
		}, fs.ErrNotExist},
	} {
		if err := os.MkdirAll(filepath.Join(dir, "gone"), 0o700); err != nil {
			t.Fatal(err)
		}
		err := Write(c.path, Options{Sync: true}, c.write)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v (want %v)", name, err, c.want)
		}
		if err := os.RemoveAll(filepath.Join(dir, "gone")); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); got != "dir file" {
			t.Errorf("%s: left %q", name, got)
		}
		wantFile(t, path, "old")
	}
}

// Nobody who opens the name meanwhile sees a part.
func TestNothingChangesBeforeTheRename(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path, Options{Aside: filepath.Join(dir, ".stem")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "old")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "old")
	if base := filepath.Base(f.Name()); !strings.HasPrefix(base, ".stem.") || !strings.HasSuffix(base, ".tmp") {
		t.Errorf("it is aside as %s", base)
	}
	if err := f.Rename(); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "new")
	if err := errors.Join(f.Discard(), f.Discard()); err != nil {
		t.Error(err)
	}
	wantFile(t, path, "new")
}

// A link under the name is replaced, and what it leads to stays.
func TestALinkIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path, outside := filepath.Join(dir, "file"), filepath.Join(t.TempDir(), "outside")
	for _, err := range []error{os.WriteFile(outside, []byte("theirs"), 0o600), os.Symlink(outside, path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(path, Options{}, Parts([]byte("ours"))); err != nil {
		t.Fatal(err)
	}
	wantFile(t, outside, "theirs")
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

func TestNewReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, Options{New: true}, Parts([]byte("first"))); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, link, dir} {
		if err := Write(path, Options{New: true}, Parts([]byte("second"))); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v (want that it exists)", path, err)
		}
	}
	wantFile(t, path, "first")
	if got := names(t, dir); got != "file link" {
		t.Errorf("left %q", got)
	}
	// A file system without hard links.
	at := noLinks{fileSystem{}}
	if err := put(at, path, "third", Options{New: true}); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := put(at, path+"2", "third", Options{New: true}); err != nil {
		t.Error(err)
	}
	wantFile(t, path, "first")
	wantFile(t, path+"2", "third")
	if got := names(t, dir); got != "file file2 link" {
		t.Errorf("left %q", got)
	}
}

type noLinks struct{ place }

func (noLinks) Link(string, string) error { return syscall.EPERM }

// The permission bits are never more than those that were asked for.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		umask      int
		mode, want fs.FileMode
	}{{0, 0, 0o600}, {0, 0o644, 0o644}, {0o077, 0o644, 0o600}, {0o022, 0o666, 0o644}, {0, 0o700, 0o700}} {
		func() {
			defer syscall.Umask(syscall.Umask(c.umask)) // of the process: no test of this package is parallel
			path := filepath.Join(dir, "file")
			if err := os.WriteFile(path, nil, 0o777); err != nil { // its bits are not taken over
				t.Fatal(err)
			}
			if err := Write(path, Options{Mode: c.mode}, Parts()); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != c.want {
				t.Errorf("mode %04o with umask %04o: %v, %v (want %04o)", c.mode, c.umask, info.Mode(), err, c.want)
			}
		}()
	}
}

// A Root is not left, whatever links are in it.
func TestARootIsNotLeft(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.Symlink(outside, filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../file", "sub/file", filepath.Join(outside, "file")} {
		if err := Write(name, Options{Root: root}, Parts([]byte("x"))); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	if err := Write("file", Options{Root: root, Sync: true}, Parts([]byte("x"))); err != nil {
		t.Error(err)
	}
	wantFile(t, filepath.Join(dir, "file"), "x")
	if got := names(t, dir) + "; " + names(t, outside); got != "file sub; " {
		t.Errorf("there is %q", got)
	}
}

func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	name := func(n int) string { return fmt.Sprintf("%s.aside-%d", path, n) }
	if _, err := SetAside(path, name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	for n, content := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := SetAside(path, name); err != nil || got != name(n+1) {
			t.Errorf("%s, %v", got, err)
		}
		wantFile(t, path, content) // it has both names
		wantFile(t, name(n+1), content)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	// A directory cannot have two.
	if err := errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "in"), []byte("third"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := SetAside(path, name); err != nil || got != name(3) {
		t.Errorf("%s, %v", got, err)
	}
	wantFile(t, filepath.Join(name(3), "in"), "third")
	if got := names(t, dir); got != "x.aside-1 x.aside-2 x.aside-3" {
		t.Errorf("there is %q", got)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{".r1.0.tmp", ".r1.ffff.tmp", ".r1.keep", ".r10.0.tmp", ".r1tmp", "r1.0.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(filepath.Join(dir, ".r1")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != ".r1.keep .r10.0.tmp .r1tmp r1.0.tmp" {
		t.Errorf("left %q", got)
	}
	if err := Sweep(filepath.Join(dir, "none", ".r1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
