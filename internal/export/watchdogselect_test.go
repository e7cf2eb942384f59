package export_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/perf"
	"gx1replay/test/virtual"
)

// selecting is a selector of trades that a test makes.
type selecting func(ctx context.Context, r perf.Report, chunks []perf.Chunk) (perf.Selection, error)

func (s selecting) Select(ctx context.Context, r perf.Report, chunks []perf.Chunk) (perf.Selection, error) {
	return s(ctx, r, chunks)
}

// choice is a selection that knows every chunk.
func choice(chunks []perf.Chunk) perf.Selection {
	s := perf.NewSelection(chunks)
	s.Scope, s.Exact = perf.ScopeRun, true
	for i := range s.Chunks {
		s.Chunks[i] = perf.ChunkTrades{Known: true, Closed: 4}
	}
	return s
}

// watched runs a watchdog on a run that has these chunks, now, until it ends.
// during is called beside it.
func watched(t *testing.T, now func() []perf.Chunk, choose selecting, signals chan os.Signal, during func(*export.Watchdog)) (export.Outcome, perf.File) {
	t.Helper()
	tg := target(t)
	w := export.NewWatchdog(export.WatchdogConfig{
		Exporter: opened(t, tg, export.Config{}), Drain: 8 * time.Second, Signals: signals, Logger: quiet(),
		Snapshot: func() (perf.Report, []perf.Chunk) { chunks := now(); return aReport(len(chunks)), chunks },
		Selector: choose,
	})
	done := make(chan export.Outcome)
	go func() { done <- w.Run() }()
	during(w)
	out := <-done
	if out.Err != nil || out.Code != 0 {
		t.Fatalf("%+v", out)
	}
	return out, read(t, tg.Perf())
}

// blocked selects until its time is over.
func blocked(ctx context.Context, _ perf.Report, _ []perf.Chunk) (perf.Selection, error) {
	<-ctx.Done()
	return perf.Selection{}, context.Cause(ctx)
}

func ended(w *export.Watchdog) { w.Ended(nil) }

func TestLastExportHasTheSelection(t *testing.T) {
	chunks := theChunks(t, chunkBars, chunkBars)
	out, f := watched(t, func() []perf.Chunk { return chunks },
		func(_ context.Context, _ perf.Report, chunks []perf.Chunk) (perf.Selection, error) {
			return choice(chunks), nil
		}, nil, ended)
	if f.Report.Selection.ScopeName() != perf.ScopeRun || f.Totals.TotalTrades != 8 || !out.Result.Settled || out.Result.Totals.TotalTrades != 8 {
		t.Errorf("scope %s, %d trades, result %+v", f.Report.Selection.ScopeName(), f.Totals.TotalTrades, out.Result)
	}
}

// A selection that fails or panics costs itself only.
func TestLastExportWithoutASelection(t *testing.T) {
	for name, choose := range map[string]selecting{
		"an error": func(context.Context, perf.Report, []perf.Chunk) (perf.Selection, error) {
			return perf.Selection{}, errTest
		},
		"a panic": func(context.Context, perf.Report, []perf.Chunk) (perf.Selection, error) { panic(errTest) },
		"of other footers": func(_ context.Context, _ perf.Report, chunks []perf.Chunk) (perf.Selection, error) {
			return perf.NewSelection(chunks[:1]), nil
		},
	} {
		chunks := theChunks(t, chunkBars, chunkBars)
		out, f := watched(t, func() []perf.Chunk { return chunks }, choose, nil, ended)
		if f.Report.Selection.ScopeName() != perf.ScopeChunks || f.Totals.Outcome != perf.OutcomeComplete || out.Result.Settled {
			t.Errorf("%s: scope %s, outcome %s, exact %v", name, f.Report.Selection.ScopeName(), f.Totals.Outcome, out.Result.Settled)
		}
	}
}

// A selection is of the footers that are exported: a last word that comes
// meanwhile is not lost, and is selected from.
func TestLastWordDuringTheSelection(t *testing.T) {
	chunks := theChunks(t, chunkBars, 37)
	times := 0
	_, f := watched(t, func() []perf.Chunk { return chunks },
		func(_ context.Context, _ perf.Report, now []perf.Chunk) (perf.Selection, error) {
			if times++; times == 1 {
				chunks = theChunks(t, chunkBars, 60)
			}
			return choice(now), nil
		}, nil, ended)
	if f.Totals.TotalBars != chunkBars+60 || f.Report.Selection.ScopeName() != perf.ScopeRun || times != 2 {
		t.Errorf("%d bars, scope %s, selected %d times (want both, in two)", f.Totals.TotalBars, f.Report.Selection.ScopeName(), times)
	}
}

