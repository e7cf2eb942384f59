//go:build linux

package fault_test

import (
	"context"
	"encoding/json"

	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	work "gx1replay/internal/worker"
	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// What the worker itself puts into a footer may be no number either: CPU
// seconds are what a kernel says. (Its time is a difference of two moments,
// and the rest are whole numbers.) They cost nothing but themselves.
func TestNumbersOfTheWorkerThatAreNone(t *testing.T) {
	testsize.All(t)
	for name, usage := range map[string]func(n int64) float64{
		"NaN": func(int64) float64 { return math.NaN() },
		// The first attempt's footers hold an infinity, all others' what is
		// left between two.
		"+Inf": func(n int64) float64 { return []float64{0, math.Inf(1)}[min(n, 1)] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t, "nanworker", 0, 0)
			_, info, ended := h.run(t)
			b, err := bus.Connect(t.Context(), bus.Config{Access: bus.Access{URL: info.URL}, Options: []nats.Option{key(t, info)}, Name: "worker", Worker: "w"})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			var asked atomic.Int64
			w := work.New(work.Config{
				Bus: b, ID: "w", Host: "here", PID: os.Getpid(), Run: h.RunID, WorkDir: filepath.Join(h.OutputDir, "..", "work"),
				Engine: &work.Builtin{
					Objects: b, Cache: dataset.NewCache(t.TempDir(), 1<<30, nil),
					Usage: func() (float64, float64, int64) { return usage(1), 0, 0 },
				},
				Logger: slog.New(slog.DiscardHandler),
				Usage: func() (float64, float64, int64) {
					v := usage(asked.Add(1) - 1)
					return v, v, 0
				},
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			worked := make(chan error, 1)
			go func() { worked <- w.Run(ctx) }()
			got := within(t, "the run has ended", ended)
			cancel(work.ErrShutdown)
			if err := within(t, "the worker has ended", worked); err != nil {
				t.Error(err)
			}
			if got.err != nil || got.out.Code != 0 {
				t.Errorf("exit code %d, error %v (expected 0)", got.out.Code, got.err)
			}
			rep, err := check.File(h.perf(), check.Options{RunID: string(h.RunID), Bars: int64(slow.bars), Outcome: "complete"})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range rep.Violations {
				t.Error(v)
			}
			if rep.Failures != 0 {
				t.Errorf("%d failures (expected none)", rep.Failures)
			}
			text, err := os.ReadFile(h.perf())
			if err != nil {
				t.Fatal(err)
			}
			var f struct {
				Chunks []struct {
					User      *float64 `json:"cpu_user_sec"`
					Sys       *float64 `json:"cpu_sys_sec"`
					NonFinite []string `json:"nonfinite_fields"`
				} `json:"chunks"`
			}
			if err := json.Unmarshal(text, &f); err != nil {
				t.Fatal(err)
			}
			for i, c := range f.Chunks {
				slices.Sort(c.NonFinite)
				if c.User == nil || *c.User != 0 || c.Sys == nil || *c.Sys != 0 || !slices.Equal(c.NonFinite, []string{"cpu_sys_sec", "cpu_user_sec"}) {
					t.Errorf("chunks[%d]: cpu_user_sec %v, cpu_sys_sec %v, nonfinite_fields %v (expected 0, 0 and both names)", i, c.User, c.Sys, c.NonFinite)
				}
			}
			if len(f.Chunks) != slowChunks {
				t.Errorf("%d chunks (expected %d)", len(f.Chunks), slowChunks)
			}
		})
	}
}
