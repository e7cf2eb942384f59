package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{
		"bin/tool": 0o755, "bin/plain": 0o644, "bin/both": 0o644, "more/both": 0o755, "here": 0o755, "sub/tool": 0o755,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin", "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "sub"), filepath.Join(dir, "more", "link")); err != nil {
		t.Fatal(err)
	}
	both := dir + "/bin:" + dir + "/more"
	for _, tc := range []struct {
		name, path string
		want       string // below dir; empty: an error
		err        error
	}{
		{"tool", both, "bin/tool", nil},
		{"tool", dir + "/bin/", "bin/tool", nil},
		{"tool", "/nowhere:bin", "bin/tool", nil},
		{"here", "", "here", nil},
		{"here", "/nowhere::/none", "here", nil},
		{"here", "/nowhere", "", ErrNotFound},
		{"tool", "", "", ErrNotFound},
		{"", both, "", ErrNotFound},
		// A file that cannot be run is passed over, and told if there is no other.
		{"both", both, "more/both", nil},
		{"plain", both, "", ErrNotExecutable},
		{"plain", "/nowhere:" + both, "", ErrNotExecutable},
		// A directory is none, and neither is what lies below a file.
		{"folder", both, "", ErrNotFound},
		{"tool", dir + "/here", "", ErrNotFound},
		// PATH has no say in a name with a slash.
		{"bin/tool", "", "bin/tool", nil},
		{"./here", "/nowhere", "./here", nil},
		{dir + "/here", "/nowhere", "here", nil},
		{"more/link/../here", "", "more/link/../here", nil},
		{"bin/none", both, "", ErrNotFound},
		{"bin/plain", both, "", ErrNotExecutable},
		{"bin/folder", both, "", ErrNotExecutable},
		{"here/tool", both, "", ErrNotExecutable},
	} {
		got, err := LookPath(tc.name, tc.path, dir)
		if tc.err == nil && (err != nil || got != dir+"/"+tc.want) {
			t.Errorf("%q in %q: %q, %v (want %q)", tc.name, tc.path, got, err, tc.want)
		}
		if tc.err != nil && (!errors.Is(err, tc.err) || errors.Is(err, ErrNotFound) && errors.Is(err, ErrNotExecutable) || !strings.Contains(err.Error(), tc.name)) {
			t.Errorf("%q in %q: %q, %v (want %v)", tc.name, tc.path, got, err, tc.err)
		}
	}
}

func TestLookPathFromTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("bin/tool", nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "."} {
		for name, path := range map[string]string{"tool": "bin", "bin/tool": ""} {
			got, err := LookPath(name, path, dir)
			if err != nil || !strings.HasPrefix(got, wd+"/") || !strings.HasSuffix(got, "/bin/tool") {
				t.Errorf("%s in %q from %q: %q, %v", name, path, dir, got, err)
			}
		}
	}
	if got, err := LookPath("tool", "", "bin"); err != nil || got != wd+"/bin/tool" {
		t.Errorf("%q, %v (want %s/bin/tool)", got, err, wd)
	}
}
