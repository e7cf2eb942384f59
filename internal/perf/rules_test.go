package perf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

func TestEncodeChunkRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 9999) + "1" + strings.Repeat("}", 9999)
	for name, change := range map[string]func(*footer.Footer){
		"attempt 0": func(f *footer.Footer) { f.Attempt = 0 },
		"chunk_id":  func(f *footer.Footer) { f.ChunkID = "01" },
		"child is":  func(f *footer.Footer) { f.Child = json.RawMessage(deep) },
		"bytes of":  func(f *footer.Footer) { f.ChildStatus = strings.Repeat("\x01", 300_000) },
	} {
		f := aFooter(0, 10, 1, 1)
		change(&f)
		if _, err := perf.EncodeChunk(f); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A child with bytes that are not UTF-8 must not make the file unreadable.
func TestChildIsMadeUTF8(t *testing.T) {
	f := aFooter(0, 10, 1, 1)
	f.Child = json.RawMessage("{\"x\": \"\xff\", \"none\": null}")
	b := appended(t, aReport(1), []perf.Chunk{{Planned: chunkBars, Status: footer.StatusStopped, Line: encode(t, f)}})
	if err := perf.Verify(b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(`"child":{"x":"`+"\uFFFD"+`","none":null}`)) {
		t.Errorf("%s", b)
	}
}

// What a chunk says of itself and what its footer says are made to agree.
func TestSettled(t *testing.T) {
	wrong := func(change func(*footer.Footer)) perf.Encoded {
		f := aFooter(0, 40, 1, 1)
		change(&f)
		return encode(t, f)
	}
	ok, part := encode(t, aFooter(0, 100, 1, 1)), encode(t, aFooter(0, 40, 1, 1))
	notFinal := wrong(func(f *footer.Footer) { f.Status = footer.StatusOK })
	for name, c := range map[string]struct {
		in     perf.Chunk
		status footer.Status
		bars   int64
		error  string
	}{
		"ok outranks what the record says": {perf.Chunk{Status: footer.StatusFailed, Error: "x", Line: ok}, footer.StatusOK, 100, ""},
		"ok without its footer":            {perf.Chunk{Status: footer.StatusOK}, footer.StatusMissing, 0, ""},
		"ok with a partial footer":         {perf.Chunk{Status: footer.StatusOK, Line: part}, footer.StatusStopped, 40, ""},
		"ok but not final":                 {perf.Chunk{Status: footer.StatusOK, Line: notFinal}, footer.StatusStopped, 40, ""},
		"partial is no chunk's status":     {perf.Chunk{Status: footer.StatusPartial, Line: part}, footer.StatusStopped, 40, ""},
		"no status":                        {perf.Chunk{Line: part}, footer.StatusStopped, 40, ""},
		"failed keeps error and bars":      {perf.Chunk{Status: footer.StatusFailed, Error: "x", Line: part}, footer.StatusFailed, 40, "x"},
		"missing with bars":                {perf.Chunk{Status: footer.StatusMissing, Line: part}, footer.StatusMissing, 40, ""},
		"another chunk's footer":           {perf.Chunk{Line: encode(t, aFooter(1, 40, 1, 1))}, footer.StatusParseError, 0, "refused: a footer of chunk 1 (want 0)"},
		"too many bars": {perf.Chunk{Line: wrong(func(f *footer.Footer) { f.BarsProcessed = 101 })},
			footer.StatusParseError, 0, "refused: a footer with bars_processed 101 (want 0 to 100)"},
		"negative bars": {perf.Chunk{Line: wrong(func(f *footer.Footer) { f.BarsProcessed = -1 })},
			footer.StatusParseError, 0, "refused: a footer with bars_processed -1 (want 0 to 100)"},
		"other borders": {perf.Chunk{Line: wrong(func(f *footer.Footer) { f.FirstBar, f.EndBar = 1, 101 })},
			footer.StatusParseError, 0, "refused: a footer with bars [1, 101), planned 100 (the plan has [0, 100))"},
		"other plan": {perf.Chunk{Line: wrong(func(f *footer.Footer) { f.PlannedBars = 99 })},
			footer.StatusParseError, 0, "refused: a footer with bars [0, 100), planned 99 (the plan has [0, 100))"},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Planned = chunkBars
			b := appended(t, aReport(1), []perf.Chunk{c.in})
			if err := perf.Verify(b); err != nil {
				t.Fatal(err)
			}
			f, err := perf.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			got := f.Chunks[0]
			if got.Status != c.status || got.Line.Bars() != c.bars || got.Error != c.error {
				t.Errorf("status %s, %d bars, error %q; want %s, %d, %q", got.Status, got.Line.Bars(), got.Error, c.status, c.bars, c.error)
			}
		})
	}
}

