package selection_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
	"gx1replay/internal/trade"
)

// asExec makes w the run of a user's command that emits what its chunks left,
// and changes what it says of each.
func (w *traded) asExec(emits string, change func(i int, f *footer.Footer)) {
	w.t.Helper()
	w.report.Env.Engine = footer.EngineExec
	w.report.Command = run.Command{
		Argv: []string{"python3", "replay.py"}, Digests: map[string]string{"replay.py": strings.Repeat("5e", 32)},
		Emits: emits, SliceFormat: "csv", TSFormat: "rfc3339",
	}
	for i := range w.chunks {
		if w.chunks[i].Line.IsZero() {
			continue
		}
		f := w.chunks[i].Line.Footer()
		f.Engine = footer.EngineExec
		if change != nil {
			change(i, &f)
		}
		var err error
		if w.chunks[i].Line, err = perf.EncodeChunk(f); err != nil {
			w.t.Fatal(err)
		}
		putFooter(w.t, w.attempt(i), f)
	}
}

// Scores and signals of a command are selected as the built-in engine's, by the
// coordinator and by who has the files alone.
func TestSelectOfACommand(t *testing.T) {
	want := newTraded(t, 1, whole)
	builtin := want.selected(want.selector())
	for _, emits := range []string{run.EmitsScores, run.EmitsSignals} {
		w := newTraded(t, 7, whole)
		w.policy.Model = nil
		w.asExec(emits, nil)
		if emits == run.EmitsSignals {
			// What the built-in engine left open would be followed by its rules.
			w = newTraded(t, 1, whole)
			w.asExec(emits, nil)
		}
		got := w.selected(w.selector())
		if got.Scope != perf.ScopeRun || !got.Exact || !got.Settled() || got.Trades != builtin.Trades {
			t.Errorf("%s: scope %s, exact %v, %+v (want %+v)", emits, got.Scope, got.Exact, got.Trades, builtin.Trades)
		}
		backedUp(t, w.target, w.report, w.chunks)
		if err := export.KeepPolicy(w.target, w.report.Policy, w.policy.Content); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(w.files().TradesCSV()); err != nil {
			t.Fatal(err)
		}
		res, err := export.Recover(t.Context(), export.RecoverConfig{
			Target: w.target, Lock: locked(t, w.target), Dirs: []string{w.target.WorkDir()}, Logger: quiet(),
		})
		if err != nil {
			t.Fatal(err)
		}
		f := read(t, res.Path)
		if sel := f.Report.Selection; sel.Trades != builtin.Trades || !sel.Exact || f.Report.Command.Emits != emits {
			t.Errorf("%s, recovered: %+v, command %+v", emits, sel.Trades, f.Report.Command)
		}
		if _, err := selection.Verify(res.Path, f); err != nil {
			t.Errorf("%s: %v", emits, err)
		}
	}
}

// Nobody follows a command's own signals by rules that are not its own: what it
// has left open stays open, and that is for good.
func TestSignalsThatACommandLeavesOpen(t *testing.T) {
	w := newTraded(t, 6, whole)
	w.asExec(run.EmitsSignals, nil)
	sel := w.selected(w.selector())
	open := int64(0)
	for _, c := range sel.Chunks {
		open += c.Open
	}
	if sel.Scope != perf.ScopeRun || sel.Exact || !sel.Settled() || open == 0 {
		t.Errorf("scope %s, exact %v, settled %v, %d open", sel.Scope, sel.Exact, sel.Settled(), open)
	}
	w.report.Selection = sel
	e := opened(t, w.target)
	res, err := e.ExportFinal(t.Context(), w.report, w.chunks)
	if err != nil || !res.Settled {
		t.Fatalf("%+v, %v", res, err)
	}
	if f := read(t, res.Path); !f.Report.Selection.Settled() || f.Report.Selection.Exact {
		t.Errorf("read back: settled %v, exact %v", f.Report.Selection.Settled(), f.Report.Selection.Exact)
	}
}

// Bars whose command did not come to leave its signals are not bars without.
func TestSignalsThatWereNotReported(t *testing.T) {
	w := newTraded(t, 5, whole)
	w.asExec(run.EmitsScores, func(i int, f *footer.Footer) {
		if i == 2 {
			f.NSignals, f.Artifacts, f.NTradesClosed, f.Unreported = 0, nil, 4, []string{"n_signals"}
		}
	})
	sel := w.selected(w.selector())
	if sel.Chunks[2].Known || sel.Exact || sel.Settled() || sel.Scope != perf.ScopeStretches || sel.Trades.WithoutRows != 4 {
		t.Errorf("%+v, exact %v, scope %s, %d without rows", sel.Chunks[2], sel.Exact, sel.Scope, sel.Trades.WithoutRows)
	}
}

