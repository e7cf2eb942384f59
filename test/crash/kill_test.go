//go:build linux

package crash_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// Each time the guardian leaves a true file, and the resume loses nothing.
func TestThreeKills(t *testing.T) {
	v := start(t, holding(planBars/6+100))
	for n := range 3 {
		v.done(planBars / 6)
		v.must(v.Kill())
		v.dead()
		if rep := v.file(recovered); rep.Sessions != n+1 {
			t.Errorf("%d sessions after %d kills", rep.Sessions, n+1)
		}
		v.again(nil)
	}
	v.open()
	if rep := v.completes(); rep.Sessions != 4 || rep.Failures != 0 {
		t.Errorf("%d sessions, %d failures (expected 4, 0)", rep.Sessions, rep.Failures)
	}
}

// Without a guardian nobody exports; the bus has it all.
func TestGuardianKilledFirst(t *testing.T) {
	v := start(t, holding(twoChunks))
	v.backedUp(1)
	if n, err := v.KillGuardians(); n != 1 || err != nil {
		t.Fatalf("%d guardians, error %v (expected 1)", n, err)
	}
	if err := v.Until(v.ctx, "the guardian is gone", func() bool { return len(v.Guardians()) == 0 }); err != nil {
		t.Fatal(err)
	}
	v.must(v.Kill())
	v.dead()
	if _, err := os.Stat(v.Perf()); err == nil {
		t.Error("there is a file, and nobody who could have written it")
	}
	v.keep(v.backup(), "backup.json")
	v.open()
	v.again(nil)
	v.completes()
}

// A run without its guardian goes on, and nothing is said of a failure.
func TestGuardianKilledAlone(t *testing.T) {
	testsize.All(t)
	v := start(t, holding(planBars/4+100))
	v.done(planBars / 4)
	if n, err := v.KillGuardians(); n != 1 || err != nil {
		t.Fatalf("%d guardians, error %v (expected 1)", n, err)
	}
	v.open()
	if rep := v.completes(); rep.Mode != "normal" || rep.Sessions != 1 {
		t.Errorf("mode %s, %d sessions (expected normal, 1)", rep.Mode, rep.Sessions)
	}
}

// The bus is gone with both: the backup alone keeps what was ok.
func TestBothKilledAndTheBusLost(t *testing.T) {
	testsize.All(t)
	v := start(t, holding(twoChunks))
	v.backedUp(2)
	v.must(v.KillBoth())
	v.dead()
	for _, name := range []string{"bus", "work"} {
		v.must(os.RemoveAll(filepath.Join(v.State(), name)))
	}
	v.keep(v.backup(), "backup.json")
	v.open()
	v.again(nil)
	v.o.FreshBus = true
	if rep := v.completes(); rep.Sessions != 2 {
		t.Errorf("%d sessions (expected 2)", rep.Sessions)
	}
}

// The bus is there: it knows all that was reported.
func TestBothKilled(t *testing.T) {
	v := start(t, holding(twoChunks))
	v.backedUp(1)
	v.must(v.KillBoth())
	v.dead()
	v.keep(v.backup(), "backup.json")
	v.open()
	v.again(nil)
	v.completes()
}

// Killed at each step of a run's end, and the same at its end by a stop: the
// next start finishes what was begun.
func TestKilledAtTheEnd(t *testing.T) {
	testsize.All(t)
	for _, step := range []string{"write", "rename", "exported", "manifest", "clean bus", "clean backup.json", "clean work"} {
		t.Run(step, func(t *testing.T) {
			v := start(t, setup{env: []string{"GX1TEST_DIE=" + step}})
			v.dead()
			rep := v.file(nil)
			if rep.Outcome != "complete" {
				t.Errorf("the file is %s with %v (expected complete: all was done)", rep.Outcome, rep.Statuses)
			}
			v.again(func(c *drive.Config) { c.Env = nil })
			v.ends(0)
			// The file is the one that was there, be it the guardian's, which
			// leaves no copy of its own to be judged.
			if rep := v.judge(v.Perf(), func(o *check.Options) { o.Outcome = "complete" }); rep.Sessions != 1 {
				t.Errorf("%d sessions (expected 1: nothing was left to do)", rep.Sessions)
			}
			if left := append(v.Leftovers(), v.Uncleaned()...); len(left) > 0 {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

// With the guardian dead as well, in the middle of its own write, there is no
// file; the bus has it all.
func TestKilledAtTheEndWithTheGuardian(t *testing.T) {
	testsize.All(t)
	for _, step := range []string{"write", "rename"} {
		t.Run(step, func(t *testing.T) {
			v := start(t, setup{env: []string{"GX1TEST_DIE=" + step, "GX1TEST_DIE_GUARDIAN=" + step}})
			v.dead()
			if _, err := os.Stat(v.Perf()); err == nil {
				t.Fatal("there is a file, and nobody who could have renamed it")
			}
			v.keep(v.backup(), "backup.json")
			v.again(func(c *drive.Config) { c.Env = nil })
			v.completes()
		})
	}
}

// Selecting the trades takes a while, so a complete file without them is there,
// and then coordinator and guardian are killed: the next start selects them, from
// the bus, and replays nothing.
func TestKilledWhileTradesAreSelected(t *testing.T) {
	testsize.All(t)
	v := start(t, setup{env: []string{"GX1TEST_DIE=selecting", "GX1TEST_DIE_GUARDIAN=write"}})
	v.dead()
	f, err := read(v.Perf())
	v.must(err)
	if f.Outcome != "complete" || f.Selection.Scope != "chunks" {
		t.Fatalf("the file is %s, scope %s (expected complete, chunks)", f.Outcome, f.Selection.Scope)
	}
	bars := v.Bars()
	v.again(func(c *drive.Config) { c.Env = nil })
	v.completes()
	if now := v.Bars(); now != bars {
		t.Errorf("%d bars were replayed again", now-bars)
	}
	if f, err = read(v.Perf()); err != nil || f.Selection.Scope != "run" {
		t.Errorf("then: scope %s, %v (expected run)", f.Selection.Scope, err)
	}
	// Now nothing is left to do.
	v.again(func(c *drive.Config) { c.Env = nil })
	v.ends(0)
	if again, err := read(v.Perf()); err != nil || len(again.Sessions) != len(f.Sessions) {
		t.Errorf("once more: %d sessions, %v (expected %d)", len(again.Sessions), err, len(f.Sessions))
	}
}

// A stop's first export is under way.
func TestKilledInTheExportOfAStop(t *testing.T) {
	testsize.All(t)
	for _, step := range []string{"write", "rename", "exported", "manifest"} {
		t.Run(step, func(t *testing.T) {
			s := holding(planBars/3 + 100)
			s.env = []string{"GX1TEST_DIE=" + step}
			v := start(t, s)
			v.done(planBars / 3)
			v.must(v.Signal(syscall.SIGTERM))
			v.dead()
			v.file(func(o *check.Options) { o.MaxUnreported = 0 })
			v.again(func(c *drive.Config) { c.Env = nil })
			if code, err := v.Wait(v.ctx); err != nil || code != 0 {
				t.Fatalf("code %d, error %v", code, err)
			}
			// A stop that was stored and of which no file tells may end one
			// session more; never two.
			if f, err := read(v.Perf()); err == nil && f.Completed < planChunks && (step == "write" || step == "rename") {
				v.file(stopped("sigterm"))
				v.again(nil)
			}
			v.completes()
		})
	}
}
