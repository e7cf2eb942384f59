package coordinator

import (
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

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
		l := left{file: perf.File{Chunks: []perf.Chunk{{Idx: 0}, {Idx: 1, Line: line}}}}
		err = l.fitsData(list)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v (want %q)", name, err, c.want)
		}
	}
}