// A coordinator whose workers brought the command sees what it emits.
func TestSelectOfAnUnknownCommand(t *testing.T) {
	want := newTraded(t, 1, whole)
	builtin := want.selected(want.selector())
	w := newTraded(t, 1, whole)
	w.asExec(run.EmitsScores, nil)
	w.report.Command = run.Command{}
	if sel := w.selected(w.selector()); sel.Scope != perf.ScopeRun || sel.Trades != builtin.Trades || !sel.Settled() {
		t.Errorf("signals: %+v", sel)
	}
	w = ownTrades(t, "id\n1\n", "", "id\n2\n")
	known := w.selected(w.selector())
	w.report.Command = run.Command{}
	if sel := w.selected(w.selector()); sel.Scope != perf.ScopeCommand || sel.Trades != known.Trades || known.Trades.File == "" {
		t.Errorf("trades: %+v", sel)
	}
	w.report.Env.Engine = "another"
	if sel := w.selected(w.selector()); sel.Scope != "" || sel.Settled() {
		t.Errorf("an engine that nobody knows: %+v", sel)
	}
}

// leaveTrades lets the command of chunk i leave text, and count trades.
func (w *traded) leaveTrades(i int, f *footer.Footer, text string, trades int64) {
	sum := sha256.Sum256([]byte(text))
	f.Artifacts = []footer.Artifact{
		{Name: "stdout.log", Bytes: 3, SHA256: strings.Repeat("0", 64), Parts: 1},
		{Name: trade.OwnTradesName, Bytes: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Parts: 1},
	}
	f.NTradesClosed, f.PnlBps, f.NSignals = trades, 1.5, 0
	putFile(w.t, filepath.Join(w.attempt(i), trade.OwnTradesName), []byte(text))
}

// ownTrades is a run of chunks whose command leaves trades.
func ownTrades(t *testing.T, texts ...string) *traded {
	t.Helper()
	w := newTraded(t, len(texts), whole)
	w.asExec(run.EmitsTrades, func(i int, f *footer.Footer) {
		f.Artifacts, f.NTradesClosed, f.NSignals, f.PnlBps, f.TradesOpen, f.DropReasons = nil, 0, 0, 0, 0, nil
		if texts[i] != "" {
			w.leaveTrades(i, f, texts[i], int64(max(0, strings.Count(texts[i], "\n")-1)))
		}
	})
	w.policy.Content = nil // nobody needs it
	return w
}

func TestOwnTrades(t *testing.T) {
	const head = "id,pnl,note\n"
	w := ownTrades(t, "", head+"1,2.5,a\n", head, head+"2,-0.50,\"b, c\"\n3,x,\n", "", head+"4,1,d")
	sel := w.selected(w.selector())
	const want = head + "1,2.5,a\n2,-0.50,\"b, c\"\n3,x,\n4,1,d\n"
	sum := sha256.Sum256([]byte(want))
	if got := string(w.file(w.files().TradesCSV())); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
	if sel.Scope != perf.ScopeCommand || sel.Exact || !sel.Settled() || sel.Trades != (perf.TradesFile{File: "r1/trades_r1.csv", SHA256: hex.EncodeToString(sum[:])}) {
		t.Errorf("%+v", sel)
	}
	for _, path := range []string{w.files().TradesParquet(), w.files().Curve()} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", filepath.Base(path), err)
		}
	}
	w.report.Selection = sel
	e := opened(t, w.target)
	if res, err := e.ExportFinal(t.Context(), w.report, w.chunks); err != nil || !res.Settled {
		t.Fatalf("%+v, %v", res, err)
	}
	f := read(t, w.target.Perf())
	if f.Totals.TotalTrades != 3 || f.Totals.TotalPnlBps != 6 || f.Report.Selection.Trades != sel.Trades {
		t.Errorf("%+v, %+v", f.Totals, f.Report.Selection.Trades)
	}
	// The last chunk counts 0 of its 1 row: four rows are not three trades.
	if _, err := selection.Verify(w.target.Perf(), f); !errors.Is(err, selection.ErrVerify) || !strings.Contains(err.Error(), "rows is 4") {
		t.Errorf("verify: %v", err)
	}
}

func TestVerifyOwnTrades(t *testing.T) {
	const head = "id,pnl\n"
	for name, c := range map[string]struct {
		change func(w *traded)
		spoil  func(text string) string
		want   string
	}{
		"as it is": {want: ""},
		"a row more than is counted": {change: func(w *traded) {
			w.asExec(run.EmitsTrades, func(i int, f *footer.Footer) { f.NTradesClosed = 1 })
		}, want: "total_trades 2"},
		"counted by nobody": {change: func(w *traded) {
			w.asExec(run.EmitsTrades, func(i int, f *footer.Footer) {
				f.NTradesClosed, f.Unreported = 0, []string{"n_trades_closed"}
			})
		}},
		"another digest": {spoil: func(text string) string { return text + "9,9\n" }, want: "sha256 is"},
	} {
		w := ownTrades(t, head+"1,2\n2,3\n", head+"3,4\n")
		if c.change != nil {
			c.change(w)
		}
		w.report.Selection = w.selected(w.selector())
		e := opened(t, w.target)
		if _, err := e.ExportFinal(t.Context(), w.report, w.chunks); err != nil {
			t.Fatal(err)
		}
		if c.spoil != nil {
			write(t, w.files().TradesCSV(), []byte(c.spoil(string(w.file(w.files().TradesCSV())))))
		}
		found, err := selection.Verify(w.target.Perf(), read(t, w.target.Perf()))
		if c.want == "" && (err != nil || found.File != w.files().TradesCSV()) || c.want != "" && (!errors.Is(err, selection.ErrVerify) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v (want %q)", name, found, err, c.want)
		}
	}
}

