//go:build linux

package crash_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// handLease is the lease of runs whose chunk goes from hand to hand.
const handLease = 3 * time.Second

// hand is a chunkworker of its own.
type hand struct {
	cmd    *exec.Cmd
	exited chan struct{}
	log    string
	work   string // is there once it looks for chunks
}

// hire starts a worker that steps over so many bars and waits then, for as long
// as the run's gate is closed. more is added to its environment.
func hire(v *victim, srv *drive.Server, n, bars int, more ...string) *hand {
	v.t.Helper()
	dir := filepath.Join(filepath.Dir(v.Dir), fmt.Sprintf("hand%d", n))
	v.must(os.Mkdir(dir, 0o700))
	h := &hand{exited: make(chan struct{}), log: filepath.Join(dir, "log"), work: filepath.Join(dir, "work")}
	log, err := os.Create(h.log)
	v.must(err)
	defer log.Close()
	h.cmd = exec.Command(built.binary, "worker", "--nats", srv.URL(), "--run", v.RunID, "--concurrency", "1", "--work-dir", h.work, "--cache-dir", dir)
	// It is none of the coordinator's own, which end with it.
	env := slices.DeleteFunc(v.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GX1TEST_RUN=") })
	h.cmd.Env = append(append(env, more...), fmt.Sprintf("GX1TEST_GATE=%d,%s", bars, gate(filepath.Dir(v.Dir))))
	h.cmd.Stdout, h.cmd.Stderr = log, log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	v.must(h.cmd.Start())
	go func() {
		_ = h.cmd.Wait() // its state says it
		close(h.exited)
	}()
	v.t.Cleanup(func() {
		_ = syscall.Kill(h.cmd.Process.Pid, syscall.SIGKILL)
		<-h.exited
		if v.t.Failed() {
			v.t.Logf("hand %d's log ends with:\n%s", n, drive.Tail(h.log, 8))
		}
	})
	return h
}

// away sends the worker a signal and returns when it has ended.
func (h *hand) away(v *victim, sig syscall.Signal) {
	v.t.Helper()
	v.must(syscall.Kill(h.cmd.Process.Pid, sig))
	select {
	case <-h.exited:
	case <-v.ctx.Done():
		v.t.Fatalf("a worker has not ended after %v", sig)
	}
	if code := h.cmd.ProcessState.ExitCode(); sig == syscall.SIGTERM && code != 0 {
		v.t.Errorf("a worker that was told to go ended with code %d", code)
	}
}

// One chunk goes through eight hands: five give it back, two are killed. The
// next has it within a second, or within 1.6 leases, and the file says how often
// each was.
func TestAChunkGoesFromHandToHand(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := external(t)
	v := begin(t, holding(workers).with("--nats", srv.URL(), "--workers", "0", "--chunks", "1", "--lease-duration", handLease.String()))
	const step = 20
	now := hire(v, srv, 0, step)
	v.done(step)
	for n, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGTERM} {
		next := hire(v, srv, n+1, step)
		v.must(v.Until(v.ctx, "the next worker is there", func() bool {
			_, err := os.Stat(next.work)
			return err == nil
		}))
		ended := time.Now()
		now.away(v, sig)
		v.done(step*(n+1) + 1)
		limit, took := time.Second, time.Since(ended)
		if sig == syscall.SIGKILL {
			limit = handLease * 16 / 10
		}
		// What passes before the first bar on a machine that does other things.
		if took > limit+500*time.Millisecond {
			t.Errorf("after %v the chunk was under way elsewhere within %v (expected %v)", sig, took, limit)
		}
		v.done(step * (n + 2))
		now = next
	}
	v.open()
	_, err := v.Wait(v.ctx)
	v.must(err)
	now.away(v, syscall.SIGTERM)
	v.ends(0)
	rep := v.file(func(o *check.Options) { o.Outcome = "complete" })
	if rep.Releases != 5 || rep.Failures != 2 || rep.Redeliveries != 7 {
		t.Errorf("%d releases, %d failures, %d attempts beyond the first (expected 5, 2, 7)", rep.Releases, rep.Failures, rep.Redeliveries)
	}
}

// A chunk that takes twenty ack-waits is one attempt.
func TestALongChunkIsOneAttempt(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := external(t)
	const lease = time.Second // the ack-wait is half of it
	v := begin(t, holding(planBars/4).with("--nats", srv.URL(), "--workers", "1", "--chunks", "2", "--lease-duration", lease.String()))
	v.done(planBars / 8)
	held := time.NewTimer(20 * lease / 2)
	defer held.Stop()
	select {
	case <-held.C:
	case <-v.ctx.Done():
		t.Fatal("it took too long")
	}
	v.open()
	v.ends(0)
	rep := v.file(func(o *check.Options) { o.Outcome = "complete" })
	if rep.Redeliveries != 0 || rep.Failures != 0 {
		t.Errorf("%d attempts beyond the first, %d failures (expected none)", rep.Redeliveries, rep.Failures)
	}
}
