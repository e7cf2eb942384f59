package selection_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
	"gx1replay/internal/trade"
)

// decidedPolicy has every kind of decision but those of models.
const decidedPolicy = `policy_name: decided
timeframe: M5
features: [body_pct, range_pos]
replay_config:
  replay_pregate: {enabled: true, max_spread_bps: 2.2}
model:
  kind: logistic
  long: {bias: 0.01, weights: {body_pct: 0.7, range_pos: -0.4}}
  short: {bias: 0, weights: {body_pct: -0.3}}
entry: {p_side_min: 0.48, margin_min: 0.03, sessions: [EU, US, ASIA], max_gap: 8000h}
exit: {stop_bps: 6, target_bps: 8}
risk: {max_open_trades: 1, cooldown_bars_after_exit: 1}
replay: {follow_bars: 3}
`

func newDecided(t *testing.T, n int, replayed func(run.BarRange) int64) *traded {
	t.Helper()
	return newRun(t, n, replayed, decidedPolicy, true)
}

// rows are those of a run's decisions.
func (w *traded) rows() []trade.DecisionRow {
	w.t.Helper()
	b := w.file(w.files().Decisions())
	rows, err := parquet.Read[trade.DecisionRow](bytes.NewReader(b), int64(len(b)))
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// count counts rows by decision and reason.
func count(rows []trade.DecisionRow) map[string]int64 {
	n := map[string]int64{}
	for _, r := range rows {
		n[r.Decision]++
		n[r.Decision+" "+r.Reason]++
	}
	return n
}

// Each bar has a row, with its time; rows add up to what the perf JSON counts;
// a trade's row has its side and score.
func TestDecisions(t *testing.T) {
	w := newDecided(t, 1, whole)
	sel := w.selected(w.selector())
	rows := w.rows()
	if len(rows) != tradedBars {
		t.Fatalf("%d rows (want %d)", len(rows), tradedBars)
	}
	f := w.chunks[0].Line.Footer()
	n := count(rows)
	drops := int64(0)
	for reason, want := range sel.Chunks[0].DropReasons {
		drops += want
		if got := n["signal "+reason]; got != want {
			t.Errorf("%d signals dropped for %s (want %d)", got, reason, want)
		}
	}
	if n["warmup"] != f.BarsSkippedWarmup || n["skip "+trade.SkipSpread] != f.SkipReasons[trade.SkipSpread] || n["skip"] != f.PregateSkips ||
		n["trade"] != sel.Chunks[0].Closed+sel.Chunks[0].Open || n["signal"] != drops || n["signal"]+n["trade"] != f.NSignals {
		t.Errorf("rows %v of %+v, %d dropped", n, sel.Chunks[0], drops)
	}
	for _, some := range []string{"skip", "pass p_side_min", "pass entry_sessions", "pass margin_min", "signal max_open_trades", "signal cooldown_bars_after_exit", "trade"} {
		if n[some] == 0 {
			t.Errorf("the fixture has no %s (has %v)", some, n)
		}
	}
	for i, r := range rows {
		scored := r.Decision == trade.WordPass || r.Decision == trade.WordSignal || r.Decision == trade.WordTrade
		if r.Bar != int64(i) || r.TimeNS != w.list[i].TimeNS || (r.Score != nil) != scored || (r.Side != "") != scored {
			t.Fatalf("row %d is %+v (bar %+v)", i, r, w.list[i])
		}
	}
	b := w.file(w.files().TradesParquet())
	trades, err := parquet.Read[trade.Row](bytes.NewReader(b), int64(len(b)))
	if err != nil || len(trades) < 20 {
		t.Fatalf("%d trades, %v", len(trades), err)
	}
	for _, tr := range trades {
		if r := rows[tr.SignalBar]; r.Decision != trade.WordTrade || r.Side != tr.Side || *r.Score != tr.Score {
			t.Fatalf("bar %d: %+v (it became the trade %+v)", tr.SignalBar, r, tr)
		}
	}
}

// The file has the same bytes for any cut, though every border has a trade
// open across it.
func TestDecisionsAreTheSameForAnyCut(t *testing.T) {
	one := newDecided(t, 1, whole)
	one.selected(one.selector())
	want := one.file(one.files().Decisions())
	for _, n := range []int{3, 7, 60} {
		w := newDecided(t, n, whole)
		w.selected(w.selector())
		if !bytes.Equal(w.file(w.files().Decisions()), want) {
			t.Errorf("%d chunks: the decisions differ", n)
		}
	}
}

// A run that does not keep decisions has no file of them.
func TestNoDecisions(t *testing.T) {
	w := newTraded(t, 2, whole)
	w.selected(w.selector())
	if _, err := os.Stat(w.files().Decisions()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("decisions: %v (want none)", err)
	}
}

// Of a stopped run there are rows for the bars replayed, no others.
func TestDecisionsOfAStoppedRun(t *testing.T) {
	w := newDecided(t, 5, func(r run.BarRange) int64 {
		switch r.First {
		case 240: // chunk 1: stopped in the middle
			return 100
		case 720: // chunk 3: never begun
			return 0
		}
		return r.Len()
	})
	w.selected(w.selector())
	one := newDecided(t, 1, whole)
	one.selected(one.selector())
	all := one.rows()
	rows := w.rows()
	if len(rows) != tradedBars-140-240 {
		t.Fatalf("%d rows (want %d)", len(rows), tradedBars-140-240)
	}
	for _, r := range rows {
		if 340 <= r.Bar && r.Bar < 480 || 720 <= r.Bar && r.Bar < 960 {
			t.Fatalf("bar %d has a row, and was not replayed", r.Bar)
		}
		// Which signals are taken may differ behind a gap.
		made := func(r trade.DecisionRow) bool { return r.Decision == trade.WordSignal || r.Decision == trade.WordTrade }
		if x := all[r.Bar]; x.TimeNS != r.TimeNS || x.Side != r.Side || made(x) != made(r) || !made(r) && (x.Decision != r.Decision || x.Reason != r.Reason) {
			t.Fatalf("%+v (of the whole run: %+v)", r, x)
		}
	}
}

// What is lost or damaged is left out and said; signals that are lost leave
// decisions whose end is unknown. Trades do not suffer from it.
func TestDecisionsThatCannotBeHad(t *testing.T) {
	const chunks, bad = 6, 2
	good := newDecided(t, chunks, whole)
	want := good.selected(good.selector())
	for name, c := range map[string]struct {
		spoil func(w *traded, s *selection.Selector)
		lost  bool // the chunk's rows
		said  string
	}{
		"no file": {func(w *traded, _ *selection.Selector) {
			if err := os.Remove(filepath.Join(w.attempt(bad), trade.DecisionsName)); err != nil {
				t.Fatal(err)
			}
		}, true, "chunk_idx=2"},
		"a bit changed": {func(w *traded, _ *selection.Selector) {
			path := filepath.Join(w.attempt(bad), trade.DecisionsName)
			b := w.file(path)
			b[len(b)/2] ^= 1
			write(w.t, path, b)
		}, true, "SHA-256"},
		"not what is counted": {func(w *traded, _ *selection.Selector) {
			rewrite(w, bad, func(f *footer.Footer) {
				f.Artifacts[1] = w.chunks[bad+1].Line.Footer().Artifacts[1]
			})
			b := w.file(filepath.Join(w.attempt(bad+1), trade.DecisionsName))
			write(w.t, filepath.Join(w.attempt(bad), trade.DecisionsName), b)
		}, true, "the decisions make"},
		"not listed": {func(w *traded, _ *selection.Selector) {
			rewrite(w, bad, func(f *footer.Footer) { f.Artifacts = f.Artifacts[:1] })
		}, true, "lists no decisions"},
		"a second place": {func(w *traded, s *selection.Selector) {
			s.Artifacts = append([]selection.ArtifactReader{keeper(func(footer.Footer, int) ([][]byte, error) { return [][]byte{[]byte("garbage")}, nil })}, s.Artifacts...)
		}, false, ""},
	} {
		w := newDecided(t, chunks, whole)
		var log bytes.Buffer
		s := w.selector()
		s.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.spoil(w, s)
		sel := w.selected(s)
		if sel.Trades != want.Trades || !sel.Exact {
			t.Errorf("%s: trades %+v, exact %v (want %+v)", name, sel.Trades, sel.Exact, want.Trades)
		}
		rows := w.rows()
		lost := 0
		for _, r := range good.rows() {
			if c.lost && 400 <= r.Bar && r.Bar < 600 {
				lost++
			}
		}
		if len(rows) != tradedBars-lost || c.lost != (lost > 0) || !strings.Contains(log.String(), c.said) {
			t.Errorf("%s: %d rows, %d are lost; the log says %s", name, len(rows), lost, log.String())
		}
	}
	w := newDecided(t, chunks, whole)
	if err := os.Remove(filepath.Join(w.attempt(bad), trade.ArtifactName)); err != nil {
		t.Fatal(err)
	}
	w.selected(w.selector())
	rows := w.rows()
	n := count(rows)
	if got := w.chunks[bad].Line.Footer().NSignals; len(rows) != tradedBars || n["signal signals_lost"] != got || got == 0 {
		t.Errorf("without the signals of a chunk: %d rows, %v (want %d of which nobody knows)", len(rows), n, got)
	}
}

// rewrite changes the footer that speaks for a chunk.
func rewrite(w *traded, idx int, change func(*footer.Footer)) {
	w.t.Helper()
	f := w.chunks[idx].Line.Footer()
	f.Artifacts = append([]footer.Artifact{}, f.Artifacts...)
	change(&f)
	var err error
	if w.chunks[idx].Line, err = perf.EncodeChunk(f); err != nil {
		w.t.Fatal(err)
	}
}

// Without bars there are no times, and so no file; trades are there.
func TestDecisionsWithoutBars(t *testing.T) {
	for _, from := range []selection.Bars{nil, failing{}} {
		w := newDecided(t, 3, whole)
		var log bytes.Buffer
		s := w.selector()
		s.Bars, s.Logger = from, slog.New(slog.NewTextHandler(&log, nil))
		if sel := w.selected(s); sel.Trades.File == "" || !strings.Contains(log.String(), "writing the decisions failed") {
			t.Errorf("trades %+v, log %s", sel.Trades, log.String())
		}
		if list, err := filepath.Glob(filepath.Join(w.target.RunDir(), "*decisions*")); err != nil || len(list) > 0 {
			t.Errorf("%v, %v (want no file of decisions, nor a part of one)", list, err)
		}
	}
}

// A recovery writes them, too.
func TestRecoverWritesDecisions(t *testing.T) {
	w := newDecided(t, 4, whole)
	w.selected(w.selector())
	want := w.file(w.files().Decisions())
	if err := os.RemoveAll(w.target.RunDir()); err != nil {
		t.Fatal(err)
	}
	if err := export.KeepPolicy(w.target, w.report.Policy, w.policy.Content); err != nil {
		t.Fatal(err)
	}
	lock, err := export.Acquire(t.Context(), w.target, export.RoleGuardian)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	write(t, w.target.Backup(), appended(t, w.report, w.chunks))
	if _, err := export.Recover(t.Context(), export.RecoverConfig{
		Target: w.target, Lock: lock, Dirs: []string{w.target.WorkDir()}, Logger: quiet(),
	}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.file(w.files().Decisions()), want) {
		t.Error("the recovery's decisions are not the run's")
	}
}
