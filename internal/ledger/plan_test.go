package ledger_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

func TestPlanOfExportedChunks(t *testing.T) {
	for _, p := range []struct{ bars, chunks, chunkBars int64 }{{70, 7, 0}, {71, 7, 0}, {70, 0, 9}, {5, 5, 0}, {1, 1, 0}} {
		plan, err := run.NewPlan(p.bars, int(p.chunks), p.chunkBars, run.OrderSpread)
		if err != nil {
			t.Fatal(err)
		}
		var chunks []perf.Chunk
		for i := range plan.Chunks {
			chunks = append(chunks, perf.Chunk{Idx: i, Planned: plan.Chunk(i).Bars.Len()})
		}
		got, err := ledger.PlanOf(chunks, run.OrderSpread)
		if err != nil {
			t.Fatal(err)
		}
		for i := range plan.Chunks {
			if got.Chunk(i) != plan.Chunk(i) {
				t.Fatalf("%+v: chunk %d is %+v (expected %+v)", p, i, got.Chunk(i), plan.Chunk(i))
			}
		}
	}
	if _, err := ledger.PlanOf([]perf.Chunk{{Idx: 0, Planned: 3}, {Idx: 1, Planned: 9}, {Idx: 2, Planned: 3}}, run.OrderSpread); err == nil {
		t.Error("chunks that no rule makes are taken for a plan")
	}
}

// Footers are all that is left of a run: those of another data set are seen to
// be, whichever chunks they are of.
func TestFootersOfAnotherDataSet(t *testing.T) {
	list := bars.Generate(300, 1)
	at := func(bar int) string { return time.Unix(0, list[bar].TimeNS).UTC().Format(time.RFC3339) }
	for name, c := range map[string]struct {
		first, end, data int64
		begins           string
		want             string // empty: it may be of this data set
	}{
		"of this one":                           {100, 200, 300, at(100), ""},
		"of an earlier version, without length": {100, 200, 0, at(100), ""},
		"of a longer one":                       {100, 200, 310, at(100), "of a data set of 310 bars (expected 300)"},
		"of a shorter one":                      {0, 100, 290, at(0), "of a data set of 290 bars (expected 300)"},
		"ends behind it":                        {250, 310, 0, at(250), "ends at bar 310, and the data set has 300"},
		"of other times":                        {100, 200, 300, at(101), "begins at " + at(101)},
	} {
		f := footer.Footer{
			Schema: footer.Schema, RunID: "r", ChunkIdx: 1, ChunkID: "1", Status: footer.StatusStopped, Attempt: 1, Engine: footer.EngineBuiltin, TotalBars: c.end - c.first,
			FirstBar: c.first, EndBar: c.end, PlannedBars: c.end - c.first, StartTS: c.begins,
		}
		if c.data > 0 {
			f.ChunksTotal, f.DataBars = 3, c.data
		}
		line, err := perf.EncodeChunk(f)
		if err != nil {
			t.Fatal(err)
		}
		l := ledger.New("r")
		chunks := []perf.Chunk{{Idx: 0, Planned: c.first, Status: footer.StatusMissing}, {Idx: 1, Planned: c.end - c.first, Status: footer.StatusStopped, Line: line}}
		if err := l.Add(ledger.Account{From: ledger.Backup, File: perf.File{Report: perf.Report{RunID: "r"}, Chunks: chunks}}); err != nil {
			t.Fatal(err)
		}
		err = l.FitsData(300, func(bar int64) time.Time { return time.Unix(0, list[bar].TimeNS) })
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v (want %q)", name, err, c.want)
		}
	}
}

