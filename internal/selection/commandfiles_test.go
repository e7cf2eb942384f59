package selection_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
)

// A command's own trades get the files that the built-in engine's get.
func TestFilesOfOwnTrades(t *testing.T) {
	const head = "entry_time,exit_time,side,pnl_bps\n"
	first, second := head+"2026-01-05 09:00:00,2026-01-05 10:00:00,long,10\n", head+"2026-02-05 09:00:00,2026-02-05 10:00:00,short,-4\n2026-02-06 09:00:00,2026-02-06 10:00:00,long,-2.5\n"
	w := ownTrades(t, first, second)
	w.asExec(run.EmitsTrades, func(i int, f *footer.Footer) {
		f.PnlBps, f.Unreported = []float64{10, -6.5}[i], []string{"n_signals", "pregate_skips"}
	})
	w.report.Selection = w.selected(w.selector())
	var m map[string]any
	if err := json.Unmarshal(w.file(w.files().Metrics()), &m); err != nil {
		t.Fatal(err)
	}
	if m["n_trades"] != 3.0 || m["total_pnl_bps"] != 3.5 || m["max_dd"] != -6.5 || m["max_loss_streak"] != 2.0 || len(m["by_month"].(map[string]any)) != 2 {
		t.Errorf("metrics: %v", m)
	}
	if _, there := m["mae_bps"]; there {
		t.Errorf("metrics have a mae_bps that nobody gave: %v", m)
	}
	var a map[string]any
	if err := json.Unmarshal(w.file(w.files().Attribution()), &a); err != nil {
		t.Fatal(err)
	}
	if _, there := a["n_signals"]; there || a["n_trades"] != 3.0 {
		t.Errorf("attribution: %v", a)
	}
	summary := string(w.file(w.files().Summary()))
	for _, want := range []string{"| total pnl | 3.50 bps |", "equity_r1.svg", "2026-02"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary does not say %q:\n%s", want, summary)
		}
	}
	if strings.Contains(summary, "The command counts") || strings.Contains(summary, "The command reports") {
		t.Errorf("the summary finds a contradiction:\n%s", summary)
	}
	if !strings.Contains(string(w.file(w.files().Curve())), "over 3 trades") {
		t.Error("the curve is not of 3 trades")
	}

	e := opened(t, w.target)
	if _, err := e.ExportFinal(t.Context(), w.report, w.chunks); err != nil {
		t.Fatal(err)
	}
	f := read(t, w.target.Perf())
	found, err := selection.Verify(w.target.Perf(), f)
	if err != nil || len(found.Others) != 2 {
		t.Errorf("verify: %+v, %v", found, err)
	}
	for path, spoil := range map[string][2]string{w.files().Metrics(): {`"max_dd": -6.5`, `"max_dd": -5.5`}, w.files().Attribution(): {`"n_trades": 3`, `"n_trades": 4`}} {
		text := string(w.file(path))
		write(t, path, []byte(strings.Replace(text, spoil[0], spoil[1], 1)))
		if _, err := selection.Verify(w.target.Perf(), f); !errors.Is(err, selection.ErrVerify) || !strings.Contains(err.Error(), strings.Split(spoil[0], `"`)[1]) {
			t.Errorf("%s with %s: %v", path, spoil[1], err)
		}
		write(t, path, []byte(text))
	}

	// A resume whose trades tell less takes the curve away.
	w.asExec(run.EmitsTrades, func(i int, f *footer.Footer) { w.leaveTrades(i, f, "pnl_bps\n1\n", 1) })
	if sel := w.selected(w.selector()); sel.Scope != perf.ScopeCommand {
		t.Errorf("%+v", sel)
	}
	if _, err := os.Stat(w.files().Curve()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the curve of the trades before is there: %v", err)
	}
	if text := string(w.file(w.files().Metrics())); strings.Contains(text, "max_dd\":") || !strings.Contains(text, `"total_pnl_bps": 2`) {
		t.Errorf("metrics: %s", text)
	}
}
