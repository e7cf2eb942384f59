package export_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// known is what a coordinator of the tests knows; its snapshot is a Backup's.
type known struct {
	r      perf.Report
	chunks []perf.Chunk
}

func (k *known) snapshot() (perf.Report, []perf.Chunk) { return k.r, k.chunks }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// aSession is session n that began n minutes after ten and has lived sec
// seconds.
func aSession(n int, sec float64) run.SessionTimes {
	at := time.Date(2026, 11, 24, 10, n, 0, 0, time.UTC)
	return run.SessionTimes{Session: n, StartedAt: at, EndedAt: at.Add(time.Duration(sec * 1e9)), WallSec: sec}
}

func backedUp(tb testing.TB, t layout.Run, k *known) *export.Backup {
	tb.Helper()
	b := export.NewBackup(t, k.snapshot, 0, quiet())
	if err := b.Write(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return b
}

func readBackup(tb testing.TB, t layout.Run) perf.File {
	tb.Helper()
	f, _, ok, err := ledger.ReadFile(t.Backup(), t.RunID)
	if err != nil || !ok {
		tb.Fatalf("there is a backup: %v; %v", ok, err)
	}
	return f
}

func TestBackup(t *testing.T) {
	tg := target(t)
	if _, _, ok, err := ledger.ReadFile(tg.Backup(), tg.RunID); ok || err != nil {
		t.Fatalf("without any: %v, %v", ok, err)
	}
	locked(t, tg)
	k := &known{r: aReport(0)}
	k.r.Sessions = []run.SessionTimes{aSession(1, 5)}
	b := backedUp(t, tg, k)
	f := readBackup(t, tg)
	if len(f.Chunks) != 0 || f.Report.Timestamp.Equal(k.r.Timestamp) || f.Report.Mode != perf.ModeSignal {
		t.Errorf("before the plan: %+v", f.Report)
	}
	if s := f.Report.Sessions[0]; !s.EndedAt.IsZero() || s.WallSec != 5 {
		t.Errorf("the session has ended: %+v", s)
	}
	if k.r.Sessions[0].EndedAt.IsZero() {
		t.Error("the snapshot was changed")
	}
	stat := func() os.FileInfo {
		info, err := os.Stat(tg.Backup())
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	write := func(want bool, what string) {
		t.Helper()
		before := stat()
		if err := b.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := !os.SameFile(before, stat()); got != want {
			t.Errorf("%s: it was written: %v", what, got)
		}
	}
	write(false, "nothing has changed")
	k.r.Timestamp, k.r.Wall = k.r.Timestamp.Add(time.Hour), time.Hour
	write(false, "time alone has passed")
	k.r, k.chunks = aReport(3), theChunks(t, 100, 37, -1)
	write(true, "the plan is known")
	write(false, "nothing has changed again")
	k.chunks = append(k.chunks[:0:0], k.chunks...)
	k.chunks[1] = aChunk(t, 1, 38)
	write(true, "a footer")
	k.chunks = append(k.chunks[:0:0], k.chunks...)
	k.chunks[2].Status = "unresponsive"
	write(true, "a status")
	k.r.Releases++
	write(true, "a count")
	if got := readBackup(t, tg).Totals.Coverage.ReplayedBars; got != 138 {
		t.Errorf("%d bars, want 138", got)
	}
	if err := export.RemoveBackup(tg); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := ledger.ReadFile(tg.Backup(), tg.RunID); ok || err != nil {
		t.Errorf("removed: %v, %v", ok, err)
	}
}

// A further session that has no plan yet, or knows less, takes nothing away.
func TestBackupInvariant2_NeverFewerBars(t *testing.T) {
	tg := target(t)
	locked(t, tg)
	first := &known{r: aReport(3), chunks: theChunks(t, 100, 37, -1)}
	first.r.Sessions, first.r.Stop.Seq = []run.SessionTimes{aSession(1, 5)}, 4
	backedUp(t, tg, first)
	second := &known{r: aReport(0)}
	second.r.Sessions = []run.SessionTimes{aSession(2, 1)}
	b := backedUp(t, tg, second)
	f := readBackup(t, tg)
	if f.Totals.Coverage.ReplayedBars != 137 || len(f.Report.Sessions) != 2 || f.Report.Wall != 6*time.Second || f.Report.Stop.Seq != 4 {
		t.Errorf("%d bars, %+v", f.Totals.Coverage.ReplayedBars, f.Report)
	}
	second.r, second.chunks = aReport(3), theChunks(t, -1, 50, 100)
	if err := b.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := readBackup(t, tg).Totals.Coverage.ReplayedBars; got != 250 {
		t.Errorf("%d bars, want 250", got)
	}
	// All chunks are done, and another session that knows less comes.
	second.chunks = theChunks(t, 100, 100, 100)
	if err := b.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	backedUp(t, tg, first)
	if got := readBackup(t, tg).Totals.Coverage.ReplayedBars; got != 300 {
		t.Errorf("%d bars, want 300", got)
	}
}

func TestBackupInvariant4_WhatIsThere(t *testing.T) {
	k := &known{r: aReport(1), chunks: theChunks(t, 40)}
	good, err := perf.Append(nil, k.r, k.chunks)
	if err != nil {
		t.Fatal(err)
	}
	otherData := aReport(1)
	otherData.Data.SHA256 = "d2"
	other, err := perf.Append(nil, otherData, k.chunks)
	if err != nil {
		t.Fatal(err)
	}
	otherPlan, err := perf.Append(nil, k.r, []perf.Chunk{{Planned: 60, Status: "missing"}, {Idx: 1, Planned: 40, Status: "missing"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old     []byte
		aside   bool
		other   bool
		reading string
	}{
		"cut off":     {good[:len(good)/2], true, false, "unexpected EOF"},
		"empty":       {nil, true, false, "EOF"},
		"edited":      {bytes.Replace(good, []byte(`"replayed_bars": 40`), []byte(`"replayed_bars": 41`), 1), true, false, "coverage.replayed_bars is 41 (expected 40)"},
		"other data":  {other, false, true, ""},
		"other plan":  {otherPlan, false, true, ""},
		"another run": {bytes.ReplaceAll(good, []byte(`"r1"`), []byte(`"r2"`)), true, false, "is of run r2"},
	} {
		t.Run(name, func(t *testing.T) {
			tg := target(t)
			locked(t, tg)
			write(t, tg.Backup(), c.old)
			_, _, ok, err := ledger.ReadFile(tg.Backup(), tg.RunID)
			if c.reading == "" && (err != nil || !ok) || c.reading != "" && (err == nil || !strings.Contains(err.Error(), c.reading)) {
				t.Errorf("reading it: %v", err)
			}
			b := export.NewBackup(tg, k.snapshot, 0, quiet())
			err = b.Write(t.Context())
			if c.other {
				if got, _ := os.ReadFile(tg.Backup()); !errors.Is(err, perf.ErrOtherRun) || !bytes.Equal(got, c.old) {
					t.Errorf("%v, or it was overwritten", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := readBackup(t, tg).Totals.Coverage.ReplayedBars; got != 40 {
				t.Errorf("%d bars", got)
			}
			if got, err := os.ReadFile(tg.Backup() + ".set-aside-1"); err != nil || !bytes.Equal(got, c.old) {
				t.Errorf("it was not set aside: %v", err)
			}
			write(t, filepath.Join(tg.StateDir(), ".perf_r1.7-0.tmp"), nil)
			if err := export.RemoveBackup(tg); err != nil {
				t.Fatal(err)
			}
			wantNames(t, tg.StateDir(), "lock")
		})
	}
}

// A disk that fails is tried again and spoken of once; the old file stays.
func TestBackupFailsAndRecovers(t *testing.T) {
	tg := target(t)
	locked(t, tg)
	k := &known{r: aReport(1), chunks: theChunks(t, 10)}
	backedUp(t, tg, k)
	next := &known{r: aReport(1), chunks: theChunks(t, 40)}
	var logged bytes.Buffer
	b := export.NewBackup(tg, next.snapshot, time.Microsecond, slog.New(slog.NewTextHandler(&logged, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tries atomic.Int64
	b.Config.BeforeRename = func(string) error {
		switch tries.Add(1) {
		case 1, 2, 3:
			if f, _, _, err := ledger.ReadFile(tg.Backup(), tg.RunID); err != nil || f.Totals.Coverage.ReplayedBars != 10 {
				t.Errorf("the old backup: %v", err)
			}
			return syscall.ENOSPC
		case 4:
			// Its own next look finds nothing changed, so this is the last.
			time.AfterFunc(0, func() {
				for { // until the fourth has its name
					if f, _, _, err := ledger.ReadFile(tg.Backup(), tg.RunID); err != nil || f.Totals.Coverage.ReplayedBars == 40 {
						cancel()
						return
					}
				}
			})
		}
		return nil
	}
	b.Run(ctx)
	if n := tries.Load(); n != 4 {
		t.Errorf("%d tries, want 4", n)
	}
	if n := strings.Count(logged.String(), "writing the footer backup failed"); n != 1 {
		t.Errorf("spoken of %d times:\n%s", n, &logged)
	}
	if got := readBackup(t, tg).Totals.Coverage.ReplayedBars; got != 40 {
		t.Errorf("%d bars, want 40", got)
	}
	wantNames(t, tg.StateDir(), "backup.json lock")
}

// A stop does not wait for a backup that is about to be written.
func TestBackupEndsBeforeTheRename(t *testing.T) {
	tg := target(t)
	locked(t, tg)
	k := &known{r: aReport(1), chunks: theChunks(t, 10)}
	b := export.NewBackup(tg, k.snapshot, time.Microsecond, quiet())
	ctx, cancel := context.WithCancel(t.Context())
	b.Config.BeforeSync = func(string) error { cancel(); return nil }
	b.Run(ctx)
	wantNames(t, tg.StateDir(), "lock")
}

// A process that is killed at any moment of writing backups leaves a whole one
// that holds all that it has ever said to be in it.
func TestBackupInvariant1_Killed(t *testing.T) {
	testsize.All(t)
	tg := target(t)
	const n = 400
	if dir := os.Getenv("EXPORT_TEST_BACKUP_DIR"); dir != "" {
		tg.Dir = dir
		opened(t, tg, export.Config{})
		k := &known{r: aReport(n), chunks: someChunks(t, n)}
		b := export.NewBackup(tg, k.snapshot, 0, quiet())
		done := int64(0)
		if f, _, ok, err := ledger.ReadFile(tg.Backup(), tg.RunID); err != nil {
			t.Fatal(err)
		} else if ok {
			done = f.Chunks[0].Line.Bars()
		}
		for {
			done = min(done+1, chunkBars-1)
			k.chunks = append(k.chunks[:0:0], k.chunks...)
			k.chunks[0] = aChunk(t, 0, done)
			k.r.Releases++
			if err := b.Write(t.Context()); err != nil {
				t.Fatal(err)
			}
			os.Stdout.WriteString(strconv.FormatInt(done, 10) + "\n")
		}
	}
	for kill := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=TestBackupInvariant1_Killed$")
		cmd.Env = append(os.Environ(), "EXPORT_TEST_BACKUP_DIR="+tg.Dir)
		if said := killedAfter(t, cmd, kill+1); readBackup(t, tg).Chunks[0].Line.Bars() < said {
			t.Errorf("%d bars in the backup, %d were said to be", readBackup(t, tg).Chunks[0].Line.Bars(), said)
		}
	}
	opened(t, tg, export.Config{})
	wantNames(t, tg.StateDir(), "backup.json lock")
}

// killedAfter starts cmd, kills it when it has said so many numbers, and
// returns the largest that it ever said.
func killedAfter(t *testing.T, cmd *exec.Cmd, words int) (said int64) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range words {
		if !lines.Scan() {
			_ = cmd.Wait()
			t.Fatal("the process ended by itself")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for ok := true; ok; ok = lines.Scan() {
		if v, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
			said = max(said, v)
		}
	}
	_ = cmd.Wait() // killed
	return said
}

// BenchmarkBackup measures a write after one chunk has changed, and a look
// that finds nothing changed.
func BenchmarkBackup(b *testing.B) {
	for _, n := range []int{7, 1000, 10_000} {
		tg := target(b)
		locked(b, tg)
		k := &known{r: aReport(n), chunks: someChunks(b, n)}
		bk := export.NewBackup(tg, k.snapshot, 0, slog.New(slog.NewTextHandler(io.Discard, nil)))
		some := [2]perf.Chunk{k.chunks[3], aChunk(b, 3, 38)}
		turn := 0
		b.Run(fmt.Sprintf("chunks=%d/changed", n), func(b *testing.B) {
			for b.Loop() {
				turn++
				k.chunks = append(k.chunks[:0:0], k.chunks...)
				k.chunks[3] = some[turn%2]
				if err := bk.Write(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("chunks=%d/unchanged", n), func(b *testing.B) {
			for b.Loop() {
				if err := bk.Write(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
