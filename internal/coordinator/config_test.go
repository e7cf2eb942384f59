package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
	"gx1replay/internal/worker"
)

func loads(context.Context) (bars.Set, error) {
	return bars.Set{Bars: bars.Generate(400, 1), Source: "test"}, nil
}

// The zero Config has the defaults that its fields name.
func TestConfigDefaults(t *testing.T) {
	c, a, err := Config{Load: loads}.complete()
	if err != nil {
		t.Fatal(err)
	}
	if c.OutputDir != "reports/replay_eval/GATED" || c.Engine != "builtin" || c.Order != run.OrderSpread || c.Chunks != runtime.NumCPU() ||
		c.Listen != "127.0.0.1:4222" || c.Drain != 8*time.Second || c.Lease != 10*time.Second || c.MaxFailures != 3 || c.TimeBox != 0 {
		t.Errorf("%+v", c)
	}
	if _, err := run.ParseID(string(c.RunID)); err != nil || c.Logger == nil || c.WorkerLog == nil || c.Observer == nil {
		t.Errorf("run id %q (%v), logger %v, worker log %v, observer %v", c.RunID, err, c.Logger, c.WorkerLog, c.Observer)
	}
	if a != (asked{}) {
		t.Errorf("asked for %+v (want nothing)", a)
	}
	on := false
	starts := func(int, LocalWorker) process.Spec { return process.Spec{} }
	for name, k := range map[string]struct {
		cfg    Config
		chunks int
		asked  asked
	}{
		"one for each worker":    {Config{Workers: 3, WorkerCommand: starts}, 3, asked{}},
		"eight with exec":        {Config{Workers: 3, WorkerCommand: starts, Engine: "exec"}, 24, asked{}},
		"chunks":                 {Config{Chunks: 5}, 5, asked{plan: true}},
		"bars":                   {Config{ChunkBars: 5}, runtime.NumCPU(), asked{plan: true}},
		"order":                  {Config{Order: run.OrderTime}, runtime.NumCPU(), asked{order: true}},
		"decisions, be it of no": {Config{Decisions: &on}, runtime.NumCPU(), asked{decisions: true}},
	} {
		k.cfg.Load = loads
		if c, a, err := k.cfg.complete(); err != nil || c.Chunks != k.chunks || a != k.asked {
			t.Errorf("%s: %d chunks, asked for %+v, %v (want %d, %+v)", name, c.Chunks, a, err, k.chunks, k.asked)
		}
	}
}

// A value out of its range is an error that names its field.
func TestConfigOutOfRange(t *testing.T) {
	on := true
	for field, list := range map[string][]Config{
		"Engine":        {{Engine: "python"}},
		"EngineVersion": {{EngineVersion: -1}},
		"Decisions":     {{Decisions: &on, Engine: "exec"}},
		"Workers":       {{Workers: -1}, {Workers: MaxWorkers + 1}},
		"Chunks":        {{Chunks: -1}, {Chunks: run.MaxChunks + 1}},
		"ChunkBars":     {{ChunkBars: -1}, {Chunks: 1, ChunkBars: 1}},
		"Order":         {{Order: "random"}},
		"TimeBox":       {{TimeBox: -1}},
		"Drain":         {{Drain: time.Millisecond}, {Drain: 2 * time.Hour}, {Drain: -1}},
		"Lease":         {{Lease: time.Millisecond}, {Lease: 2 * time.Hour}},
		"MaxFailures":   {{MaxFailures: -1}},
		"NATS.Replicas": {{NATS: &External{Replicas: 2}}},
	} {
		for _, c := range list {
			wrong := (*ConfigError)(nil)
			if err := c.Validate(); !errors.As(err, &wrong) || wrong.Field != field || wrong.Want == "" {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	for name, c := range map[string]Config{
		"no data": {}, "no worker command": {Load: loads, Workers: 1}, "a bad run id": {Load: loads, RunID: "../x"},
	} {
		if _, err := Run(c, nil); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}

// A run is started from values: no flag, no file but those that it writes.
func TestARunFromValues(t *testing.T) {
	p, err := policy.Parse("p.yaml", []byte("model: {kind: logistic, long: {bias: 0, weights: {roc20: 30}}, short: {bias: 0, weights: {roc20: -30}}}\nexit: {target_bps: 20, stop_bps: 10, max_bars: 50}\n"), policy.Options{NeedModel: true})
	if err != nil {
		t.Fatal(err)
	}
	emptyPools()
	defer emptyPools()
	dir := t.TempDir()
	crew := &inProcess{t: t, dir: dir}
	defer crew.end()
	out, err := Run(Config{OutputDir: dir, Policy: p, Load: loads, Chunks: 4, Listen: "127.0.0.1:0", TimeBox: time.Minute, Observer: crew}, nil)
	if err != nil || out.Code != 0 || out.Result.Totals.Outcome != perf.OutcomeComplete || out.Result.Totals.TotalBars != 400 {
		t.Errorf("code %d, %+v, %v", out.Code, out.Result.Totals, err)
	}
	if !reflect.DeepEqual(out.Result.Totals.Coverage.ByStatus[footer.StatusOK], perf.StatusCount{Chunks: 4, PlannedBars: 400, ReplayedBars: 400}) {
		t.Errorf("%+v", out.Result.Totals.Coverage)
	}
}

// inProcess starts a worker within this process once the run is ready.
type inProcess struct {
	Unobserved
	t     *testing.T
	dir   string
	stop  context.CancelCauseFunc
	owned sync.WaitGroup
}

func (p *inProcess) Ready(i Info) {
	ctx, stop := context.WithCancelCause(context.Background())
	p.stop = stop
	b, err := bus.Connect(ctx, bus.Config{Access: bus.Access{URL: i.URL, NKey: i.KeyFile}, Name: "w", Worker: "w"})
	if err != nil {
		p.t.Error(err)
		return
	}
	work := filepath.Join(p.dir, "work")
	w := worker.New(worker.Config{
		Bus: b, ID: "w", Host: "test", PID: 1, Run: i.RunID, WorkDir: work, Logger: slog.New(slog.DiscardHandler),
		Engine: &worker.Builtin{Objects: b, Cache: dataset.NewCache(work, 1<<30, nil)},
		Usage:  func() (float64, float64, int64) { return 0, 0, 0 },
	})
	p.owned.Go(func() {
		defer b.Close()
		if err := w.Run(ctx); err != nil && ctx.Err() == nil {
			p.t.Error(err)
		}
	})
}

func (p *inProcess) end() {
	if p.stop != nil {
		p.stop(worker.ErrShutdown)
	}
	p.owned.Wait()
}
