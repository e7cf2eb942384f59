package safefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/atomicfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kinds makes in dir one of each that is no plain file, and returns their names.
func kinds(t *testing.T, dir, outside string) []string {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, "plain"), []byte("text"), 0o600))
	must(t, os.Symlink("plain", filepath.Join(dir, "link")))
	must(t, os.Symlink(outside, filepath.Join(dir, "link-out")))
	must(t, os.Symlink("nothing", filepath.Join(dir, "dangling")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	return []string{"link", "link-out", "dangling", "pipe", "dir"}
}

func TestOnlyPlainFilesAreOpened(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	for _, name := range kinds(t, dir, outside) {
		if b, err := Read(filepath.Join(dir, name), 100); !errors.Is(err, ErrNotPlain) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		if b, err := d.Read(name, 100); !errors.Is(err, ErrNotPlain) {
			t.Errorf("%s in a Dir: %q, %v", name, b, err)
		}
		if f, err := Rewrite(filepath.Join(dir, name)); !errors.Is(err, ErrNotPlain) {
			t.Errorf("%s is written: %v, %v", name, f, err)
		}
		if err := d.WriteNew(name, nil); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s is taken for nothing: %v", name, err)
		}
	}
	if b, err := d.Read("plain", 4); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	for _, most := range []int64{3, 0, -1} {
		if b, err := Read(filepath.Join(dir, "plain"), most); err == nil {
			t.Errorf("%q of at most %d bytes", b, most)
		}
	}
	if _, err := d.Read("none", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "secret" {
		t.Errorf("the file outside holds %q, %v", b, err)
	}
}

// A Dir is left neither by names nor by links on the way, nor when its path
// becomes another's.
func TestADirIsNotLeft(t *testing.T) {
	top, outside := t.TempDir(), t.TempDir()
	dir := filepath.Join(top, "dir")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(outside, "file"), []byte("secret"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("ours"), 0o600))
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	must(t, os.Symlink(outside, filepath.Join(dir, "sub")))
	for _, name := range []string{"sub/file", "../dir/file", filepath.Join(outside, "file")} {
		if b, err := d.Read(name, 100); err == nil {
			t.Errorf("%s: %q", name, b)
		}
		if err := d.Replace(name, false, atomicfile.Parts([]byte("x"))); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	if _, err := d.Dir("sub"); err == nil {
		t.Error("a link is opened as a directory")
	}
	must(t, os.Rename(dir, dir+".moved"))
	must(t, os.Symlink(outside, dir))
	if b, err := d.Read("file", 100); err != nil || string(b) != "ours" {
		t.Errorf("after its path became a link: %q, %v", b, err)
	}
	if _, err := OpenDir(dir); err == nil {
		t.Error("a link is opened as a directory by its path")
	}
	must(t, d.WriteNew("new", nil))
	if _, err := os.Lstat(filepath.Join(outside, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was written went along the link: %v", err)
	}
}

func TestReplace(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	list := append(kinds(t, dir, outside), "plain", "new", "dir")
	must(t, os.WriteFile(filepath.Join(dir, "dir", "inner"), []byte("kept"), 0o600))
	for _, name := range list {
		path := filepath.Join(dir, name)
		if name == "dir" && !isDir(path) { // the second time
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		}
		err := Replace(path, true, atomicfile.Parts([]byte("a"), []byte("b")))
		if b, errRead := Read(path, 10); err != nil || errRead != nil || string(b) != "ab" {
			t.Errorf("%s: %v, then %q, %v", name, err, b, errRead)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "dir.aside", "inner")); err != nil || string(b) != "kept" {
		t.Errorf("of the directory that was in the way there is %q, %v", b, err)
	}
	if !isDir(filepath.Join(dir, "dir.aside.2")) {
		t.Error("the second directory that was in the way is gone")
	}
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	must(t, d.Put(true, func(w io.Writer) (string, error) {
		_, err := w.Write([]byte("content"))
		return "named later", err
	}))
	if b, err := d.Read("named later", 10); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	if err := d.Put(false, func(io.Writer) (string, error) { return "../out", nil }); err == nil {
		t.Error("a name outside the directory was taken")
	}
	full := errors.New("the disk is full")
	if err := Replace(filepath.Join(dir, "plain"), false, func(w io.Writer) error {
		_, _ = w.Write([]byte("x"))
		return full
	}); !errors.Is(err, full) {
		t.Error(err)
	}
	if b, err := Read(filepath.Join(dir, "plain"), 10); err != nil || string(b) != "ab" {
		t.Errorf("after an error: %q, %v", b, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left aside: %v", left)
	}
	if b, _ := os.ReadFile(outside); string(b) != "secret" {
		t.Errorf("the file outside holds %q", b)
	}
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// What is made can be read by its user alone, whatever the umask.
func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0)) // of the process: no test of this package is parallel
	dir := filepath.Join(t.TempDir(), "dir")
	must(t, PrivateDir(dir))
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	must(t, d.Mkdir("inner"))
	must(t, InnerDir(filepath.Join(dir, "inner2")))
	must(t, d.WriteNew("new", nil))
	must(t, d.Replace("replaced", false, atomicfile.Parts()))
	f, err := Rewrite(filepath.Join(dir, "rewritten"))
	must(t, err)
	must(t, f.Close())
	_, err = UserDir(filepath.Join(dir, "a", "b"))
	must(t, err)
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o (want %04o)", path, info.Mode().Perm(), want)
		}
		return err
	}))
}

