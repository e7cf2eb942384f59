package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// Any sequence of exporters, backups and recoveries, with any subsets of the
// footers: bars never fall, never exceed the plan, and complete stays.
func TestInvariant5_AnySequence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		tg := layout.Run{Dir: dir, FallbackDir: dir, RunID: "r1"}
		l, err := export.TryAcquire(tg, export.RoleCoordinator)
		if err != nil {
			rt.Fatal(err)
		}
		defer l.Close()
		const n = 3
		var e *export.Exporter
		var b *export.Backup
		k := &known{}
		inFile, inFiles, inBackup := make([]int64, n), make([]int64, n), make([]int64, n) // bars that are safe there
		session, complete, seq := 0, false, uint64(0)
		var completeBytes []byte
		begin := func() {
			session++
			if e, err = export.Open(l, tg, export.Config{}); err != nil {
				rt.Fatal(err)
			}
			b = export.NewBackup(tg, k.snapshot, 0, quiet())
		}
		begin()
		draw := func() {
			k.r, k.chunks = aReport(n), theChunks(t, rapid.SliceOfN(rapid.SampledFrom([]int64{-1, 0, 1, 50, 99, 100, 100}), n, n).Draw(rt, "bars")...)
			if rapid.IntRange(0, 4).Draw(rt, "noPlan") == 0 {
				k.r, k.chunks = aReport(0), nil
			}
			k.r.Sessions = []run.SessionTimes{aSession(session, rapid.Float64Range(0, 30).Draw(rt, "sec"))}
			k.r.Stop.Seq = rapid.Uint64Range(0, 5).Draw(rt, "seq")
		}
		raise := func(held []int64, chunks []perf.Chunk) {
			for i, c := range chunks {
				held[i] = max(held[i], c.Line.Bars())
			}
		}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			draw()
			switch rapid.SampledFrom([]string{"export", "final", "backup", "footer", "recover", "session"}).Draw(rt, "step") {
			case "export":
				_, err = e.Export(t.Context(), k.r, k.chunks)
				raise(inFile, k.chunks)
			case "final":
				_, err = e.ExportFinal(t.Context(), k.r, k.chunks)
				raise(inFile, k.chunks)
			case "backup":
				err = b.Write(t.Context())
				raise(inBackup, k.chunks)
			case "footer":
				bars := rapid.SampledFrom([]int64{0, 50, 99, 100}).Draw(rt, "fileBars")
				status := footer.StatusStopped
				if bars == chunkBars {
					status = footer.StatusOK
				}
				f := anEnd(t, rapid.IntRange(0, n-1).Draw(rt, "idx"), bars, rapid.Int64Range(1, 50).Draw(rt, "attempt"), status, 0)
				f.ChunksTotal, f.DataBars = n, n*chunkBars
				path := filepath.Join(tg.WorkDir(), "r1", "chunk_"+f.ChunkID, fmt.Sprintf("attempt_%d", f.Attempt), "chunk_footer.json")
				if _, err := os.Stat(path); err == nil {
					continue
				}
				putFile(t, path, jsonOf(t, f))
				inFiles[f.ChunkIdx] = max(inFiles[f.ChunkIdx], bars)
				continue
			case "session":
				begin()
				continue
			case "recover":
				if err := os.MkdirAll(tg.WorkDir(), 0o755); err != nil {
					rt.Fatal(err)
				}
				_, err = export.Recover(t.Context(), export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{tg.WorkDir()}, Logger: quiet()})
				if errors.Is(err, export.ErrNothing) {
					continue
				}
				for i := range n {
					inFile[i] = max(inFile[i], inFiles[i], inBackup[i])
				}
			}
			if err != nil && !(complete && errors.Is(err, export.ErrComplete)) {
				rt.Fatal(err)
			}
			got, err := os.ReadFile(tg.Perf())
			if errors.Is(err, os.ErrNotExist) {
				continue // backups only
			}
			if complete && completeBytes != nil && !bytes.Equal(got, completeBytes) {
				rt.Fatal("a complete file was replaced by another session or a recovery")
			}
			f := read(t, tg.Perf())
			var sum, want int64
			for i, c := range f.Chunks {
				if want += inFile[i]; !complete && c.Line.Bars() < inFile[i] {
					rt.Fatalf("chunk %d: %d bars, %d were written", i, c.Line.Bars(), inFile[i])
				}
				sum += c.Line.Bars()
			}
			if !complete && sum != want || sum > n*chunkBars {
				rt.Fatalf("%d bars, want %d of %d", sum, want, n*chunkBars)
			}
			if f.Report.Stop.Seq < seq {
				rt.Fatalf("stop.seq fell from %d to %d", seq, f.Report.Stop.Seq)
			}
			if seq = f.Report.Stop.Seq; f.Totals.Outcome == perf.OutcomeComplete {
				// The session that wrote it may write it once more.
				complete = true
				begin()
				completeBytes = got
			}
		}
	})
}
