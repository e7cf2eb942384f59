package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

func recovered(tb testing.TB, cfg export.RecoverConfig) export.Result {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	res, err := export.Recover(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// From backup, perf file and the workers' footers: one true file, the same
// however often.
func TestRecover(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	e, err := export.Open(l, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	stopped := aReport(4)
	stopped.Stop = run.Stop{Source: run.SourceSubject, Reason: "enough", Seq: 4, RequestedAt: tenPast(9)}
	stopped.Sessions = []run.SessionTimes{aSession(1, 5)}
	stopped.Timestamp = time.Now().Add(-time.Minute)
	if _, err := e.ExportFinal(t.Context(), stopped, theChunks(t, 100, 37, -1, 10)); err != nil {
		t.Fatal(err)
	}
	k := &known{r: aReport(4), chunks: theChunks(t, 100, 50, -1, 20)}
	k.r.Sessions = []run.SessionTimes{aSession(1, 5), aSession(2, 7)}
	k.r.FootersRefused, k.r.Releases = 2, 3
	for i := range k.chunks[1:] {
		k.chunks[i+1].Status = footer.StatusUnresponsive
	}
	backedUp(t, tg, k)
	died := k.r.Sessions[1].StartedAt.Add(9 * time.Second)
	late := anEnd(t, 2, 60, 2, footer.StatusStopped, 0)
	late.Timestamp = time.Now().Add(time.Hour).Format(time.RFC3339Nano) // after the backup
	putFooter(t, tg.WorkDir(), late)
	putFile(t, filepath.Join(tg.WorkDir(), "r1", "chunk_3", "attempt_1", "chunk_footer.json"), []byte("garbage"))

	cfg := export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{tg.WorkDir()}, Died: died}
	res := recovered(t, cfg)
	f := read(t, tg.Perf())
	r := f.Report
	if got := f.Totals.Coverage.ReplayedBars; got != 230 || res.Totals.Coverage.ReplayedBars != 230 || res.Refused != 1 || res.FootersOnly {
		t.Errorf("%d bars, %+v", got, res)
	}
	var statuses []footer.Status
	for _, c := range f.Chunks {
		statuses = append(statuses, c.Status)
	}
	if got := fmt.Sprint(statuses); got != "[ok unresponsive stopped unresponsive]" {
		t.Errorf("%s", got)
	}
	if r.Mode != perf.ModeRecovered || f.Totals.Outcome != perf.OutcomeStopped || !r.Partial || r.WriterPID != os.Getpid() {
		t.Errorf("%s %s %v %d", r.Mode, f.Totals.Outcome, r.Partial, r.WriterPID)
	}
	if r.Stop.Seq != 4 || r.FootersRefused != 2 || r.Releases != 3 || r.Redeliveries != 1 || r.Env.Engine != "builtin" {
		t.Errorf("%+v", r)
	}
	want := []run.SessionTimes{aSession(1, 5), aSession(2, 9)}
	if fmt.Sprint(r.Sessions) != fmt.Sprint(want) || r.Wall != 14*time.Second {
		t.Errorf("%v of %v, want %v", r.Wall, r.Sessions, want)
	}
	if b, err := os.ReadFile(tg.ChunkFooter(2)); err != nil || !bytes.Contains(b, []byte(`"bars_processed":60`)) {
		t.Errorf("for readers: %s, %v", b, err)
	}
	if replayed(t, tg.Copy()) != 230 {
		t.Error("the copy differs")
	}

	// Again, by another process that knows no more, with an end unknown.
	cfg.Died = time.Time{}
	recovered(t, cfg)
	again := read(t, tg.Perf())
	again.Report.Timestamp = r.Timestamp
	if fmt.Sprintf("%+v", again.Report) != fmt.Sprintf("%+v", r) {
		t.Errorf("again:\n%+v\nwas\n%+v", again.Report, r)
	}
	for i, c := range again.Chunks {
		if c.Status != f.Chunks[i].Status || c.Line.Bars() != f.Chunks[i].Line.Bars() {
			t.Errorf("again: chunk %d: %s, %d bars", i, c.Status, c.Line.Bars())
		}
	}

	// The rest comes in, and the run is complete: nothing replaces that.
	for i := range 4 {
		putFooter(t, tg.WorkDir(), anEnd(t, i, 100, 5, footer.StatusOK, 0))
	}
	if res := recovered(t, cfg); res.Totals.Outcome != perf.OutcomeComplete {
		t.Errorf("%+v", res.Totals)
	}
	before, err := os.ReadFile(tg.Perf())
	if err != nil {
		t.Fatal(err)
	}
	res = recovered(t, cfg)
	if after, err := os.ReadFile(tg.Perf()); err != nil || !bytes.Equal(after, before) || res.Totals.Outcome != perf.OutcomeComplete || res.SHA256 == "" {
		t.Errorf("a complete file was replaced: %v, %+v", err, res)
	}
}

// What the bus holds is a later word than the backup's, but no later than the
// last that the bus heard: footers on disk may say more.
func TestRecoverWithTheBus(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	old := &known{r: aReport(3), chunks: theChunks(t, 50, 20, -1)}
	old.chunks[0].Status = footer.StatusUnresponsive
	old.r.Sessions = []run.SessionTimes{aSession(1, 5)}
	backedUp(t, tg, old)
	found := perf.File{Report: aReport(3), Chunks: theChunks(t, 40, 90, -1)}
	found.Report.Timestamp = time.Now().UTC()
	found.Report.Sessions = []run.SessionTimes{{Session: 1, StartedAt: aSession(1, 0).StartedAt, EndedAt: tenPast(90), WallSec: 30}}
	found.Chunks[0].Status, found.Chunks[1].Status = footer.StatusUnresponsive, footer.StatusUnresponsive
	for i, sec := range []int{80, 91} {
		putFooter(t, tg.WorkDir(), anEnd(t, i, 30, 1, footer.StatusStopped, sec))
	}
	recovered(t, export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{tg.WorkDir()}, Found: &ledger.Account{From: ledger.Bus, File: found, HeardAt: tenPast(90)}})
	f := read(t, tg.Perf())
	var got []string
	for _, c := range f.Chunks {
		got = append(got, fmt.Sprint(c.Status, " ", c.Line.Bars()))
	}
	if want := "[unresponsive 50 stopped 90 missing 0]"; fmt.Sprint(got) != want || f.Report.Wall != 30*time.Second {
		t.Errorf("%v in %v, want %s in 30s", got, f.Report.Wall, want)
	}
	found.Report.Data.SHA256 = "d2"
	if _, err := export.Recover(t.Context(), export.RecoverConfig{Target: tg, Lock: l, Found: &ledger.Account{From: ledger.Bus, File: found}, Logger: quiet()}); !errors.Is(err, perf.ErrOtherRun) {
		t.Errorf("a bus of other data: %v", err)
	}
}

// The sessions of a recovery: who died, and when it was last heard of.
func TestRecoverSessions(t *testing.T) {
	at := func(n int, sec float64) time.Time {
		return aSession(n, 0).StartedAt.Add(time.Duration(sec * 1e9))
	}
	for name, c := range map[string]struct {
		file    []run.SessionTimes // a perf file's, at its last session's end
		died    time.Time
		session run.SessionTimes
		want    []run.SessionTimes
	}{
		"the last one died":           {nil, at(2, 9), run.SessionTimes{}, []run.SessionTimes{aSession(1, 5), aSession(2, 9)}},
		"when is not known":           {nil, time.Time{}, run.SessionTimes{}, []run.SessionTimes{aSession(1, 5), aSession(2, 7)}},
		"it said which it was":        {nil, at(3, 4), run.SessionTimes{Session: 3, StartedAt: at(3, 0)}, []run.SessionTimes{aSession(1, 5), aSession(2, 7), aSession(3, 4)}},
		"it exported in its drain":    {[]run.SessionTimes{aSession(1, 5), aSession(2, 8)}, at(2, 9), run.SessionTimes{}, []run.SessionTimes{aSession(1, 5), aSession(2, 9)}},
		"it exported, and is unknown": {[]run.SessionTimes{aSession(1, 5), aSession(2, 8)}, time.Time{}, run.SessionTimes{}, []run.SessionTimes{aSession(1, 5), aSession(2, 8)}},
		"another one exported since":  {[]run.SessionTimes{aSession(1, 5), aSession(2, 8), aSession(3, 1)}, at(4, 2), run.SessionTimes{Session: 4, StartedAt: at(4, 0)}, []run.SessionTimes{aSession(1, 5), aSession(2, 8), aSession(3, 1), aSession(4, 2)}},
		"that one's end was the last": {[]run.SessionTimes{aSession(1, 5), aSession(2, 8), aSession(3, 1)}, at(4, 2), run.SessionTimes{}, []run.SessionTimes{aSession(1, 5), aSession(2, 8), aSession(3, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			tg := target(t)
			l := locked(t, tg)
			k := &known{r: aReport(1), chunks: theChunks(t, 40)}
			k.r.Sessions = []run.SessionTimes{aSession(1, 5), aSession(2, 7)}
			backedUp(t, tg, k)
			// As a run of that day would have left it.
			b := readBackup(t, tg)
			b.Report.Timestamp = at(2, 7)
			write(t, tg.Backup(), appended(t, b.Report, b.Chunks))
			if c.file != nil {
				r := k.r
				r.Sessions, r.Timestamp = c.file, c.file[len(c.file)-1].EndedAt
				write(t, tg.Perf(), appended(t, r, k.chunks))
			}
			recovered(t, export.RecoverConfig{Target: tg, Lock: l, Died: c.died, Session: c.session})
			got := read(t, tg.Perf()).Report
			if fmt.Sprint(got.Sessions) != fmt.Sprint(c.want) || got.Wall != perf.WallOf(c.want) {
				t.Errorf("%v\nwant %v", got.Sessions, c.want)
			}
		})
	}
}

func appended(tb testing.TB, r perf.Report, chunks []perf.Chunk) []byte {
	tb.Helper()
	b, err := perf.Append(nil, r, chunks)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// A run that was given up stays failed; one that had a failed chunk which is
// ok by now does not.
func TestRecoverOutcome(t *testing.T) {
	failed := theChunks(t, 100, 40)
	failed[1].Status = footer.StatusFailed
	for name, c := range map[string]struct {
		chunks []perf.Chunk
		more   []footer.Footer
		want   perf.Outcome
	}{
		"given up":            {theChunks(t, 100, 40), nil, perf.OutcomeFailed},
		"a failed chunk":      {failed, nil, perf.OutcomeFailed},
		"which is ok by now":  {failed, []footer.Footer{anEnd(t, 1, 100, 9, footer.StatusOK, 0)}, perf.OutcomeComplete},
		"given up, but is ok": {theChunks(t, 100, 40), []footer.Footer{anEnd(t, 1, 100, 9, footer.StatusOK, 0)}, perf.OutcomeComplete},
	} {
		t.Run(name, func(t *testing.T) {
			tg := target(t)
			l := locked(t, tg)
			r := aReport(2)
			r.Outcome = perf.OutcomeFailed
			write(t, tg.Perf(), appended(t, r, c.chunks))
			dir := t.TempDir()
			for _, f := range c.more {
				putFooter(t, dir, f)
			}
			if res := recovered(t, export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{dir}}); res.Totals.Outcome != c.want {
				t.Errorf("%s, want %s", res.Totals.Outcome, c.want)
			}
		})
	}
}

// Footers alone, some now, some later, and then the run itself again.
func TestRecoverFromFootersAlone(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	f := func(idx int, first, end int64) footer.Footer {
		f := bordered(t, idx, first, end)
		f.ChunksTotal, f.DataBars = 5, 43
		return f
	}
	dir := t.TempDir()
	putFooter(t, dir, f(0, 0, 10))
	putFooter(t, dir, f(4, 40, 43))
	cfg := export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{dir}, Env: perf.EnvInfo{Host: "here"}}
	res := recovered(t, cfg)
	got := read(t, tg.Perf())
	if !res.FootersOnly || shape(got.Chunks) != "0-10* 10-20 20-30 30-40 40-43*" {
		t.Errorf("%+v: %s", res, shape(got.Chunks))
	}
	if r := got.Report; r.Data.Bars != 43 || r.Data.SHA256 != "" || r.Env.Host != "here" || r.Env.Engine != "builtin" || r.WorkersSeen != 1 || fmt.Sprint(r.Hosts) != "[box]" || r.Wall != 0 {
		t.Errorf("%+v", r)
	}
	// What comes later is added to the file.
	other := t.TempDir()
	putFooter(t, other, f(1, 10, 20))
	cfg.Dirs = []string{other}
	recovered(t, cfg)
	if got := shape(read(t, tg.Perf()).Chunks); got != "0-10* 10-20* 20-30 30-40 40-43*" {
		t.Errorf("%s", got)
	}
	// The run itself does not lose a bar.
	e, err := export.Open(l, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	plan := []perf.Chunk{{Planned: 10}, {Idx: 1, Planned: 10}, {Idx: 2, Planned: 10}, {Idx: 3, Planned: 10}, {Idx: 4, Planned: 3}}
	exported(t, e, plan[:0])
	r := aReport(1)
	r.Data.Bars = 43
	if _, err := e.ExportFinal(t.Context(), r, plan); err != nil {
		t.Fatal(err)
	}
	recovered(t, export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{dir, other}})
	if got := shape(read(t, tg.Perf()).Chunks); got != "0-10* 10-20* 20-30 30-40 40-43*" {
		t.Errorf("%s", got)
	}
}

// An earlier release inferred plans that footers did not name. What its files hold
// gives way to the run's own plan, without losing a bar.
func TestRecoverFromAGuessedPlan(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	guess := aReport(0)
	chunks := theChunks(t, 1, -1, -1)
	for i, planned := range []int64{10, 7, 13} {
		chunks[i].Planned = planned
	}
	line, err := perf.EncodeChunk(bordered(t, 0, 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	chunks[0].Line = line
	write(t, tg.Perf(), appended(t, guess, chunks))
	recovered(t, export.RecoverConfig{Target: tg, Lock: l})
	if got := shape(read(t, tg.Perf()).Chunks); got != "0-10* 10-17 17-30" {
		t.Errorf("%s", got)
	}
	e, err := export.Open(l, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.ExportFinal(t.Context(), aReport(1), []perf.Chunk{{Planned: 10}, {Idx: 1, Planned: 20}, {Idx: 2, Planned: 70}}); err != nil {
		t.Fatal(err)
	}
	if got := shape(read(t, tg.Perf()).Chunks); got != "0-10* 10-30 30-100" {
		t.Errorf("%s", got)
	}
}

func TestRecoverNothing(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	dir := t.TempDir()
	_, err := export.Recover(t.Context(), export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{dir}, Logger: quiet()})
	if !errors.Is(err, export.ErrNothing) || !strings.Contains(err.Error(), tg.Backup()) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), tg.Perf()) {
		t.Errorf("%v", err)
	}
	wantNames(t, tg.Dir, "")
	// A session that was told of has begun: that is something.
	recovered(t, export.RecoverConfig{Target: tg, Lock: l, Session: aSession(1, 0), Died: aSession(1, 3).EndedAt})
	if f := read(t, tg.Perf()); f.Totals.ChunksTotal != 0 || f.Report.Wall != 3*time.Second {
		t.Errorf("%+v", f)
	}
}

// Sources that are damaged are spoken of, and the others used.
func TestRecoverFromWhatIsLeft(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	backedUp(t, tg, &known{r: aReport(2), chunks: theChunks(t, 100, 50)})
	write(t, tg.Perf(), []byte("{"))
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	res := recovered(t, export.RecoverConfig{Target: tg, Lock: l, Logger: log})
	if res.SetAside == "" || replayed(t, tg.Perf()) != 150 || !strings.Contains(logged.String(), res.SetAside) {
		t.Errorf("%+v\n%s", res, &logged)
	}
	write(t, tg.Backup(), []byte("{"))
	recovered(t, export.RecoverConfig{Target: tg, Lock: l, Logger: log})
	if replayed(t, tg.Perf()) != 150 || !strings.Contains(logged.String(), "footer backup ignored") {
		t.Errorf("%s", &logged)
	}
	other := aReport(2)
	other.Data.SHA256 = "d2"
	write(t, tg.Backup(), appended(t, other, theChunks(t, 100, 60)))
	if _, err := export.Recover(t.Context(), export.RecoverConfig{Target: tg, Lock: l, Logger: log}); !errors.Is(err, perf.ErrOtherRun) {
		t.Errorf("the backup is of other data: %v", err)
	}
	if replayed(t, tg.Perf()) != 150 {
		t.Error("the file was touched")
	}
}

func TestRecoverToAnotherFile(t *testing.T) {
	tg := target(t)
	lock := locked(t, tg) // of a coordinator that lives
	e, err := export.Open(lock, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	exported(t, e, theChunks(t, 100, 37))
	backedUp(t, tg, &known{r: aReport(2), chunks: theChunks(t, 100, 50)})
	before, err := os.ReadFile(tg.Perf())
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(tg.Dir, "so-far.json")
	cfg := export.RecoverConfig{Target: tg, Output: out, Logger: quiet()}
	for range 2 {
		if res := recovered(t, cfg); res.Path != out || replayed(t, out) != 150 {
			t.Errorf("%+v", res)
		}
	}
	if after, err := os.ReadFile(tg.Perf()); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the run's own file was touched: %v", err)
	}
	wantNames(t, tg.Dir, "perf_r1.json so-far.json")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(tg.Dir, link); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{tg.Perf(), filepath.Join(link, "perf_r1.json"), tg.Dir + "/./perf_r1.json", tg.Backup(), tg.Stub(), tg.Lock()} {
		cfg.Output = own
		if _, err := export.Recover(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "is a file that the run itself writes") {
			t.Errorf("%s: %v", own, err)
		}
	}
	cfg.Output = filepath.Join(t.TempDir(), "missing", "x.json")
	var failed *export.NotExported
	if _, err := export.Recover(t.Context(), cfg); !errors.As(err, &failed) || len(failed.Files) != 0 {
		t.Errorf("%v", err)
	}
}

func TestRecoverRefuses(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	for _, c := range []struct {
		cfg  export.RecoverConfig
		want string
	}{
		{export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{file + "-none"}}, "no such file or directory"},
		{export.RecoverConfig{Target: tg, Lock: l, Dirs: []string{file}}, "is no directory (want one that holds footers)"},
		{export.RecoverConfig{Target: tg}, "its lock is not held"},
		{export.RecoverConfig{Target: layout.Run{Dir: tg.Dir, RunID: "../x"}, Lock: l}, "is not one of A-Z"},
	} {
		c.cfg.Logger = quiet()
		if _, err := export.Recover(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// A recovery that the disk refuses leaves the stub, as an export does.
func TestRecoverFails(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	backedUp(t, tg, &known{r: aReport(2), chunks: theChunks(t, 100, 50)})
	full := true
	cfg := export.RecoverConfig{Target: tg, Lock: l, Logger: quiet(), Config: export.Config{BeforeRename: func(aside string) error {
		if full && strings.HasPrefix(filepath.Base(aside), ".perf_r1.") {
			full = false
			return syscall.ENOSPC
		}
		return nil
	}}}
	_, err := export.Recover(t.Context(), cfg)
	var failed *export.NotExported
	if !errors.As(err, &failed) || !errors.Is(err, syscall.ENOSPC) || len(failed.Files) != 1 || failed.Files[0] != tg.Stub() {
		t.Fatalf("%v", err)
	}
	readStub(t, tg.Stub(), 2)
	recovered(t, cfg)
	wantNames(t, tg.Dir, "perf_r1.json r1")
}
