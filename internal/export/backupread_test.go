package export_test

import (
	"os"
	"strings"
	"testing"

	"gx1replay/internal/export"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
)

// A backup is read back: one that the disk has not kept as it was written is
// told, and written again.
func TestBackupIsReadBack(t *testing.T) {
	tg := target(t)
	if err := os.MkdirAll(tg.StateDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	spoil := true
	b := export.NewBackup(tg, func() (perf.Report, []perf.Chunk) { return aReport(2), theChunks(t, 100, 37) }, 0, quiet())
	b.Config.BeforeRename = func(aside string) error {
		if !spoil {
			return nil
		}
		content, err := os.ReadFile(aside)
		if err == nil {
			content[len(content)/2] ^= 1
			err = os.WriteFile(aside, content, 0o600)
		}
		return err
	}
	if err := b.Write(t.Context()); err == nil || !strings.Contains(err.Error(), "back") {
		t.Errorf("a backup that was damaged on its way: %v (want that it was read back)", err)
	}
	spoil = false
	if err := b.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, _, there, err := ledger.ReadFile(tg.Backup(), tg.RunID); err != nil || !there || f.Totals.TotalBars != 137 {
		t.Errorf("the backup after it: %d bars, %v, %v (want 137)", f.Totals.TotalBars, there, err)
	}
}
