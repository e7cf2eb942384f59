package export_test

import (
	"testing"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// A file of a stopped run says export_partial: false, and is not complete. A
// resume that is stopped again goes on from it: its first export, which knows
// of little, loses no bar of it, and its last one takes its place.
func TestSchedule17_StoppedFileIsNotComplete(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	session := func() *export.Exporter {
		t.Helper()
		e, err := export.Open(l, tg, export.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := session()
	if _, err := e.ExportFinal(t.Context(), aReport(3), theChunks(t, 100, 37, -1)); err != nil {
		t.Fatal(err)
	}
	if f := read(t, tg.Perf()); f.Report.Partial || f.Totals.Outcome != perf.OutcomeStopped {
		t.Fatalf("the stopped file: export_partial %v, outcome %s", f.Report.Partial, f.Totals.Outcome)
	}

	e = session()
	r := aReport(3)
	r.Partial = true
	claimed := theChunks(t, -1, -1, 5)
	claimed[2].Status = footer.StatusUnresponsive
	if _, err := e.Export(t.Context(), r, claimed); err != nil {
		t.Fatal(err)
	}
	f := read(t, tg.Perf())
	if got := f.Totals.Coverage.ReplayedBars; got != 142 || !f.Report.Partial || f.Totals.Outcome != perf.OutcomeStopped {
		t.Errorf("the first export of the resume: %d bars, export_partial %v, outcome %s (want 142, true, stopped)", got, f.Report.Partial, f.Totals.Outcome)
	}
	if _, err := e.ExportFinal(t.Context(), aReport(3), theChunks(t, -1, 80, 60)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, tg.Perf()).Totals.Coverage.ReplayedBars; got != 240 {
		t.Errorf("the last export of the resume: %d bars (want 240)", got)
	}
	if _, err := session().ExportFinal(t.Context(), aReport(3), theChunks(t, 100, 100, 100)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, tg.Perf()).Totals.Outcome; got != perf.OutcomeComplete {
		t.Errorf("the run that was taken up again is %s", got)
	}
}