// A stopped run does not wait for its trades beyond half of what is left of
// the drain.
func TestSelectionOfAStoppedRunIsBounded(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		chunks := theChunks(t, chunkBars, 37)
		signals := make(chan os.Signal, 1)
		began := time.Now()
		_, f := watched(t, func() []perf.Chunk { return chunks }, blocked, signals, func(w *export.Watchdog) {
			signals <- syscall.SIGTERM
			time.Sleep(time.Second) // of the bubble: virtual time
			w.Ended(nil)
		})
		if took := time.Since(began); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("it took %v (want one second and half of the seven that were left)", took)
		}
		if f.Totals.TotalBars != chunkBars+37 || f.Report.Mode != perf.ModeSignal {
			t.Errorf("%d bars, mode %s", f.Totals.TotalBars, f.Report.Mode)
		}
	})
}

// A run that ended by itself may select for long. What is known stands there
// meanwhile, a signal shortens it and a second one ends it.
func TestLongSelection(t *testing.T) {
	for _, c := range []struct {
		name    string
		signals int
		most    time.Duration
	}{{"no signal", 0, 10*time.Minute + time.Second}, {"one", 1, 70 * time.Second}, {"two", 2, 63 * time.Second}} {
		virtual.Test(t, func(t *testing.T) {
			chunks := theChunks(t, chunkBars, chunkBars)
			signals := make(chan os.Signal, 2)
			tg := target(t)
			w := export.NewWatchdog(export.WatchdogConfig{
				Exporter: opened(t, tg, export.Config{}), Drain: 8 * time.Second, Signals: signals, Logger: quiet(),
				Snapshot: func() (perf.Report, []perf.Chunk) { return aReport(2), chunks },
				Selector: selecting(blocked),
			})
			done := make(chan export.Outcome)
			began := time.Now()
			go func() { done <- w.Run() }()
			w.Ended(nil)
			time.Sleep(time.Minute) // of the bubble: virtual time
			if f := read(t, tg.Perf()); f.Totals.Outcome != perf.OutcomeComplete {
				t.Errorf("%s: a minute into the selection the file is %s", c.name, f.Totals.Outcome)
			}
			for range c.signals {
				signals <- syscall.SIGTERM
				time.Sleep(1100 * time.Millisecond) // sooner it would be the same stop
			}
			out := <-done
			if took := time.Since(began); took > c.most || out.Code != 0 || out.Err != nil {
				t.Errorf("%s: %v, %+v (want at most %v)", c.name, took, out, c.most)
			}
		})
	}
}

// A disk that takes the last export when its time is over, while the fallback
// is written, has taken it: nothing has failed. One that does not, has.
func TestLastExportIsLate(t *testing.T) {
	for _, taken := range []bool{true, false} {
		virtual.Test(t, func(t *testing.T) {
			tg := target(t)
			held := make(chan struct{})
			exports := 0
			cfg := export.Config{BeforeSync: func(aside string) error {
				switch dir := filepath.Dir(aside); {
				case dir == tg.Dir:
					if exports++; exports > 1 { // not the first after the stop
						<-held
					}
				case dir == tg.FallbackDir && fileExists(tg.FallbackPerf()) && taken: // the stub is the last
					close(held)
					synctest.Wait()
				}
				return nil
			}}
			chunks := theChunks(t, chunkBars, 37)
			signals := make(chan os.Signal, 1)
			w := export.NewWatchdog(export.WatchdogConfig{
				Exporter: opened(t, tg, cfg), Drain: 8 * time.Second, Signals: signals, Logger: quiet(),
				Snapshot: func() (perf.Report, []perf.Chunk) { return aReport(2), chunks },
			})
			done := make(chan export.Outcome)
			go func() { done <- w.Run() }()
			signals <- syscall.SIGTERM
			synctest.Wait() // the first export is there
			w.Ended(nil)
			out := <-done
			stub, fallback := fileExists(tg.FallbackStub()), fileExists(tg.FallbackPerf())
			if taken && (out.Code != 0 || out.Err != nil || len(out.Fallbacks) > 0 || stub || fallback || out.Result.SHA256 == "") {
				t.Errorf("taken late: %+v, stub %v, fallback %v (want an export and neither)", out, stub, fallback)
			}
			if !taken {
				if out.Code != 2 || len(out.Fallbacks) != 2 || !stub || !fallback {
					t.Errorf("not taken: %+v, stub %v, fallback %v (want 2 and both)", out, stub, fallback)
				}
				close(held)
				synctest.Wait()
			}
		})
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
