package export_test

import (
	"os"
	"path/filepath"
	"testing"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
)

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(target layout.Run) error
		bad   bool
	}{
		{"nothing happens", func(layout.Run) error { return nil }, false},
		{"the output directory is gone", func(g layout.Run) error { return os.RemoveAll(g.Dir) }, true},
		{"the state directory is gone", func(g layout.Run) error { return os.RemoveAll(g.StateDir()) }, true},
		{"it is another one", func(g layout.Run) error {
			if err := os.Rename(g.Dir, g.Dir+".old"); err != nil {
				return err
			}
			return os.MkdirAll(g.StateDir(), 0o700)
		}, true},
		{"no file can be written", func(g layout.Run) error { return os.Mkdir(filepath.Join(g.StateDir(), "probe"), 0o700) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := layout.Run{Dir: filepath.Join(t.TempDir(), "out"), RunID: "r1"}
			lock, err := export.TryAcquire(target, export.RoleExport)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			if err := lock.Probe(); err != nil {
				t.Fatalf("a good directory: %v", err)
			}
			if _, err := os.Stat(filepath.Join(target.StateDir(), "probe")); !os.IsNotExist(err) {
				t.Errorf("the probe left its file (%v)", err)
			}
			if err := c.spoil(target); err != nil {
				t.Fatal(err)
			}
			if err := lock.Probe(); (err != nil) != c.bad {
				t.Errorf("error %v, want one: %v", err, c.bad)
			}
		})
	}
}
