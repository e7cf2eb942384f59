package selection_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// signalsOf reads the file of signals that sel names.
func signalsOf(t *testing.T, w *traded, sel perf.Selection) trade.SignalFile {
	t.Helper()
	if want := filepath.Join(string(w.target.RunID), filepath.Base(w.files().Signals())); sel.Signals.File != want {
		t.Fatalf("the selection names %q (want %q)", sel.Signals.File, want)
	}
	b := w.file(w.files().Signals())
	got, err := trade.ReadSignals(bytes.NewReader(b), int64(len(b)), w.report.Data.Bars)
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(got.Signals)); n != sel.Signals.Rows {
		t.Errorf("%d rows (the selection says %d)", n, sel.Signals.Rows)
	}
	return got
}

// The signals of a run in any cut are those of one replay over all bars, each
// followed to its end, and the taken ones are the trades.
func TestSignalsFile(t *testing.T) {
	doc := tradedPolicy + "replay_config: {replay_pregate: {enabled: true, allow_sessions: [EU, US]}}\n"
	inOne := newRun(t, 1, whole, doc, false)
	want := signalsOf(t, inOne, inOne.selected(inOne.selector()))
	if want.Skipped.Bars() != inOne.report.Data.Bars || want.Skipped.Count(0, want.Skipped.Bars()) == 0 {
		t.Errorf("the gate of %d bars skips %d (want some, of %d)", want.Skipped.Bars(), want.Skipped.Count(0, want.Skipped.Bars()), inOne.report.Data.Bars)
	}
	for _, chunks := range []int{2, 5, 9} {
		w := newRun(t, chunks, whole, doc, false)
		sel := w.selected(w.selector())
		got := signalsOf(t, w, sel)
		if !slices.EqualFunc(got.Signals, want.Signals, sameSignal) {
			t.Errorf("%d chunks: other signals than in one", chunks)
		}
		var taken, dropped int64
		for _, s := range got.Signals {
			switch {
			case !s.Closed() && !s.Expired:
				t.Errorf("the signal of bar %d has no end", s.Bar)
			case s.Taken:
				taken++
			default:
				dropped++
			}
		}
		var closed int64
		for _, c := range sel.Chunks {
			closed += c.Closed
		}
		if taken != closed || dropped == 0 {
			t.Errorf("%d signals taken, %d dropped (want %d taken, some dropped)", taken, dropped, closed)
		}
	}
}

func sameSignal(a, b trade.KeptSignal) bool {
	return a.Signal == b.Signal && a.Taken == b.Taken && a.Dropped == b.Dropped
}

// What a stop left open is followed to its end in the file, and stays open in
// the run.
func TestSignalsFileOfAStoppedRun(t *testing.T) {
	part := newTraded(t, 5, func(r run.BarRange) int64 {
		if r.First == 240 {
			return 100
		}
		return r.Len()
	})
	sel := part.selected(part.selector())
	if sel.Chunks[1].Open == 0 {
		t.Fatal("nothing is open in the chunk that was stopped: the test says nothing")
	}
	all := newTraded(t, 1, whole)
	ends := map[int64]trade.Signal{}
	for _, s := range signalsOf(t, all, all.selected(all.selector())).Signals {
		ends[s.Bar] = s.Signal
	}
	for _, s := range signalsOf(t, part, sel).Signals {
		if s.Signal != ends[s.Bar] {
			t.Errorf("the signal of bar %d ends as %+v (want %+v)", s.Bar, s.Signal, ends[s.Bar])
		}
		if s.Bar >= 340 && s.Bar < 480 {
			t.Errorf("bar %d was not replayed, and has a signal", s.Bar)
		}
	}
}

func TestSignalsFileCanBeLeftOut(t *testing.T) {
	w := newTraded(t, 2, whole)
	s := w.selector()
	s.NoSignals = true
	if sel := w.selected(s); sel.Signals != (perf.SignalsFile{}) || sel.Trades.File == "" {
		t.Errorf("signals %+v, trades %+v (want trades alone)", sel.Signals, sel.Trades)
	}
}

// Without bars, signals that a worker left open stay open, with what it takes to
// follow them on.
func TestSignalsFileWithoutBars(t *testing.T) {
	w := newTraded(t, 5, func(r run.BarRange) int64 {
		if r.First == 240 {
			return 100
		}
		return r.Len()
	})
	s := w.selector()
	s.Bars = nil
	got := signalsOf(t, w, w.selected(s))
	if got.Skipped.Bars() != 0 {
		t.Errorf("it tells which of %d bars the gate skips, without any", got.Skipped.Bars())
	}
	open := 0
	rules, err := trade.NewRules(w.policy, w.report.Data.BarLength)
	if err != nil {
		t.Fatal(err)
	}
	all := newTraded(t, 1, whole)
	ends := map[int64]trade.Signal{}
	for _, s := range signalsOf(t, all, all.selected(all.selector())).Signals {
		ends[s.Bar] = s.Signal
	}
	for _, k := range got.Signals {
		if k.Left == nil {
			continue
		}
		open++
		n := w.report.Data.Bars
		if err := trade.Finish(&rules, &k.Signal, n, w.selector().Bars.Bars(t.Context(), run.BarRange{First: k.Next(), End: n})); err != nil {
			t.Error(err)
		}
		if k.Signal != ends[k.Bar] {
			t.Errorf("followed on, the signal of bar %d ends as %+v (want %+v)", k.Bar, k.Signal, ends[k.Bar])
		}
	}
	if open == 0 {
		t.Error("nothing is open: the test says nothing")
	}
}
