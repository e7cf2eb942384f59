package export_test

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/test/virtual"
)

// A signal that comes twice within a second is one stop: GNU timeout signals
// its child and then its group. A later one exports at once.
func TestASignalDeliveredTwiceIsOneStop(t *testing.T) {
	for _, c := range []struct {
		name        string
		at          []time.Duration // of further signals, after the first
		least, most time.Duration   // that the run takes
	}{
		{"once", nil, 5 * time.Second, 6 * time.Second},
		{"at once", []time.Duration{0}, 5 * time.Second, 6 * time.Second},
		{"many within a second", []time.Duration{0, 100 * time.Millisecond, 900 * time.Millisecond}, 5 * time.Second, 6 * time.Second},
		{"again after that", []time.Duration{1100 * time.Millisecond}, time.Second, 2 * time.Second},
		{"twice, and again", []time.Duration{0, 2 * time.Second}, 2 * time.Second, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual.Test(t, func(t *testing.T) {
				chunks := theChunks(t, chunkBars, 37)
				signals := make(chan os.Signal, 8)
				began := time.Now()
				_, f := watched(t, func() []perf.Chunk { return chunks }, nil, signals, func(w *export.Watchdog) {
					signals <- syscall.SIGTERM
					for _, at := range c.at {
						time.Sleep(time.Until(began.Add(at))) // of the bubble: virtual time
						signals <- syscall.SIGTERM
					}
					time.Sleep(time.Until(began.Add(5 * time.Second)))
					w.Ended(nil)
				})
				if took := time.Since(began); f.Report.Mode != perf.ModeSignal || f.Report.Stop.Source != run.SourceSIGTERM || f.Report.Drain < c.least || f.Report.Drain > c.most {
					t.Errorf("mode %s, source %s, a drain of %v, %v in all (want a drain of %v to %v)", f.Report.Mode, f.Report.Stop.Source, f.Report.Drain, took, c.least, c.most)
				}
			})
		})
	}
}

// A stop that is given again during the drain is done with by the last export,
// however often.
func TestAStopGivenAgainBelongsToTheSession(t *testing.T) {
	for _, own := range []bool{true, false} {
		virtual.Test(t, func(t *testing.T) {
			chunks := theChunks(t, chunkBars, 37)
			signals := make(chan os.Signal, 8)
			_, f := watched(t, func() []perf.Chunk { return chunks }, nil, signals, func(w *export.Watchdog) {
				if own {
					signals <- syscall.SIGTERM
					synctest.Wait()
				}
				for seq := range uint64(100) {
					w.Stop(run.Stop{Source: run.SourceSubject, Seq: seq + 1, RequestedAt: time.Now()})
					if seq == 0 {
						synctest.Wait()
					}
				}
				w.Ended(nil)
			})
			if f.Report.Stop.Seq != 100 || own != f.Report.Stop.Source.Own() {
				t.Errorf("%s: stop.seq %d (want that of the last stop, 100)", f.Report.Stop.Source, f.Report.Stop.Seq)
			}
		})
	}
}
