package export_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gx1replay/internal/export"
)

// BenchmarkExport compares an export with the bare write, sync, rename and
// sync of the directory of the same bytes, in turns, so that both meet the
// same disk. It reports medians: the time until the file is visible, and
// until it is synced, of each, and their ratio.
func BenchmarkExport(b *testing.B) {
	for _, n := range []int{7, 1000, 10_000} {
		b.Run(fmt.Sprintf("chunks=%d", n), func(b *testing.B) {
			t := target(b)
			e := opened(b, t, export.Config{})
			chunks := someChunks(b, n)
			r := aReport(n)
			var data []byte
			var ours, oursSynced, bare, bareSynced []float64
			for b.Loop() {
				// Each export writes a new file, as the first after a stop.
				if err := os.RemoveAll(t.Perf()); err != nil {
					b.Fatal(err)
				}
				res, err := e.Export(b.Context(), r, chunks)
				if err != nil {
					b.Fatal(err)
				}
				ours = append(ours, ms(res.Took.Visible()))
				oursSynced = append(oursSynced, ms(res.Took.Visible()+res.Took.SyncDir))
				if data == nil {
					if data, err = os.ReadFile(t.Perf()); err != nil {
						b.Fatal(err)
					}
				}
				visible, synced := bareWrite(b, filepath.Join(t.Dir, "bare.json"), data)
				bare = append(bare, ms(visible))
				bareSynced = append(bareSynced, ms(synced))
			}
			b.ReportMetric(float64(len(data))/1e6, "MB")
			b.ReportMetric(median(ours), "visible-ms")
			b.ReportMetric(median(oursSynced), "synced-ms")
			b.ReportMetric(median(bare), "bare-visible-ms")
			b.ReportMetric(median(bareSynced), "bare-synced-ms")
			b.ReportMetric(median(oursSynced)/median(bareSynced), "x-bare")
			b.ReportMetric(0, "ns/op") // of both together, which nobody wants
		})
	}
}

func bareWrite(b *testing.B, path string, data []byte) (visible, synced time.Duration) {
	b.Helper()
	if err := os.RemoveAll(path); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	f, err := os.Create(path + ".tmp")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	f.Close()
	if err := os.Rename(path+".tmp", path); err != nil {
		b.Fatal(err)
	}
	visible = time.Since(start)
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		b.Fatal(err)
	}
	return visible, time.Since(start)
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// BenchmarkRecover is what a guardian does once the workers are gone: backup
// and a footer of each attempt on the disk, no perf file yet. Its time is that until
// the readers' files are written too.
func BenchmarkRecover(b *testing.B) {
	for _, n := range []int{7, 1000, 10_000} {
		b.Run(fmt.Sprintf("chunks=%d", n), func(b *testing.B) {
			t := target(b)
			l := locked(b, t)
			chunks := someChunks(b, n)
			backedUp(b, t, &known{r: aReport(n), chunks: chunks})
			for i, c := range chunks {
				if c.Line.Bars() == chunkBars {
					putFooter(b, t.WorkDir(), anEnd(b, i, chunkBars, 1, "ok", 0))
				} else if !c.Line.IsZero() {
					putFooter(b, t.WorkDir(), anEnd(b, i, 40, 1, "stopped", 0))
				}
			}
			var start time.Time
			var visible []float64
			cfg := export.RecoverConfig{Target: t, Lock: l, Dirs: []string{t.WorkDir()}, Logger: quiet()}
			cfg.Config.BeforeRename = func(string) error {
				visible = append(visible, ms(time.Since(start)))
				return nil
			}
			for b.Loop() {
				if err := os.RemoveAll(t.Perf()); err != nil {
					b.Fatal(err)
				}
				start = time.Now()
				recovered(b, cfg)
			}
			b.ReportMetric(median(visible), "visible-ms")
		})
	}
}