func TestOutcome(t *testing.T) {
	ok, stopped := aChunk(t, 0, 100, footer.StatusOK), aChunk(t, 1, 40, footer.StatusStopped)
	failed := aChunk(t, 1, 40, footer.StatusFailed)
	for name, c := range map[string]struct {
		said   perf.Outcome
		chunks []perf.Chunk
		want   perf.Outcome
	}{
		"no plan":               {"", nil, perf.OutcomeStopped},
		"no plan, given up":     {perf.OutcomeFailed, nil, perf.OutcomeFailed},
		"all ok":                {perf.OutcomeStopped, []perf.Chunk{ok}, perf.OutcomeComplete},
		"all ok, though failed": {perf.OutcomeFailed, []perf.Chunk{ok}, perf.OutcomeComplete},
		"not complete":          {perf.OutcomeComplete, []perf.Chunk{ok, stopped}, perf.OutcomeStopped},
		"given up":              {perf.OutcomeFailed, []perf.Chunk{ok, stopped}, perf.OutcomeFailed},
		"stopped, one failed":   {perf.OutcomeStopped, []perf.Chunk{ok, failed}, perf.OutcomeFailed},
	} {
		if got := perf.Count(c.said, c.chunks).Outcome; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestStretches(t *testing.T) {
	for _, c := range []struct {
		bars []int64
		want int
	}{
		{nil, 0}, {[]int64{-1, 0, -1}, 0}, {[]int64{100, 100, 100}, 1}, {[]int64{100, 40, 100}, 2}, {[]int64{40, 40}, 2}, {[]int64{-1, 100, 40, -1, 3}, 2},
	} {
		var chunks []perf.Chunk
		for i, n := range c.bars {
			chunks = append(chunks, aChunk(t, i, n, footer.StatusStopped))
		}
		if got := perf.Count("", chunks).Stretches; got != c.want {
			t.Errorf("bars %v make %d stretches, want %d", c.bars, got, c.want)
		}
	}
}

func TestAppendRefusesWhatIsNoPlan(t *testing.T) {
	a, b := aChunk(t, 0, 40, footer.StatusStopped), aChunk(t, 1, 40, footer.StatusStopped)
	less := b
	less.Planned = -1
	for name, chunks := range map[string][]perf.Chunk{"a hole": {b}, "out of order": {b, a}, "twice": {a, a}, "negative": {a, less}} {
		if got, err := perf.Append([]byte("x"), aReport(2), chunks); err == nil || string(got) != "x" {
			t.Errorf("%s: %v, %s", name, err, got)
		}
		if _, err := perf.Merge(nil, chunks); err == nil {
			t.Errorf("%s is merged", name)
		}
		if _, err := perf.Merge(chunks, nil); err == nil {
			t.Errorf("%s is merged into", name)
		}
	}
}

func TestMergeStatus(t *testing.T) {
	chunk := func(bars int64, s footer.Status, err string) perf.Chunk {
		c := aChunk(t, 0, bars, s)
		c.Error = err
		return c
	}
	for name, c := range map[string]struct {
		old, now perf.Chunk
		status   footer.Status
		bars     int64
		error    string
	}{
		"ok stays":                       {chunk(100, footer.StatusOK, ""), chunk(40, footer.StatusFailed, "now"), footer.StatusOK, 100, ""},
		"ok comes":                       {chunk(40, footer.StatusFailed, "old"), chunk(100, footer.StatusOK, ""), footer.StatusOK, 100, ""},
		"the newer word":                 {chunk(60, footer.StatusUnresponsive, "old"), chunk(40, footer.StatusStopped, "now"), footer.StatusStopped, 60, "now"},
		"nothing heard now":              {chunk(60, footer.StatusFailed, "old"), chunk(-1, footer.StatusMissing, ""), footer.StatusFailed, 60, "old"},
		"refused now":                    {chunk(60, footer.StatusStopped, "old"), chunk(-1, footer.StatusParseError, "now"), footer.StatusStopped, 60, "old"},
		"refused now, nothing before":    {chunk(-1, footer.StatusMissing, ""), chunk(-1, footer.StatusParseError, "now"), footer.StatusParseError, 0, "now"},
		"refused before, nothing now":    {chunk(-1, footer.StatusParseError, "old"), chunk(-1, footer.StatusMissing, ""), footer.StatusParseError, 0, "old"},
		"a failure without any bars now": {chunk(60, footer.StatusStopped, ""), chunk(-1, footer.StatusFailed, "now"), footer.StatusFailed, 60, "now"},
	} {
		got, err := perf.Merge([]perf.Chunk{c.old}, []perf.Chunk{c.now})
		if err != nil {
			t.Fatal(err)
		}
		if g := got[0]; g.Status != c.status || g.Line.Bars() != c.bars || g.Error != c.error {
			t.Errorf("%s: status %s, %d bars, error %q", name, g.Status, g.Line.Bars(), g.Error)
		}
	}
}

func TestMergeOtherPlan(t *testing.T) {
	a, b := aChunk(t, 0, 40, footer.StatusStopped), aChunk(t, 0, -1, footer.StatusMissing)
	b.Planned = 99
	if _, err := perf.Merge([]perf.Chunk{a}, []perf.Chunk{b}); !errors.Is(err, perf.ErrOtherRun) {
		t.Errorf("%v", err)
	}
}

func TestSameRunAndInherit(t *testing.T) {
	full, bare := aReport(4), perf.Report{RunID: "golden"}
	for name, c := range map[string]struct {
		change func(*perf.Report)
		same   bool
	}{
		"itself":       {func(*perf.Report) {}, true},
		"other run":    {func(r *perf.Report) { r.RunID = "x" }, false},
		"other data":   {func(r *perf.Report) { r.Data.SHA256 = "x" }, false},
		"other policy": {func(r *perf.Report) { r.Policy.SHA256 = "x" }, false},
		"not known":    {func(r *perf.Report) { r.Data.SHA256, r.Policy.SHA256 = "", "" }, true},
	} {
		r := full
		c.change(&r)
		if err := perf.SameRun(full, r); (err == nil) != c.same || err != nil && !errors.Is(err, perf.ErrOtherRun) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := bare.Inherit(full); !reflect.DeepEqual(got.Data, full.Data) || !got.Policy.Equal(full.Policy) || !got.PregateEnabled || got.WriterPID != 0 {
		t.Errorf("%+v", got)
	}
	if got := full.Inherit(perf.Report{}); !reflect.DeepEqual(got.Data, full.Data) {
		t.Errorf("%+v", got)
	}
}

func TestTotalsOverflow(t *testing.T) {
	var chunks []perf.Chunk
	for i := range 3 {
		f := aFooter(i, 40, 1, 1)
		f.PnlBps = math.MaxFloat64
		chunks = append(chunks, perf.Chunk{Idx: i, Planned: chunkBars, Status: footer.StatusStopped, Line: encode(t, f)})
	}
	b := appended(t, aReport(3), chunks)
	if err := perf.Verify(b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("\"total_pnl_bps\": 0,")) || !bytes.Contains(b, []byte(`"total_pnl_bps"`+"\n")) {
		t.Errorf("%s", b)
	}
}

func TestTraceIsCutAtItsBeginning(t *testing.T) {
	c := aChunk(t, 0, 40, footer.StatusFailed)
	c.Trace = strings.Repeat("é", footer.MaxTraceLen) + "the end"
	f, err := perf.Parse(appended(t, aReport(1), []perf.Chunk{c}))
	if err != nil {
		t.Fatal(err)
	}
	if got := []rune(f.Chunks[0].Trace); len(got) != footer.MaxTraceLen || !strings.HasSuffix(string(got), "éthe end") {
		t.Errorf("%d characters: …%s", len(got), string(got[len(got)-20:]))
	}
}

// Where every chunk is done, nobody's last word is outstanding.
func TestCompleteIsNotPartial(t *testing.T) {
	r := aReport(2)
	r.Partial = true
	ok, stopped := aChunk(t, 0, 100, footer.StatusOK), aChunk(t, 1, 40, footer.StatusStopped)
	for want, chunks := range map[string][]perf.Chunk{
		`"export_partial": true`:  {ok, stopped},
		`"export_partial": false`: {ok, aChunk(t, 1, 100, footer.StatusOK)},
	} {
		if b := appended(t, r, chunks); !bytes.Contains(b, []byte(want)) {
			t.Errorf("no %s in %s", want, b[:300])
		}
	}
}