// The plan is read from footers alone: each names its size, and has the borders
// of a chunk.
func TestThePlanOfFooters(t *testing.T) {
	f := func(idx int, first, end int64) footer.Footer { return bordered(t, idx, first, end) }
	for name, c := range map[string]struct {
		files   []footer.Footer
		want    string
		refused int
	}{
		"nothing":                      {nil, "", 0},
		"all of it":                    {[]footer.Footer{sized(3, 75, f(0, 0, 25)), sized(3, 75, f(1, 25, 50)), sized(3, 75, f(2, 50, 75))}, "0-25* 25-50* 50-75*", 0},
		"one of four":                  {[]footer.Footer{sized(4, 100, f(1, 25, 50))}, "0-25 25-50* 50-75 75-100", 0},
		"evenly dealt, odd":            {[]footer.Footer{sized(3, 10, f(1, 3, 6))}, "0-3 3-6* 6-10", 0},
		"which another one decides":    {[]footer.Footer{sized(3, 10, f(1, 3, 6)), sized(3, 10, f(2, 6, 10))}, "0-3 3-6* 6-10*", 0},
		"chunks of 30 bars":            {[]footer.Footer{sized(4, 95, f(1, 30, 60))}, "0-30 30-60* 60-90 90-95", 0},
		"the last one of these":        {[]footer.Footer{sized(4, 95, f(3, 90, 95))}, "0-30 30-60 60-90 90-95*", 0},
		"no rule":                      {[]footer.Footer{sized(4, 100, f(1, 7, 50))}, "", 1},
		"a release that names no size": {[]footer.Footer{sized(4, 100, f(1, 25, 50)), f(0, 0, 25), f(4, 100, 125)}, "0-25* 25-50* 50-75 75-100", 1},
		"another size in one":          {[]footer.Footer{sized(4, 100, f(0, 0, 25)), sized(4, 100, f(1, 25, 50)), sized(5, 125, f(2, 50, 75))}, "0-25* 25-50* 50-75 75-100", 1},
		"another plan in one":          {[]footer.Footer{sized(4, 100, f(0, 0, 25)), sized(4, 100, f(1, 25, 50)), sized(5, 130, f(2, 52, 78))}, "0-25* 25-50* 50-75 75-100", 1},
		"behind the end":               {[]footer.Footer{sized(2, 50, f(0, 0, 25)), sized(2, 50, f(2, 50, 75))}, "0-25* 25-50", 1},
		"a border elsewhere":           {[]footer.Footer{sized(4, 100, f(0, 0, 25)), sized(4, 100, f(1, 25, 99))}, "0-25* 25-50 50-75 75-100", 1},
		"no size that can be":          {[]footer.Footer{sized(1<<40, 1<<50, f(1, 25, 50)), sized(4, 3, f(1, 25, 50)), sized(0, 9, f(1, 25, 50))}, "", 3},
		"the last, and not the end":    {[]footer.Footer{sized(2, 50, f(0, 0, 25)), sized(2, 50, f(1, 25, 40))}, "0-25* 25-50", 1},
		"as far as can be":             {[]footer.Footer{sized(2, 1<<53, f(1, 1<<52, 1<<53))}, "0-4503599627370496 4503599627370496-9007199254740992*", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, f := range c.files {
				putFile(t, filepath.Join(dir, fmt.Sprint(i), "chunk_footer.json"), jsonOf(t, f))
			}
			l := ledger.New("r1")
			if err := l.AddFooters(t.Context(), []string{dir}); err != nil {
				t.Fatal(err)
			}
			chunks := l.File().Chunks
			if got := shape(chunks); got != c.want || l.Refused() != c.refused {
				t.Errorf("%s, %d refused; want %s, %d", got, l.Refused(), c.want, c.refused)
			}
			if l.Known() != (c.want != "") || l.FootersOnly() != l.Known() {
				t.Errorf("known %v, by footers only %v", l.Known(), l.FootersOnly())
			}
			if b, err := perf.Append(nil, aReport(0), chunks); err != nil {
				t.Error(err)
			} else if err := perf.Verify(b); err != nil {
				t.Error(err)
			}
		})
	}
}

// Footers of a release that did not name the plan's size need another account
// beside them.
func TestFootersWithoutAPlan(t *testing.T) {
	dir := t.TempDir()
	putFooter(t, dir, anEnd(t, 1, 60, 1, footer.StatusStopped, 1))
	l := ledger.New("r1")
	if err := l.AddFooters(t.Context(), []string{dir}); !errors.Is(err, ledger.ErrNoPlan) || l.Known() {
		t.Errorf("%v", err)
	}
	l = ledgerOf(t, theChunks(t, -1, 20, -1), tenPast(1))
	if err := l.AddFooters(t.Context(), []string{dir}); err != nil || l.ReplayedBars() != 60 {
		t.Errorf("%v, %d bars", err, l.ReplayedBars())
	}
}
