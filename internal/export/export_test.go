package export_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

func TestExport(t *testing.T) {
	tg := target(t)
	e := opened(t, tg, export.Config{})
	if _, ok := e.Last(); ok {
		t.Fatal("there is an export before the first")
	}
	res := exported(t, e, theChunks(t, 100, 37, -1))
	b, err := os.ReadFile(tg.Perf())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if res.Path != tg.Perf() || res.Bytes != int64(len(b)) || res.SHA256 != hex.EncodeToString(sum[:]) || res.SetAside != "" {
		t.Errorf("%+v", res)
	}
	if res.Totals.Coverage.ReplayedBars != 137 || replayed(t, tg.Perf()) != 137 {
		t.Errorf("%+v", res.Totals)
	}
	if last, ok := e.Last(); !ok || last.Totals.Coverage.ReplayedBars != 137 {
		t.Errorf("%v, %+v", ok, last)
	}
	wantNames(t, tg.Dir, "perf_r1.json")
	if res, err = e.ExportFinal(t.Context(), aReport(3), theChunks(t, 100, 60, 1)); err != nil || res.Totals.Coverage.ReplayedBars != 161 {
		t.Errorf("%v, %+v", err, res)
	}
}

// A run that is stopped before it has a plan leaves a file; what an earlier
// session left is not lost by it.
func TestExportBeforeThePlan(t *testing.T) {
	tg := target(t)
	e := opened(t, tg, export.Config{})
	exported(t, e, nil)
	if f := read(t, tg.Perf()); f.Totals.ChunksTotal != 0 {
		t.Errorf("%+v", f.Totals)
	}
	exported(t, e, theChunks(t, 100, 37))
	exported(t, e, nil)
	if f := read(t, tg.Perf()); f.Totals.Coverage.ReplayedBars != 137 || f.Report.Data.SHA256 != "d1" {
		t.Errorf("%+v", f)
	}
}

// Any sequence of exports, sessions and deletions of the file, with any
// subsets of the footers, is monotonic in bars, chunk by chunk.
func TestInvariant2_NeverFewerBars(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		tg := layout.Run{Dir: dir, FallbackDir: dir, RunID: "r1"}
		l, err := export.TryAcquire(tg, export.RoleExport)
		if err != nil {
			rt.Fatal(err)
		}
		defer l.Close()
		e, err := export.Open(l, tg, export.Config{})
		if err != nil {
			rt.Fatal(err)
		}
		const n = 3
		held := make([]int64, n)
		complete := false
		for range rapid.IntRange(1, 6).Draw(rt, "exports") {
			if rapid.Bool().Draw(rt, "newSession") {
				if e, err = export.Open(l, tg, export.Config{}); err != nil {
					rt.Fatal(err)
				}
			}
			bars := rapid.SliceOfN(rapid.SampledFrom([]int64{-1, 0, 1, 50, 99, 100, 100}), n, n).Draw(rt, "bars")
			final := rapid.Bool().Draw(rt, "final")
			do := e.Export
			if final {
				do = e.ExportFinal
			}
			_, err := do(t.Context(), aReport(n), theChunks(t, bars...))
			if err != nil && !(complete && errors.Is(err, export.ErrComplete)) {
				rt.Fatal(err)
			}
			f := read(t, tg.Perf())
			for i, c := range f.Chunks {
				held[i] = max(held[i], bars[i])
				if c.Line.Bars() != held[i] {
					rt.Fatalf("chunk %d: %d bars in the file, %d were exported", i, c.Line.Bars(), held[i])
				}
			}
			complete = complete || f.Totals.Outcome == perf.OutcomeComplete
		}
	})
}

