//go:build linux

package fault_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bars"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/export"
	"gx1replay/internal/policy"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// holdAt is a log that never comes back to whoever logs a text, until it is
// freed: that is how the session's own goroutine is blocked while all others
// go on.
type holdAt struct {
	text string
	held chan struct{} // closed when somebody is held
	free chan struct{}
	once *sync.Once
}

func (h holdAt) Enabled(context.Context, slog.Level) bool { return true }
func (h holdAt) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h holdAt) WithGroup(string) slog.Handler            { return h }

func (h holdAt) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, h.text) {
		h.once.Do(func() { close(h.held) })
		<-h.free
	}
	return nil
}

// hosted is a coordinator's session that runs in this process, so that a test
// can give it what a command line cannot.
type hosted struct {
	coordinator.Config
	barLog  string // directory of the bar logs
	signals chan os.Signal
	ready   chan coordinator.Info
}

// host prepares a session of slow's chunks with local workers that are
// processes as always.
func host(t *testing.T, id run.ID, latency time.Duration, workers int) hosted {
	t.Helper()
	dir := t.TempDir()
	h := hosted{barLog: filepath.Join(dir, "bars"), signals: make(chan os.Signal, 2), ready: make(chan coordinator.Info, 1)}
	if err := os.Mkdir(h.barLog, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "policy.yaml")
	if err := drive.WritePolicy(file, latency); err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Load(file, policy.Options{NeedModel: true})
	if err != nil {
		t.Fatal(err)
	}
	h.Config = coordinator.Config{
		RunID: id, OutputDir: filepath.Join(dir, "out"), FallbackDir: filepath.Join(dir, "fallback"), Policy: pol,
		Load: func(context.Context) (bars.Set, error) {
			return bars.Open("synthetic:"+strconv.Itoa(slow.bars), bars.ReadOptions{})
		},
		Chunks: slowChunks, Workers: workers,
		WorkerCommand: func(_ int, w coordinator.LocalWorker) process.Spec {
			return process.Spec{
				Path: binary,
				Args: []string{binary, "worker", "--run", string(w.RunID), "--work-dir", w.WorkDir, "--nats", w.URL, "--nkey", w.KeyFile},
				Env:  append(os.Environ(), "GX1TEST_BARLOG="+h.barLog),
			}
		},
		Listen: "127.0.0.1:0", Drain: time.Second, Signals: h.signals, Observer: readies{ready: h.ready},
	}
	return h
}

// readies is told when a run is ready.
type readies struct {
	coordinator.Unobserved
	ready chan<- coordinator.Info
}

func (r readies) Ready(i coordinator.Info) { r.ready <- i }

// perf is where the session's perf JSON goes.
func (h hosted) perf() string {
	return filepath.Join(h.OutputDir, "perf_"+string(h.RunID)+".json")
}

// end is how a hosted session ended.
type end struct {
	out export.Outcome
	err error
}

// run runs the session in the background. When the test is over the session
// is, too, and its bus is closed.
func (h hosted) run(t *testing.T) (*coordinator.Session, coordinator.Info, <-chan end) {
	t.Helper()
	session := make(chan *coordinator.Session, 1)
	ended := make(chan end, 1)
	go func() {
		out, err := coordinator.Run(h.Config, func(s *coordinator.Session) { session <- s })
		ended <- end{out, err}
	}()
	s, info := within(t, "the session begins", session), within(t, "the bus is up", h.ready)
	t.Cleanup(func() {
		for range cap(h.signals) {
			select {
			case h.signals <- syscall.SIGTERM:
			default:
			}
		}
		until(t, "the bus is closed", func() bool { return !answers(info.URL) })
	})
	return s, info, ended
}

// key opens the bus of a hosted session.
func key(t *testing.T, i coordinator.Info) nats.Option {
	t.Helper()
	opt, err := nats.NkeyOptionFromSeed(i.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// The session's goroutine hangs while bars move: it logs, in the middle of
// its reconciling, that a bad footer goes, and its log never comes back.
func TestBlockedSessionInMidRun(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	h := host(t, "midrun", slow.latency, 2)
	log := holdAt{"unusable final footer deleted", make(chan struct{}), make(chan struct{}), &sync.Once{}}
	h.Logger = slog.New(log)
	begun := time.Now()
	s, info, ended := h.run(t)
	t.Cleanup(func() { close(log.free) }) // before the bus is waited for
	until(t, "bars move", func() bool { return s.Progress().Bars > 0 })

	nc, err := nats.Connect(info.URL, key(t, info))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	// Of a chunk that nobody works on yet.
	if _, err := nc.Request(fmt.Sprintf("gx1.footer.%s.%d", h.RunID, slowChunks-1), []byte("garbage"), deadline); err != nil {
		t.Fatal(err)
	}
	within(t, "the session's goroutine hangs", log.held)
	before := s.Progress().Bars
	until(t, "bars move on", func() bool { return s.Progress().Bars > before })

	stopped := time.Now()
	h.signals <- syscall.SIGTERM
	got := within(t, "the run has ended", ended)
	if got.err != nil || got.out.Code != 0 || got.out.Stop.Source != run.SourceSIGTERM {
		t.Errorf("exit code %d, stop %q, error %v (expected 0, sigterm)", got.out.Code, got.out.Stop.Source, got.err)
	}
	if d := time.Since(stopped); d < h.Drain {
		t.Errorf("it ended %v after the stop, before the drain's deadline of %v", d, h.Drain)
	}
	rep, err := check.File(h.perf(), check.Options{
		RunID: string(h.RunID), BarLog: h.barLog, Bars: int64(slow.bars), WallSec: time.Since(begun).Seconds(),
		Stop: []string{"sigterm"}, Outcome: "stopped", MaxUnreported: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range rep.Violations {
		t.Error(v)
	}
	if rep.Replayed < before || rep.Statuses["unresponsive"] == 0 {
		t.Errorf("%d bars, statuses %v (expected at least %d, and chunks whose workers were told nothing)", rep.Replayed, rep.Statuses, before)
	}
	for _, pid := range loggers(t, h.barLog) {
		until(t, fmt.Sprintf("worker %d is gone", pid), func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
}

// within waits for what comes over c, or for its end.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("waited %v until %s", deadline, what)
		panic("not reached")
	}
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %v until %s", deadline, what)
		}
	}
}

// answers reports whether somebody listens at a URL.
func answers(at string) bool {
	u, err := url.Parse(at)
	if err != nil {
		return false
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// loggers are the processes that stepped over bars.
func loggers(t *testing.T, barLog string) []int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(barLog, "*.log"))
	if err != nil || len(list) == 0 {
		t.Fatalf("bar logs %v, error %v (expected some)", list, err)
	}
	var pids []int
	for _, name := range list {
		pid, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".log"))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
