//go:build linux

package fault_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// worker waits for a worker that is in the middle of a chunk, and returns its
// pid and that chunk. Chunk 0 does not count: it is nearly all warm-up, and
// over in a moment.
func worker(ctx context.Context, t *testing.T, r *drive.Run) (pid int, chunk int64) {
	t.Helper()
	err := r.Until(ctx, "a worker is in the middle of a chunk", func() bool {
		logs, err := check.ReadLogs(r.BarLog())
		if err != nil {
			return false // a line is being written
		}
		for _, p := range r.Workers() {
			for _, a := range logs.Attempts() {
				if a.File == strconv.Itoa(p.PID)+".log" && a.Chunk > 0 && a.Bars < int64(r.Config.Bars/slowChunks) {
					pid, chunk = p.PID, a.Chunk
					return true
				}
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return pid, chunk
}

// recorded waits until the worker's chunk has surely been recorded: the bar
// log has grown for longer than the distance of two records.
func recorded(ctx context.Context, t *testing.T, r *drive.Run, pid int) {
	t.Helper()
	log := filepath.Join(r.BarLog(), strconv.Itoa(pid)+".log")
	size := func() int64 {
		info, err := os.Stat(log)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	first, begun := size(), time.Now()
	if err := r.Until(ctx, "it was recorded", func() bool { return size() > first && time.Since(begun) > time.Second }); err != nil {
		t.Fatal(err)
	}
}

// A worker that is stopped dead holds up the end up to the drain's deadline
// and no longer; its chunk keeps the bars of its last record, and the process
// does not stay.
func TestStoppedWorker(t *testing.T) {
	testsize.All(t)
	r, ctx := start(t, slow.with("--drain-timeout", "1s"))
	pid, chunk := worker(ctx, t, r)
	recorded(ctx, t, r, pid)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 0)
	if d := time.Since(begun); d < time.Second || d > 10*time.Second {
		t.Errorf("it ended after %v (expected the drain's deadline of 1 s, and little more)", d)
	}
	rep := valid(t, r, r.Perf(), check.Options{Stop: []string{"sigterm"}, Outcome: "stopped", MaxUnreported: -1})
	if rep.Statuses["unresponsive"] != 1 {
		t.Errorf("the chunks are %v (expected one unresponsive)", rep.Statuses)
	}
	status, bars := chunkOf(t, r.Perf(), chunk)
	if status != "unresponsive" || bars == 0 {
		t.Errorf("chunk %d is %s with %d bars (expected unresponsive with those of its last record)", chunk, status, bars)
	}
}

func chunkOf(t *testing.T, path string, idx int64) (status string, bars int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Chunks []struct {
			Status string `json:"status"`
			Bars   int64  `json:"bars_processed"`
		} `json:"chunks"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f.Chunks[idx].Status, f.Chunks[idx].Bars
}

// A second SIGTERM means now.
func TestSecondSignalExportsAtOnce(t *testing.T) {
	testsize.All(t)
	r, ctx := start(t, slow.with("--drain-timeout", "1h"))
	pid, _ := worker(ctx, t, r)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.Until(ctx, "the first export is there", func() bool { _, err := os.Stat(r.Perf()); return err == nil }); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	// Those within a second of the first are the same stop.
	if err := r.Until(ctx, "it has ended", func() bool {
		select {
		case <-r.Exited():
			return true
		default:
			return r.Signal(syscall.SIGTERM) != nil
		}
	}); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 0)
	if d := time.Since(begun); d > 10*time.Second {
		t.Errorf("it ended %v after the second signal", d)
	}
	valid(t, r, r.Perf(), check.Options{Stop: []string{"sigterm"}, Outcome: "stopped", MaxUnreported: -1})
}

// A worker that is killed costs its attempt and nothing else.
func TestKilledWorker(t *testing.T) {
	// Long against what a busy machine takes to find the worker and to kill it.
	s := setup{bars: 4000, latency: 10 * time.Millisecond, args: []string{"--chunks", "4", "--workers", "2", "--lease-duration", "1s"}}
	r, ctx := start(t, s)
	pid, _ := worker(ctx, t, r)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 0)
	rep := valid(t, r, r.Perf(), check.Options{Outcome: "complete"})
	if rep.Failures < 1 || rep.Redeliveries < 1 {
		t.Errorf("failures is %d, redeliveries is %d (expected at least one each)", rep.Failures, rep.Redeliveries)
	}
}

// A coordinator that is killed leaves no worker after a second, and each
// attempt's footer on the worker's disk, with all that it stepped over.
func TestKilledCoordinator(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"in a chunk": slow,
		// Mostly it meets workers that wait for an answer of the bus.
		"between chunks": {bars: 6000, latency: time.Millisecond, args: []string{"--chunks", "600", "--workers", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, ctx := start(t, s)
			if err := r.Until(ctx, "some of the bars are done", func() bool { return r.Bars() > s.bars/10 }); err != nil {
				t.Fatal(err)
			}
			if err := r.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			if err := r.Gone(ctx); err != nil {
				t.Fatal(err)
			}
			// A second, on a machine with nothing else to do; the campaign
			// measures that.
			if d := time.Since(killed); d > 5*time.Second {
				t.Errorf("the workers outlived their coordinator by %v", d)
			}
			footersOnDisk(t, r)
		})
	}
}

func footersOnDisk(t *testing.T, r *drive.Run) {
	t.Helper()
	logs, err := check.ReadLogs(r.BarLog())
	if err != nil {
		t.Fatal(err)
	}
	if len(logs.Attempts()) == 0 {
		t.Fatal("no attempt has logged a bar")
	}
	for _, a := range logs.Attempts() {
		bars, err := r.FooterOnDisk(a.Chunk, a.N)
		if err != nil {
			t.Error(err)
		} else if bars != a.Bars {
			t.Errorf("chunk %d, attempt %d: bars_processed is %d on the disk (%d were stepped over)", a.Chunk, a.N, bars, a.Bars)
		}
	}
}