// What cannot be had is left out, counted and said; the rest stands.
func TestOwnTradesThatAreLeftOut(t *testing.T) {
	const head = "id,pnl\n"
	texts := []string{head + "1,2\n", "id,profit\n2,3\n3,4\n", head + "4,5\n", head + "5,6\n"}
	for name, c := range map[string]struct {
		spoil   func(w *traded)
		ids     string
		without int64
		settled bool
	}{
		"other columns": {func(*traded) {}, "1 2 3 4 5", 0, true},
		"a file that is gone": {func(w *traded) {
			if err := os.Remove(filepath.Join(w.attempt(2), trade.OwnTradesName)); err != nil {
				t.Fatal(err)
			}
		}, "1 2 3 5", 1, false},
		"a bit changed": {func(w *traded) {
			write(t, filepath.Join(w.attempt(0), trade.OwnTradesName), []byte(head+"1,3\n"))
		}, "2 3 4 5", 1, false},
		"no CSV": {func(w *traded) {
			w.asExec(run.EmitsTrades, func(i int, f *footer.Footer) {
				if i == 3 {
					w.leaveTrades(i, f, head+"\"5,6\n", 1)
				}
			})
		}, "1 2 3 4", 1, false},
		"a chunk that tells of none": {func(w *traded) {
			w.asExec(run.EmitsTrades, func(i int, f *footer.Footer) {
				if i == 3 {
					f.Artifacts, f.NTradesClosed = nil, 7
				}
			})
		}, "1 2 3 4", 7, true},
	} {
		w := ownTrades(t, texts...)
		c.spoil(w)
		sel := w.selected(w.selector())
		var ids []string
		for _, line := range strings.Split(strings.TrimSpace(string(w.file(w.files().TradesCSV()))), "\n")[1:] {
			id, _, _ := strings.Cut(line, ",")
			ids = append(ids, id)
		}
		if got := strings.Join(ids, " "); got != c.ids || sel.Trades.WithoutRows != c.without || sel.Settled() != c.settled {
			t.Errorf("%s: rows %s, %d without, settled %v (want %s, %d, %v)", name, got, sel.Trades.WithoutRows, sel.Settled(), c.ids, c.without, c.settled)
		}
		w.report.Selection = sel
		e := opened(t, w.target)
		if _, err := e.ExportFinal(t.Context(), w.report, w.chunks); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if f := read(t, w.target.Perf()); f.Report.Selection.Trades != sel.Trades {
			t.Errorf("%s: %+v", name, f.Report.Selection.Trades)
		}
	}
}

func TestNoOwnTrades(t *testing.T) {
	w := ownTrades(t, "", "")
	sel := w.selected(w.selector())
	if sel.Scope != perf.ScopeCommand || sel.Trades != (perf.TradesFile{}) || !sel.Settled() {
		t.Errorf("%+v", sel)
	}
	if _, err := os.Stat(w.files().TradesCSV()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of no trades: %v", err)
	}
	if entries, err := os.ReadDir(w.target.RunDir()); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.selector().Select(ctx, w.report, w.chunks); err == nil {
		t.Error("an end of ctx is not heeded")
	}
}

// Who has the files alone joins the same trades, without the policy; with
// another output no file is written or named.
func TestRecoverOwnTrades(t *testing.T) {
	var texts []string
	for i := range 20 {
		texts = append(texts, fmt.Sprintf("id,pnl\n%d,1\n", i))
	}
	w := ownTrades(t, texts...)
	want := w.selected(w.selector())
	before := w.file(w.files().TradesCSV())
	if err := os.Remove(w.files().TradesCSV()); err != nil {
		t.Fatal(err)
	}
	backedUp(t, w.target, w.report, w.chunks)
	cfg := export.RecoverConfig{Target: w.target, Dirs: []string{w.target.WorkDir()}, Logger: quiet(), Output: filepath.Join(t.TempDir(), "o.json")}
	if _, err := export.Recover(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if f := read(t, cfg.Output); f.Report.Selection.Trades.File != "" || f.Report.Selection.Scope != perf.ScopeCommand || f.Totals.TotalTrades != 20 {
		t.Errorf("%+v", f.Report.Selection)
	}
	cfg.Output, cfg.Lock = "", locked(t, w.target)
	res, err := export.Recover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, res.Path)
	if f.Report.Selection.Trades != want.Trades || !slices.Equal(w.file(w.files().TradesCSV()), before) {
		t.Errorf("%+v (want %+v)", f.Report.Selection.Trades, want.Trades)
	}
	if _, err := selection.Verify(res.Path, f); err != nil {
		t.Error(err)
	}
}
