package export_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
)

// stepsThatDie are what a process may be killed in; each would bring its file
// from 137 to 160 bars.
var stepsThatDie = map[string]struct {
	path func(layout.Run) string
	do   func(t *testing.T, tg layout.Run, cfg export.Config) error
}{
	"export": {layout.Run.Perf, func(t *testing.T, tg layout.Run, cfg export.Config) error {
		_, err := opened(t, tg, cfg).Export(context.Background(), aReport(2), theChunks(t, 100, 60))
		return err
	}},
	"backup": {layout.Run.Backup, func(t *testing.T, tg layout.Run, cfg export.Config) error {
		opened(t, tg, cfg)
		k := &known{r: aReport(2), chunks: theChunks(t, 100, 60)}
		b := export.NewBackup(tg, k.snapshot, 0, quiet())
		b.Config = cfg
		return b.Write(context.Background())
	}},
	"recovery": {layout.Run.Perf, func(t *testing.T, tg layout.Run, cfg export.Config) error {
		putFooter(t, tg.WorkDir(), anEnd(t, 1, 60, 1, "stopped", 0))
		_, err := export.Recover(context.Background(), export.RecoverConfig{
			Target: tg, Lock: locked(t, tg), Dirs: []string{tg.WorkDir()}, Config: cfg, Logger: quiet(),
		})
		return err
	}},
}

// A process that is killed before its file is synced, or before it has its
// name, leaves the old one; the next one finds nothing in its way.
func TestInvariant1_KilledAtEachStep(t *testing.T) {
	tg := target(t)
	if dir, what, ok := strings.Cut(os.Getenv("EXPORT_TEST_DIE_AT"), "|"); ok {
		what, where, _ := strings.Cut(what, "|")
		tg.Dir = dir
		die := func(string) error {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			return errors.New("it lives")
		}
		cfg := export.Config{BeforeSync: die}
		if where == "rename" {
			cfg = export.Config{BeforeRename: die}
		}
		t.Fatalf("it was not killed: %v", stepsThatDie[what].do(t, tg, cfg))
	}
	for name, step := range stepsThatDie {
		for _, where := range []string{"sync", "rename"} {
			t.Run(name+" before the "+where, func(t *testing.T) {
				tg := target(t)
				path := step.path(tg)
				if err := os.MkdirAll(tg.StateDir(), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, path, appended(t, aReport(2), theChunks(t, 100, 37)))
				cmd := exec.Command(os.Args[0], "-test.run=TestInvariant1_KilledAtEachStep$")
				cmd.Env = append(os.Environ(), "EXPORT_TEST_DIE_AT="+tg.Dir+"|"+name+"|"+where)
				out, err := cmd.CombinedOutput()
				if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
					t.Fatalf("%v\n%s", err, out)
				}
				if got := replayed(t, path); got != 137 {
					t.Errorf("%d bars after the kill, want those of before, 137", got)
				}
				t.Run("next", func(t *testing.T) { // whose locks end with it
					if err := step.do(t, tg, export.Config{}); err != nil {
						t.Fatal(err)
					}
				})
				if got := replayed(t, path); got != 160 {
					t.Errorf("%d bars after the next, want 160", got)
				}
				for _, dir := range []string{tg.Dir, tg.StateDir()} {
					if got := names(t, dir); strings.Contains(got, ".tmp") {
						t.Errorf("%s holds %s", dir, got)
					}
				}
			})
		}
	}
}