func TestInvariant2_CompleteStays(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	e, err := export.Open(l, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	done := theChunks(t, 100, 100)
	exported(t, e, done)
	// The first export of a run that was stopped at its very end is not the
	// last word of the same process.
	res, err := e.ExportFinal(t.Context(), aReport(2), done)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(tg.Perf())
	if err != nil {
		t.Fatal(err)
	}
	other, err := export.Open(l, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*export.Exporter{"the same process": e, "another": other} {
		got, err := e.Export(t.Context(), aReport(2), theChunks(t, 5, -1))
		if !errors.Is(err, export.ErrComplete) {
			t.Fatalf("%s: %v", name, err)
		}
		if got.SHA256 != res.SHA256 || got.Bytes != res.Bytes || got.Totals.Outcome != perf.OutcomeComplete {
			t.Errorf("%s: %+v", name, got)
		}
		after, err := os.Stat(tg.Perf())
		if err != nil {
			t.Fatal(err)
		}
		if !os.SameFile(before, after) {
			t.Errorf("%s: the file was replaced", name)
		}
	}
	wantNames(t, tg.Dir, "perf_r1.json")
}

// What is no export of this run is kept beside the new one.
func TestInvariant4_SetAside(t *testing.T) {
	foreign, err := perf.Append(nil, perf.Report{RunID: "other"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	broken, err := perf.Append(nil, aReport(1), theChunks(t, 40))
	if err != nil {
		t.Fatal(err)
	}
	for name, old := range map[string][]byte{
		"empty": nil, "cut off": broken[:len(broken)/2], "of the original": []byte(`{"run_id": "r1", "chunks": []}`),
		"of another run": foreign, "edited": bytes.Replace(broken, []byte(`"replayed_bars": 40`), []byte(`"replayed_bars": 41`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			tg := target(t)
			l := locked(t, tg)
			for i, aside := range []string{".set-aside-1", ".set-aside-2"} {
				write(t, tg.Perf(), old)
				e, err := export.Open(l, tg, export.Config{})
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := e.Last(); ok {
					t.Fatal("it counts as an export")
				}
				if got, err := os.ReadFile(tg.Perf()); err != nil || !bytes.Equal(got, old) {
					t.Fatalf("Open has touched it: %v", err)
				}
				res := exported(t, e, theChunks(t, int64(i)))
				if res.SetAside != tg.Perf()+aside || res.WhySetAside == nil {
					t.Errorf("renamed to %q because of %v", res.SetAside, res.WhySetAside)
				}
				if got, err := os.ReadFile(res.SetAside); err != nil || !bytes.Equal(got, old) {
					t.Errorf("%v: it was changed", err)
				}
				if got := replayed(t, tg.Perf()); got != int64(i) {
					t.Errorf("%d bars, want %d", got, i)
				}
				if res := exported(t, e, theChunks(t, 50)); res.SetAside != "" || res.WhySetAside != nil {
					t.Errorf("the second export sets aside %q", res.SetAside)
				}
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	newer, err := perf.Append(nil, aReport(1), theChunks(t, 40))
	if err != nil {
		t.Fatal(err)
	}
	newer = bytes.Replace(newer, []byte(`"schema": 1,`), []byte(`"schema": 2,`), 1)
	for name, c := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"a newer schema": {func(p string) error { return os.WriteFile(p, newer, 0o644) }, "unknown schema"},
		"a directory":    {func(p string) error { return os.Mkdir(p, 0o755) }, "is no plain file (a directory)"},
		"a link":         {func(p string) error { return os.Symlink("elsewhere", p) }, "a symbolic link"},
	} {
		tg := target(t)
		l := locked(t, tg)
		if err := c.put(tg.Perf()); err != nil {
			t.Fatal(err)
		}
		if _, err := export.Open(l, tg, export.Config{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tg := target(t)
	l := locked(t, tg)
	other := tg
	other.RunID = "r2"
	if _, err := export.Open(l, other, export.Config{}); err == nil {
		t.Error("the lock of one run opens another")
	}
}

// The same run_id on other data, another policy or another plan is refused,
// and what is there stays.
func TestExportOfAnotherRunIsRefused(t *testing.T) {
	for name, change := range map[string]func(*perf.Report, []perf.Chunk){
		"data":   func(r *perf.Report, _ []perf.Chunk) { r.Data.SHA256 = "d2" },
		"policy": func(r *perf.Report, _ []perf.Chunk) { r.Policy.SHA256 = "p2" },
		"run":    func(r *perf.Report, _ []perf.Chunk) { r.RunID = "r2" },
		"plan":   func(_ *perf.Report, c []perf.Chunk) { c[0].Planned = 99 },
	} {
		tg := target(t)
		e := opened(t, tg, export.Config{})
		exported(t, e, theChunks(t, 40, 40))
		r, chunks := aReport(2), theChunks(t, 50, 50)
		change(&r, chunks)
		if _, err := e.Export(t.Context(), r, chunks); !errors.Is(err, perf.ErrOtherRun) {
			t.Errorf("%s: %v", name, err)
		}
		if got := replayed(t, tg.Perf()); got != 80 {
			t.Errorf("%s: %d bars, want 80", name, got)
		}
		wantNames(t, tg.Dir, "perf_r1.json")
	}
}

// A file that somebody put there after Open is read before it is replaced.
func TestExportReadsWhatChanged(t *testing.T) {
	tg := target(t)
	e := opened(t, tg, export.Config{})
	exported(t, e, theChunks(t, 10, 60, -1))
	theirs, err := perf.Append(nil, aReport(3), theChunks(t, 50, 20, 30))
	if err != nil {
		t.Fatal(err)
	}
	write(t, tg.Perf(), theirs)
	exported(t, e, theChunks(t, 11, 11, 11))
	if got := replayed(t, tg.Perf()); got != 50+60+30 {
		t.Errorf("%d bars, want 140", got)
	}
	// Gone altogether: what is known is written again.
	if err := os.Remove(tg.Perf()); err != nil {
		t.Fatal(err)
	}
	exported(t, e, nil)
	if got := replayed(t, tg.Perf()); got != 50+60+30 {
		t.Errorf("%d bars, want 140", got)
	}
	write(t, tg.Perf(), []byte("scribbled over"))
	if res := exported(t, e, nil); res.SetAside == "" || replayed(t, tg.Perf()) != 140 {
		t.Errorf("%+v", res)
	}
}

func TestSweep(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	for _, n := range []string{".perf_r1.1-0.tmp", ".perf_r1.2-ffff.tmp", ".perf_r10.1-0.tmp", ".perf_r1.keep", "perf_r1.json.set-aside-1"} {
		write(t, filepath.Join(tg.Dir, n), nil)
	}
	if _, err := export.Open(l, tg, export.Config{}); err != nil {
		t.Fatal(err)
	}
	wantNames(t, tg.Dir, ".perf_r1.keep .perf_r10.1-0.tmp perf_r1.json.set-aside-1")
}

func TestExportHeedsCtx(t *testing.T) {
	tg := target(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	e := opened(t, tg, export.Config{BeforeSync: func(string) error { cancel(errTest); return nil }})
	for range 2 { // before the rename, and before anything
		if _, err := e.Export(ctx, aReport(1), theChunks(t, 40)); !errors.Is(err, errTest) {
			t.Errorf("%v", err)
		}
		wantNames(t, tg.Dir, "")
	}
}

// Exports take turns; Last, Fail and WriteFallback wait for none of them.
func TestHungDisk(t *testing.T) {
	tg := target(t)
	hang, hung := make(chan struct{}), make(chan string, 1)
	var hangs atomic.Int32
	cfg := export.Config{BeforeSync: func(aside string) error {
		if filepath.Dir(aside) == tg.Dir && hangs.Add(1) == 1 {
			hung <- aside
			<-hang
		}
		return nil
	}}
	e := opened(t, tg, cfg)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := e.Export(context.Background(), aReport(1), theChunks(t, 40)); err != nil {
				t.Error(err)
			}
		})
	}
	if aside := <-hung; !strings.HasPrefix(filepath.Base(aside), ".perf_r1.") {
		t.Errorf("the hook is told of %s", aside)
	}
	if _, ok := e.Last(); ok {
		t.Error("an export that hangs counts")
	}
	paths, err := e.WriteFallback(export.Failure{Report: aReport(1), Chunks: theChunks(t, 60), Cause: errTest})
	if err != nil || len(paths) != 2 || replayed(t, tg.FallbackPerf()) != 60 {
		t.Errorf("%v, %v", paths, err)
	}
	if paths, err := e.Fail(export.Failure{Report: aReport(1), Cause: errTest}); err != nil || len(paths) != 1 || paths[0] != tg.Stub() {
		t.Errorf("%v, %v", paths, err)
	}
	close(hang)
	wg.Wait()
	if replayed(t, tg.Perf()) != 40 {
		t.Error("the export did not go on")
	}
	wantNames(t, tg.Dir, "perf_r1.json") // and the stub, which is not true any more, is gone
}

func TestWriteCopyAndChunkFooters(t *testing.T) {
	tg := target(t)
	e := opened(t, tg, export.Config{})
	if err := e.WriteCopy(); err != nil {
		t.Fatal(err)
	}
	wantNames(t, tg.Dir, "")
	chunks := theChunks(t, 100, 37, -1, -1)
	chunks[3].Status, chunks[3].Error = footer.StatusFailed, "no model"
	exported(t, e, chunks)
	if err := e.WriteCopy(); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(tg.Perf())
	b, errB := os.ReadFile(tg.Copy())
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%v, %v: the copy differs", errA, errB)
	}
	for i, want := range []int{3, 0} { // the second time nothing has changed
		if n, err := export.WriteChunkFooters(t.Context(), tg, chunks, perf.Selection{}); err != nil || n != want {
			t.Errorf("round %d: %d files written, %v", i, n, err)
		}
	}
	wantNames(t, tg.RunDir(), "chunk_0 chunk_1 chunk_3 perf_r1.json")
	wantNames(t, filepath.Join(tg.RunDir(), "chunk_1"), "chunk_footer.json")
	for i, want := range map[int]footer.Status{0: footer.StatusOK, 1: footer.StatusStopped, 3: footer.StatusFailed} {
		b, err := os.ReadFile(tg.ChunkFooter(i))
		if err != nil {
			t.Fatal(err)
		}
		f, err := footer.DecodeJSON(b)
		if err != nil || f.Status != want || f.Error != chunks[i].Error || f.BarsProcessed != chunks[i].Line.Bars() || f.ChunkIdx != int64(i) {
			t.Errorf("chunk %d: %v, %+v", i, err, f)
		}
	}
	chunks[1] = aChunk(t, 1, 38)
	if n, err := export.WriteChunkFooters(t.Context(), tg, chunks, perf.Selection{}); err != nil || n != 1 {
		t.Errorf("one changed: %d files written, %v", n, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	if _, err := export.WriteChunkFooters(ctx, tg, chunks, perf.Selection{}); !errors.Is(err, errTest) {
		t.Errorf("%v", err)
	}
	// A deleted output directory is not made again.
	if err := os.RemoveAll(tg.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := export.WriteChunkFooters(t.Context(), tg, chunks, perf.Selection{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := export.WriteChunkFooters(t.Context(), layout.Run{Dir: tg.Dir, RunID: "../x"}, chunks, perf.Selection{}); err == nil {
		t.Error("any run_id makes a path")
	}
}

func TestPaths(t *testing.T) {
	tg := layout.Run{Dir: "out", RunID: run.ID("r1")}
	for got, want := range map[string]string{
		tg.Perf(): "out/perf_r1.json", tg.Stub(): "out/perf_r1_FAILED_EXPORT.json", tg.Lock(): "out/.gx1/r1/lock",
		tg.Copy(): "out/r1/perf_r1.json", tg.ChunkFooter(12): "out/r1/chunk_12/chunk_footer.json",
		tg.FallbackPerf(): filepath.Join(os.TempDir(), "perf_r1.json"),
	} {
		if filepath.ToSlash(got) != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func write(tb testing.TB, path string, b []byte) {
	tb.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		tb.Fatal(err)
	}
}
