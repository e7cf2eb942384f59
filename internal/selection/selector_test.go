package selection_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
	"gx1replay/internal/trade"
)

// file is what a file of readers holds.
func (w *traded) file(path string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// TestSelectIsTheSameForAnyCut: trades, metrics and attribution, byte by byte,
// though every border has a trade open across it and workers follow three bars.
func TestSelectIsTheSameForAnyCut(t *testing.T) {
	one := newTraded(t, 1, whole)
	want := one.selected(one.selector())
	if want.Scope != perf.ScopeRun || !want.Exact || want.Chunks[0].Closed < 20 {
		t.Fatalf("one chunk: %+v", want)
	}
	for _, n := range []int{2, 7, 60} {
		w := newTraded(t, n, whole)
		got := w.selected(w.selector())
		if got.Scope != perf.ScopeRun || !got.Exact || got.TotalPnlBps != want.TotalPnlBps || got.Trades.SHA256 != want.Trades.SHA256 {
			t.Errorf("%d chunks: scope %s, exact %v, %v bps, file %+v (want %v bps, %+v)", n, got.Scope, got.Exact, got.TotalPnlBps, got.Trades, want.TotalPnlBps, want.Trades)
		}
		var closed, local int64
		for i, c := range got.Chunks {
			closed, local = closed+c.Closed, local+w.chunks[i].Line.Trades()
		}
		if closed != want.Chunks[0].Closed {
			t.Errorf("%d chunks have %d trades (want %d)", n, closed, want.Chunks[0].Closed)
		}
		if n == 60 && local == closed {
			t.Error("the chunks' own counts are the run's: no trade was open across a border")
		}
		for _, path := range []func(layout.Run) string{layout.Run.TradesCSV, layout.Run.TradesParquet, layout.Run.Metrics, layout.Run.Attribution, layout.Run.Curve} {
			if !bytes.Equal(w.file(path(w.files())), one.file(path(one.files()))) {
				t.Errorf("%d chunks: %s differs", n, filepath.Base(path(w.files())))
			}
		}
	}
}

// What the perf JSON says of the trades can be held against their file.
func TestVerifyTrades(t *testing.T) {
	w := newTraded(t, 4, whole)
	w.report.Selection = w.selected(w.selector())
	e := opened(t, w.target)
	if _, err := e.ExportFinal(t.Context(), w.report, w.chunks); err != nil {
		t.Fatal(err)
	}
	f := read(t, w.target.Perf())
	if found, err := selection.Verify(w.target.Perf(), f); err != nil || found.File != w.files().TradesCSV() || len(found.Others) != 4 {
		t.Fatalf("%+v: %v", found, err)
	}
	if err := e.WriteCopy(); err != nil {
		t.Fatal(err)
	}
	if _, err := selection.Verify(w.target.Copy(), f); err != nil {
		t.Errorf("beside the copy: %v", err)
	}
	b := w.file(w.files().TradesCSV())
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	lines := bytes.SplitAfter(b, []byte("\n"))
	for name, change := range map[string]struct {
		b       []byte
		listed  bool
		wantErr string
	}{
		"another digest": {append(bytes.Clone(b), '\n'), false, "sha256 is"},
		"a row less":     {bytes.Join(lines[:len(lines)-2], nil), true, "total_trades"},
		"another pnl":    {bytes.Join(append(append([][]byte{}, lines[:1]...), append([][]byte{[]byte("T000000001,2026-01-05T07:05:00Z,2026-01-05T07:10:00Z,1.5,0,0,0,0,0,0,0,long,EU,stop,1,1,1,1,1,1\n")}, lines[2:]...)...), nil), true, "pnl_bps"},
		"no header":      {lines[1], true, "line 1"},
		"a torn row":     {append(bytes.Clone(b), "T1,x"...), true, "line "},
	} {
		write(t, w.files().TradesCSV(), change.b)
		g := f
		if change.listed {
			g.Report.Selection.Trades.SHA256 = sum(change.b)
		}
		if _, err := selection.Verify(w.target.Perf(), g); !errors.Is(err, selection.ErrVerify) || !strings.Contains(err.Error(), change.wantErr) {
			t.Errorf("%s: %v (want an ErrTrades about %s)", name, err, change.wantErr)
		}
	}
	g := f
	g.Report.Selection.Trades.File = "../../secret"
	if _, err := selection.Verify(w.target.Perf(), g); !errors.Is(err, selection.ErrVerify) {
		t.Errorf("a path out of the directory: %v", err)
	}
}

// keeper is a place of signals that a test makes.
type keeper func(f footer.Footer, at int) ([][]byte, error)

func (k keeper) ReadArtifact(_ context.Context, f footer.Footer, at int) ([][]byte, error) {
	return k(f, at)
}

// What is not there, damaged or not what the footer says keeps the chunk's own
// counts, and is said.
func TestSignalsThatCannotBeHad(t *testing.T) {
	const chunks, bad = 6, 2
	for name, spoil := range map[string]func(w *traded) *selection.Selector{
		"no file": func(w *traded) *selection.Selector {
			if err := os.Remove(filepath.Join(w.attempt(bad), trade.ArtifactName)); err != nil {
				t.Fatal(err)
			}
			return w.selector()
		},
		"a bit changed": func(w *traded) *selection.Selector {
			path := filepath.Join(w.attempt(bad), trade.ArtifactName)
			b := w.file(path)
			b[len(b)/2] ^= 1
			write(w.t, path, b)
			return w.selector()
		},
		"a link": func(w *traded) *selection.Selector {
			path := filepath.Join(w.attempt(bad), trade.ArtifactName)
			if err := errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path)); err != nil {
				t.Fatal(err)
			}
			return w.selector()
		},
		"fewer than counted": func(w *traded) *selection.Selector {
			f := w.chunks[bad].Line.Footer()
			f.NSignals++
			var err error
			if w.chunks[bad].Line, err = perf.EncodeChunk(f); err != nil {
				t.Fatal(err)
			}
			return w.selector()
		},
		"of another chunk": func(w *traded) *selection.Selector {
			f, other := w.chunks[bad].Line.Footer(), w.chunks[bad+1].Line.Footer()
			f.Artifacts, f.NSignals = other.Artifacts, other.NSignals
			var err error
			if w.chunks[bad].Line, err = perf.EncodeChunk(f); err != nil {
				t.Fatal(err)
			}
			s := w.selector()
			s.Artifacts = append(s.Artifacts, keeper(func(footer.Footer, int) ([][]byte, error) {
				return [][]byte{w.file(filepath.Join(w.attempt(bad+1), trade.ArtifactName))}, nil
			}))
			return s
		},
	} {
		w := newTraded(t, chunks, whole)
		sel := w.selected(spoil(w))
		lost := w.chunks[bad].Line.Trades()
		if lost == 0 {
			t.Fatal("the chunk has no trade to lose")
		}
		if sel.Scope != perf.ScopeStretches || sel.Exact || sel.Chunks[bad].Known || sel.Trades.WithoutRows != lost {
			t.Errorf("%s: scope %s, exact %v, chunk %+v, %d without rows (want %d)", name, sel.Scope, sel.Exact, sel.Chunks[bad], sel.Trades.WithoutRows, lost)
		}
		w.report.Selection = sel
		b := appended(t, w.report, w.chunks)
		f, err := perf.ParseVerified(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := selection.Verify(w.target.Perf(), f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A second place is asked when the first one has not what the footer lists.
func TestSignalsFromASecondPlace(t *testing.T) {
	w := newTraded(t, 3, whole)
	want := w.selected(w.selector())
	s := w.selector()
	s.Artifacts = append([]selection.ArtifactReader{keeper(func(footer.Footer, int) ([][]byte, error) { return [][]byte{[]byte("garbage")}, nil })}, s.Artifacts...)
	if got := w.selected(s); got.Trades != want.Trades || !got.Exact {
		t.Errorf("%+v (want %+v)", got.Trades, want.Trades)
	}
}

// failing is a data set that cannot be read.
type failing struct{}

func (failing) Bars(context.Context, run.BarRange) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) { yield(bars.Bar{}, errTest) }
}

// Without bars what workers left open stays open, and the selection says that
// it is not exact.
func TestSelectWithoutBars(t *testing.T) {
	for _, from := range []selection.Bars{nil, failing{}} {
		w := newTraded(t, 7, whole)
		s := w.selector()
		s.Bars = from
		sel := w.selected(s)
		open := int64(0)
		for _, c := range sel.Chunks {
			open += c.Open
		}
		if sel.Exact || sel.Scope != perf.ScopeRun || open == 0 {
			t.Errorf("exact %v, scope %s, %d open (want some, and it said)", sel.Exact, sel.Scope, open)
		}
	}
}

// A run that was stopped: what is open stays open, stretches are said, and the
// rest is exact.
func TestSelectOfAStoppedRun(t *testing.T) {
	w := newTraded(t, 5, func(r run.BarRange) int64 {
		switch r.First {
		case 240: // chunk 1: stopped in the middle
			return 100
		case 720: // chunk 3: never begun
			return 0
		}
		return r.Len()
	})
	sel := w.selected(w.selector())
	if sel.Scope != perf.ScopeStretches || !sel.Exact || sel.Chunks[1].Open != 1 || sel.Chunks[4].Closed == 0 {
		t.Errorf("scope %s, exact %v, chunks %+v (want one open in chunk 1, and trades behind it)", sel.Scope, sel.Exact, sel.Chunks)
	}
	text := string(w.file(w.files().Summary()))
	if !strings.Contains(text, "Not the whole data") {
		t.Errorf("the summary does not say that bars are missing:\n%s", text)
	}
}

// A run without trades has its files all the same.
func TestSelectWithoutSignals(t *testing.T) {
	w := newTraded(t, 2, whole)
	for i := range w.chunks {
		f := w.chunks[i].Line.Footer()
		f.NSignals, f.NTradesClosed, f.PnlBps, f.TradesOpen, f.OpenPnlBps, f.DropReasons, f.Artifacts = 0, 0, 0, 0, 0, footer.Counts{}, nil
		var err error
		if w.chunks[i].Line, err = perf.EncodeChunk(f); err != nil {
			t.Fatal(err)
		}
	}
	sel := w.selected(w.selector())
	if !sel.Exact || sel.Scope != perf.ScopeRun || bytes.Count(w.file(w.files().TradesCSV()), []byte("\n")) != 1 {
		t.Errorf("%+v, %s", sel, w.file(w.files().TradesCSV()))
	}
}

// Files that cannot be written cost their names, not the selection.
func TestSelectWithoutRoomForFiles(t *testing.T) {
	w := newTraded(t, 2, whole)
	write(t, w.target.RunDir(), []byte("a file where the directory should be"))
	sel := w.selected(w.selector())
	if !sel.Exact || sel.Trades.File != "" || sel.Trades.SHA256 != "" || sel.Chunks[0].Closed == 0 {
		t.Errorf("%+v", sel)
	}
}

func TestSelectHeedsCtx(t *testing.T) {
	w := newTraded(t, 40, whole)
	ctx, cancel := context.WithCancelCause(t.Context())
	s := w.selector()
	s.Artifacts = []selection.ArtifactReader{keeper(func(footer.Footer, int) ([][]byte, error) {
		cancel(errTest)
		return nil, errTest
	})}
	if sel, err := s.Select(ctx, w.report, w.chunks); !errors.Is(err, errTest) || sel.Scope != "" {
		t.Errorf("%+v, %v", sel, err)
	}
	if _, err := os.Stat(w.files().TradesCSV()); err == nil {
		t.Error("it wrote trades")
	}
}

// Without a plan there is nothing to select, and nothing is wrong.
func TestSelectBeforeThePlan(t *testing.T) {
	w := newTraded(t, 2, whole)
	for _, r := range []perf.Report{{}, w.report} {
		chunks := w.chunks
		if r.Data.Bars > 0 {
			chunks = nil
		}
		if sel, err := w.selector().Select(t.Context(), r, chunks); err != nil || sel.Scope != "" {
			t.Errorf("%+v, %v", sel, err)
		}
	}
}

// A complete file is replaced by one that knows its trades exactly, and by
// nothing else.
func TestInvariant2_CompleteStaysButForItsTrades(t *testing.T) {
	w := newTraded(t, 3, whole)
	exact := w.selected(w.selector())
	s := w.selector()
	s.Bars = nil
	inexact := w.selected(s)
	for _, c := range []struct {
		name     string
		old, new perf.Selection
		replaced bool
	}{
		{"chunks by run", perf.Selection{}, exact, true},
		{"inexact by exact", inexact, exact, true},
		{"exact by chunks", exact, perf.Selection{}, false},
		{"exact by inexact", exact, inexact, false},
		{"exact by exact", exact, exact, false},
		{"chunks by inexact", perf.Selection{}, inexact, false},
	} {
		w.target = target(t)
		lock := locked(t, w.target)
		first, err := export.Open(lock, w.target, export.Config{})
		if err != nil {
			t.Fatal(err)
		}
		w.report.Selection = c.old
		if _, err := first.ExportFinal(t.Context(), w.report, w.chunks); err != nil {
			t.Fatal(err)
		}
		before := w.file(w.target.Perf())
		second, err := export.Open(lock, w.target, export.Config{})
		if err != nil {
			t.Fatal(err)
		}
		w.report.Selection = c.new
		res, err := second.ExportFinal(t.Context(), w.report, w.chunks)
		if c.replaced != (err == nil) || !c.replaced && !errors.Is(err, export.ErrComplete) {
			t.Errorf("%s: %v", c.name, err)
		}
		if changed := !bytes.Equal(before, w.file(w.target.Perf())); changed != c.replaced || res.Settled != (c.old.Exact || c.new.Exact && c.replaced) {
			t.Errorf("%s: changed %v, the result is exact %v", c.name, changed, res.Settled)
		}
	}
}

// A guardian, or `export --footers`, finds the trades that the coordinator
// would have found.
func TestRecoverSelects(t *testing.T) {
	w := newTraded(t, 7, whole)
	want := w.selected(w.selector())
	older := append([]perf.Chunk(nil), w.chunks...)
	for i := range older { // the backup is older than the last footers
		if i%2 == 0 {
			older[i].Line, older[i].Status = perf.Encoded{}, footer.StatusMissing
		}
	}
	backedUp(t, w.target, w.report, older)
	lock := locked(t, w.target)
	recover := func() perf.File {
		res, err := export.Recover(t.Context(), export.RecoverConfig{
			Target: w.target, Lock: lock, Dirs: []string{w.target.WorkDir()}, Logger: quiet(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Refused > 0 {
			t.Fatalf("%d footers refused", res.Refused)
		}
		return read(t, res.Path)
	}
	f := recover()
	if sel := f.Report.Selection; f.Totals.Outcome != perf.OutcomeComplete || sel.Scope != "" || sel.Exact {
		t.Fatalf("without the policy: outcome %s, %+v, selection %+v", f.Totals.Outcome, f.Totals.Coverage, sel)
	}
	if err := export.KeepPolicy(w.target, w.report.Policy, w.policy.Content); err != nil {
		t.Fatal(err)
	}
	// Now it can do better, and the data set is read where the run read it.
	f = recover()
	if sel := f.Report.Selection; sel.Scope != perf.ScopeRun || !sel.Exact || sel.Trades != want.Trades {
		t.Fatalf("selection %s, exact %v, %+v (want %+v)", sel.Scope, sel.Exact, sel.Trades, want.Trades)
	}
	if _, err := selection.Verify(w.target.Perf(), f); err != nil {
		t.Error(err)
	}
	values, err := w.policy.Values(false)
	if err != nil || !bytes.Equal(f.Report.PolicyValues, values) {
		t.Errorf("policy.values %s, %v (want %s)", f.Report.PolicyValues, err, values)
	}
}

func TestKeepPolicy(t *testing.T) {
	w := newTraded(t, 1, whole)
	other := w.report.Policy
	other.Content = strings.Repeat("0", 64)
	if err := export.KeepPolicy(w.target, other, w.policy.Content); err == nil {
		t.Error("a content that has not the policy's digest is kept")
	}
	if err := export.KeepPolicy(w.target, w.report.Policy, w.policy.Content); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(export.RemovePolicies(w.target), export.RemovePolicies(w.target)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.target.PolicyFile(w.report.Policy.Content)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// A data set that was edited since is not taken for the run's.
func TestDataFile(t *testing.T) {
	w := newTraded(t, 1, whole)
	d := w.report.Data
	n := 0
	for b, err := range export.NewDataFile(d).Bars(t.Context(), run.BarRange{First: 5, End: 9}) {
		if err != nil || b != w.list[5+n] {
			t.Fatalf("bar %d: %+v, %v", 5+n, b, err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d bars (want 4)", n)
	}
	d.SHA256 = strings.Repeat("1", 64)
	for _, err := range export.NewDataFile(d).Bars(t.Context(), run.BarRange{First: 5, End: 9}) {
		if err == nil || !strings.Contains(err.Error(), "the run's data set has") {
			t.Errorf("other content: %v", err)
		}
	}
	for _, err := range export.MemoryBars(w.list).Bars(t.Context(), run.BarRange{First: 5, End: tradedBars + 1}) {
		if err == nil {
			t.Error("bars behind the data's end")
		}
	}
}

// A file in the fallback directory names no trades file: that stands elsewhere.
func TestFallbackNamesNoTradesFile(t *testing.T) {
	w := newTraded(t, 2, whole)
	w.report.Selection = w.selected(w.selector())
	if _, err := export.WriteFallback(w.target, export.Config{}, export.Failure{Report: w.report, Chunks: w.chunks, Cause: errTest}); err != nil {
		t.Fatal(err)
	}
	f := read(t, w.target.FallbackPerf())
	if sel := f.Report.Selection; sel.Trades.File != "" || !sel.Exact || f.Totals.TotalTrades == 0 {
		t.Errorf("%+v, %d trades", sel.Trades, f.Totals.TotalTrades)
	}
}
