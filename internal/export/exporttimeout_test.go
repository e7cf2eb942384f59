package export_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/test/testsize"
	"gx1replay/test/virtual"
)

// The first export of a run that ends by itself may be its largest. A disk that
// takes it slowly takes it; one that hangs is found out all the same.
func TestALargeExportGetsTime(t *testing.T) {
	testsize.All(t)
	const many = 80_000 // of 1 kB and more
	for _, c := range []struct {
		name   string
		chunks int
		takes  time.Duration // of the disk, for a sync
		code   int
	}{
		{"a large one", many, 9 * time.Second, 0},
		{"a disk that hangs", many, time.Hour, 2},
		{"a small one", 4, 9 * time.Second, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				tg := target(t)
				over := make(chan struct{})
				cfg := export.Config{BeforeSync: func(aside string) error {
					if filepath.Dir(aside) == tg.Dir {
						select {
						case <-time.After(c.takes):
						case <-over:
						}
					}
					return nil
				}}
				chunks := make([]perf.Chunk, c.chunks)
				for i := range chunks {
					chunks[i] = perf.Chunk{Idx: i, Planned: chunkBars, Status: footer.StatusMissing}
				}
				w := export.NewWatchdog(export.WatchdogConfig{
					Exporter: opened(t, tg, cfg), Drain: 8 * time.Second, Logger: quiet(),
					Snapshot: func() (perf.Report, []perf.Chunk) { return aReport(len(chunks)), chunks },
				})
				w.Ended(nil)
				out := w.Run()
				if out.Code != c.code || (out.Code == 0) != fileExists(tg.Perf()) {
					t.Errorf("%+v (want exit code %d)", out, c.code)
				}
				close(over)
				synctest.Wait()
			})
		})
	}
}