// TestOwnDirectories: what a directory may be that is to be this user's alone.
func TestOwnDirectories(t *testing.T) {
	outside := t.TempDir()
	other := os.Geteuid() == 0 // only root can give a directory away
	for _, c := range []struct {
		name  string
		make  func(dir string) error
		skip  bool
		wants [3]string // in the error of PrivateDir, InnerDir, UserDir; empty: accepted
	}{
		{"nothing", func(string) error { return nil }, false, [3]string{}},
		{"ours", func(dir string) error { return os.Mkdir(dir, 0o700) }, false, [3]string{}},
		{"others read", func(dir string) error { return os.Mkdir(dir, 0o755) }, false, [3]string{}},
		{"the group writes", func(dir string) error { return chmodded(dir, 0o775) }, false, [3]string{"0775", "", "0775"}},
		{"all write", func(dir string) error { return chmodded(dir, 0o777) }, false, [3]string{"0777", "", "0777"}},
		{"all write, sticky", func(dir string) error { return chmodded(dir, 0o777|fs.ModeSticky) }, false, [3]string{"0777", "", "0777"}},
		{"a link", func(dir string) error { return os.Symlink(outside, dir) }, false, [3]string{"a symbolic link", "a symbolic link", ""}},
		{"a dangling link", func(dir string) error { return os.Symlink("none", dir) }, false, [3]string{"a symbolic link", "a symbolic link", "file exists"}},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, false, [3]string{"a file", "a file", "not a directory"}},
		{"a pipe", func(dir string) error { return syscall.Mkfifo(dir, 0o600) }, false, [3]string{"a named pipe", "a named pipe", "not a directory"}},
		{"another user's", func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 65534, -1)) }, !other, [3]string{"user 65534", "user 65534", "user 65534"}},
	} {
		if c.skip {
			t.Logf("%s: skipped, it takes root", c.name)
			continue
		}
		for i, own := range []func(string) error{PrivateDir, InnerDir, func(dir string) error { _, err := UserDir(dir); return err }} {
			dir := filepath.Join(t.TempDir(), "dir")
			must(t, c.make(dir))
			err := own(dir)
			if want := c.wants[i]; (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir)) {
				t.Errorf("%s, function %d: %v (want %q in it, and the path)", c.name, i, err, want)
			}
		}
	}
}

func chmodded(dir string, mode fs.FileMode) error {
	return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode))
}

func TestTempDir(t *testing.T) {
	for mode, want := range map[fs.FileMode]bool{0o700: true, 0o755: true, 0o777: false, 0o775: false, 0o777 | fs.ModeSticky: true} {
		parent := filepath.Join(t.TempDir(), "tmp")
		must(t, chmodded(parent, mode))
		if dir, err := TempDir(parent, "mine"); (err == nil) != want || err == nil && dir != filepath.Join(parent, "mine") {
			t.Errorf("in a directory of mode %v: %q, %v", mode, dir, err)
		}
	}
}
