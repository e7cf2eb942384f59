package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// anEnd is the footer of an attempt at chunk idx that has ended so, at the
// given second past ten.
func anEnd(tb testing.TB, idx int, bars, attempt int64, status footer.Status, sec int) footer.Footer {
	f := aChunk(tb, idx, bars).Line.Footer()
	f.Status, f.Final, f.Attempt, f.Seq = status, status == footer.StatusOK, attempt, bars+1
	f.Timestamp = tenPast(sec).Format(time.RFC3339Nano)
	if status == footer.StatusFailed {
		f.Error, f.ErrorTraceback = fmt.Sprintf("attempt %d failed", attempt), "trace"
	}
	return f
}

func tenPast(sec int) time.Time { return time.Date(2026, 11, 24, 10, 0, sec, 0, time.UTC) }

func jsonOf(tb testing.TB, f footer.Footer) []byte {
	tb.Helper()
	b, err := f.AppendJSON(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return append(b, '\n')
}

// putFooter writes a footer where a worker would.
func putFooter(tb testing.TB, dir string, f footer.Footer) {
	tb.Helper()
	putFile(tb, filepath.Join(dir, f.RunID, "chunk_"+f.ChunkID, fmt.Sprintf("attempt_%d", f.Attempt), "chunk_footer.json"), jsonOf(tb, f))
}

func putFile(tb testing.TB, path string, b []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		tb.Fatal(err)
	}
}

func collected(tb testing.TB, dirs []string, known []perf.Chunk, knownAt time.Time) ([]perf.Chunk, int) {
	tb.Helper()
	chunks, refused, err := export.Collect(tb.Context(), "r1", nil, dirs, known, knownAt)
	if err != nil {
		tb.Fatal(err)
	}
	return chunks, refused
}

// One chunk; what the backup of ten past 30 says of it; what files say.
func TestCollectStatus(t *testing.T) {
	chunk := func(status footer.Status, bars int64, err string) perf.Chunk {
		c := aChunk(t, 0, bars)
		c.Status, c.Error = status, err
		return c
	}
	const before, after = 20, 40
	for name, c := range map[string]struct {
		known  perf.Chunk
		files  []footer.Footer
		status footer.Status
		bars   int64
		err    string
	}{
		"no file": {chunk(footer.StatusUnresponsive, 37, ""), nil, footer.StatusUnresponsive, 37, ""},
		"an ok footer outranks all": {chunk(footer.StatusFailed, 37, "three failures"),
			[]footer.Footer{anEnd(t, 0, 100, 1, footer.StatusOK, before), anEnd(t, 0, 99, 4, footer.StatusFailed, after)}, footer.StatusOK, 100, ""},
		"an ok footer in the backup": {chunk(footer.StatusOK, 100, ""), []footer.Footer{anEnd(t, 0, 99, 4, footer.StatusStopped, after)}, footer.StatusOK, 100, ""},
		"failed stays": {chunk(footer.StatusFailed, 37, "three failures"),
			[]footer.Footer{anEnd(t, 0, 60, 2, footer.StatusStopped, after)}, footer.StatusFailed, 60, "three failures"},
		"claimed, then its end": {chunk(footer.StatusUnresponsive, 37, ""),
			[]footer.Footer{anEnd(t, 0, 60, 1, footer.StatusStopped, after)}, footer.StatusStopped, 60, ""},
		"claimed, then a failure": {chunk(footer.StatusUnresponsive, 37, ""),
			[]footer.Footer{anEnd(t, 0, 20, 1, footer.StatusFailed, after)}, footer.StatusStopped, 37, "attempt 1 failed"},
		"claimed again after that end": {chunk(footer.StatusUnresponsive, 37, ""),
			[]footer.Footer{anEnd(t, 0, 60, 1, footer.StatusStopped, before)}, footer.StatusUnresponsive, 60, ""},
		"nothing was heard": {chunk(footer.StatusMissing, -1, ""),
			[]footer.Footer{anEnd(t, 0, 20, 1, footer.StatusFailed, before)}, footer.StatusStopped, 20, "attempt 1 failed"},
		"refused records only": {chunk(footer.StatusParseError, -1, "garbage"),
			[]footer.Footer{anEnd(t, 0, 20, 1, footer.StatusStopped, before)}, footer.StatusStopped, 20, ""},
		"the backup knows why it stopped": {chunk(footer.StatusStopped, 37, "from the record"),
			[]footer.Footer{anEnd(t, 0, 60, 1, footer.StatusFailed, before)}, footer.StatusStopped, 60, "from the record"},
		"and what happened since": {chunk(footer.StatusStopped, 37, "from the record"),
			[]footer.Footer{anEnd(t, 0, 20, 2, footer.StatusFailed, after)}, footer.StatusStopped, 37, "attempt 2 failed"},
		"the latest attempt says why": {chunk(footer.StatusMissing, -1, ""),
			[]footer.Footer{anEnd(t, 0, 60, 1, footer.StatusFailed, before), anEnd(t, 0, 20, 3, footer.StatusFailed, after), anEnd(t, 0, 50, 2, footer.StatusFailed, after)},
			footer.StatusStopped, 60, "attempt 3 failed"},
		"bars without an end": {chunk(footer.StatusMissing, -1, ""),
			[]footer.Footer{anEnd(t, 0, 20, 1, footer.StatusPartial, after)}, footer.StatusUnresponsive, 20, ""},
		"a readers' file": {chunk(footer.StatusMissing, -1, ""),
			[]footer.Footer{anEnd(t, 0, 20, 1, footer.StatusUnresponsive, after)}, footer.StatusUnresponsive, 20, ""},
		"more bars of an earlier attempt": {chunk(footer.StatusStopped, 37, ""),
			[]footer.Footer{anEnd(t, 0, 36, 9, footer.StatusStopped, after)}, footer.StatusStopped, 37, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range c.files {
				putFooter(t, dir, f)
			}
			chunks, refused := collected(t, []string{dir}, []perf.Chunk{c.known}, tenPast(30))
			if refused != 0 {
				t.Errorf("%d refused", refused)
			}
			got := chunks[0]
			if got.Status != c.status || got.Line.Bars() != c.bars || got.Error != c.err {
				t.Errorf("%s, %d bars, error %q; want %s, %d, %q", got.Status, got.Line.Bars(), got.Error, c.status, c.bars, c.err)
			}
		})
	}
}

// Every place where a footer of the run may lie, and only those.
func TestCollectLooks(t *testing.T) {
	f := anEnd(t, 0, 60, 1, footer.StatusStopped, 1)
	good := jsonOf(t, f)
	with := func(change func(*footer.Footer)) []byte {
		f := f
		change(&f)
		return jsonOf(t, f)
	}
	file := func(b []byte) func(dir string) error {
		return func(dir string) error {
			putFile(t, filepath.Join(dir, "chunk_0", "chunk_footer.json"), b)
			return nil
		}
	}
	at := func(path string) func(dir string) error {
		return func(dir string) error { putFile(t, filepath.Join(dir, path), good); return nil }
	}
	for name, c := range map[string]struct {
		put     func(dir string) error
		bars    int64
		refused int
	}{
		"a work directory":     {at("r1/chunk_0/attempt_1/chunk_footer.json"), 60, 0},
		"the run's in it":      {at("chunk_0/attempt_1/chunk_footer.json"), 60, 0},
		"a readers' directory": {at("chunk_0/chunk_footer.json"), 60, 0},
		"of several hosts":     {at("hosts/one/r1/chunk_0/attempt_1/chunk_footer.json"), 60, 0},
		"too deep":             {at("a/b/c/d/e/f/chunk_footer.json"), 0, 0},
		"hidden":               {at(".gx1/chunk_0/chunk_footer.json"), 0, 0},
		"not yet renamed":      {at("chunk_0/chunk_footer.json.tmp"), 0, 0},
		"a link to a file": {func(dir string) error {
			putFile(t, filepath.Join(dir, "elsewhere"), good)
			return os.Symlink("elsewhere", filepath.Join(dir, "chunk_footer.json"))
		}, 0, 1},
		"a link to a directory": {func(dir string) error {
			putFile(t, filepath.Join(dir, ".d", "chunk_footer.json"), good)
			return os.Symlink(".d", filepath.Join(dir, "chunk_0"))
		}, 0, 0},
		"a pipe":                  {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "chunk_footer.json"), 0o600) }, 0, 1},
		"a directory":             {func(dir string) error { return os.Mkdir(filepath.Join(dir, "chunk_footer.json"), 0o700) }, 0, 1},
		"too large":               {file(append(bytes.Repeat([]byte(" "), 4*footer.MaxEncodedBytes), good...)), 0, 1},
		"as large as can be":      {file(append(bytes.Repeat([]byte(" "), 4*footer.MaxEncodedBytes-len(good)), good...)), 60, 0},
		"empty":                   {file(nil), 0, 1},
		"cut off":                 {file(good[:len(good)/2]), 0, 1},
		"of another run":          {file(with(func(f *footer.Footer) { f.RunID = "r2" })), 0, 0},
		"of no run":               {file(with(func(f *footer.Footer) { f.RunID = "../x" })), 0, 1},
		"another schema":          {file(with(func(f *footer.Footer) { f.Schema = 9 })), 0, 1},
		"no chunk of the plan":    {file(with(func(f *footer.Footer) { f.ChunkIdx, f.ChunkID = 7, "7" })), 0, 1},
		"a negative chunk":        {file(with(func(f *footer.Footer) { f.ChunkIdx, f.ChunkID = -1, "-1" })), 0, 1},
		"other borders":           {file(with(func(f *footer.Footer) { f.EndBar, f.PlannedBars = 90, 90 })), 0, 1},
		"more bars than planned":  {file(with(func(f *footer.Footer) { f.BarsProcessed, f.TotalBars = 101, 101 })), 0, 1},
		"ok, but not all bars":    {file(with(func(f *footer.Footer) { f.Status, f.Final = footer.StatusOK, true })), 0, 1},
		"final, but not ok":       {file(with(func(f *footer.Footer) { f.Final = true })), 0, 1},
		"counters that disagree":  {file(with(func(f *footer.Footer) { f.NModelCalls = 61 })), 0, 1},
		"chunk_id of another":     {file(with(func(f *footer.Footer) { f.ChunkID = "1" })), 0, 1},
		"no attempt, but bars":    {file(with(func(f *footer.Footer) { f.Attempt = 0 })), 0, 1},
		"a chunk never begun":     {file(with(func(f *footer.Footer) { *f = footer.Footer{RunID: "r1", ChunkID: "0", EndBar: 100, PlannedBars: 100} })), 0, 0},
		"a status that is none":   {file(with(func(f *footer.Footer) { f.Status = "fine" })), 0, 1},
		"a file of another name":  {at("footer.json"), 0, 0},
		"gate counters that fit":  {file(with(func(f *footer.Footer) { f.PregatePasses = 60 })), 60, 0},
		"gate counters that miss": {file(with(func(f *footer.Footer) { f.PregatePasses = 59 })), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.put(dir); err != nil {
				t.Fatal(err)
			}
			known := []perf.Chunk{{Planned: chunkBars, Status: footer.StatusMissing}}
			chunks, refused := collected(t, []string{dir}, known, time.Time{})
			if got := chunks[0].Line.Bars(); got != c.bars || refused != c.refused {
				t.Errorf("%d bars, %d refused; want %d, %d", got, refused, c.bars, c.refused)
			}
			if known[0].Status != footer.StatusMissing {
				t.Error("what was known was changed")
			}
		})
	}
}

// Attempts that an ok footer outranks are not read; later ones are.
func TestCollectPassesOverOutranked(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"attempt_1", "attempt_2", "attempt_x"} {
		putFile(t, filepath.Join(dir, "chunk_0", n, "chunk_footer.json"), []byte("garbage"))
	}
	putFooter(t, dir, anEnd(t, 0, 100, 3, footer.StatusOK, 0))
	ok := anEnd(t, 0, 100, 2, footer.StatusOK, 0)
	line, err := perf.EncodeChunk(ok)
	if err != nil {
		t.Fatal(err)
	}
	known := []perf.Chunk{{Planned: chunkBars, Status: footer.StatusOK, Line: line}}
	chunks, refused := collected(t, []string{dir}, known, time.Time{})
	if got := chunks[0].Line.Footer().Attempt; got != 3 || refused != 1 {
		t.Errorf("attempt %d speaks, %d refused; want 3, and attempt_x", got, refused)
	}
	// Fewer bars than planned, as a command may report: another may have more.
	ok.Engine, ok.BarsProcessed, ok.TotalBars = "exec", 99, 99
	if known[0].Line, err = perf.EncodeChunk(ok); err != nil {
		t.Fatal(err)
	}
	if _, refused = collected(t, []string{dir}, known, time.Time{}); refused != 3 {
		t.Errorf("%d refused, want all 3", refused)
	}
}

func TestCollectErrors(t *testing.T) {
	dir := t.TempDir()
	putFooter(t, dir, anEnd(t, 0, 60, 1, footer.StatusStopped, 1))
	chunks, _, err := export.Collect(t.Context(), "r1", nil, []string{filepath.Join(dir, "none"), dir}, nil, time.Time{})
	if !errors.Is(err, os.ErrNotExist) || len(chunks) != 1 || chunks[0].Line.Bars() != 60 {
		t.Errorf("a directory is missing: %v, %v", chunks, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	if _, _, err := export.Collect(ctx, "r1", nil, []string{dir}, nil, time.Time{}); !errors.Is(err, errTest) {
		t.Errorf("%v", err)
	}
}

// bordered is a footer of chunk idx with these borders.
func bordered(tb testing.TB, idx int, first, end int64) footer.Footer {
	f := anEnd(tb, max(idx, 0), 1, 1, footer.StatusStopped, 1)
	f.FirstBar, f.EndBar, f.PlannedBars = first, end, end-first
	return f
}

// shape tells the borders of all chunks, with a star for those that something
// was measured of.
func shape(chunks []perf.Chunk) string {
	var b strings.Builder
	first := int64(0)
	for _, c := range chunks {
		star := ""
		if !c.Line.IsZero() {
			star = "*"
		}
		fmt.Fprintf(&b, " %d-%d%s", first, first+c.Planned, star)
		first += c.Planned
	}
	return strings.TrimPrefix(b.String(), " ")
}

func TestCollectInfersThePlan(t *testing.T) {
	f := func(idx int, first, end int64) footer.Footer { return bordered(t, idx, first, end) }
	of := func(chunks, bars int64, f footer.Footer) footer.Footer {
		f.ChunksTotal, f.DataBars = chunks, bars
		return f
	}
	for name, c := range map[string]struct {
		files   []footer.Footer
		want    string
		refused int
	}{
		"nothing":                                   {nil, "", 0},
		"all of it":                                 {[]footer.Footer{f(0, 0, 40), f(1, 40, 70), f(2, 70, 75)}, "0-40* 40-70* 70-75*", 0},
		"evenly dealt, the last one":                {[]footer.Footer{f(3, 75, 100)}, "0-25 25-50 50-75 75-100*", 0},
		"evenly dealt, odd":                         {[]footer.Footer{f(1, 3, 6), f(2, 6, 10)}, "0-3 3-6* 6-10*", 0},
		"chunks of 30 bars":                         {[]footer.Footer{f(1, 30, 60), f(3, 90, 95)}, "0-30 30-60* 60-90 90-95*", 0},
		"no rule":                                   {[]footer.Footer{f(0, 0, 10), f(3, 17, 20)}, "0-10* 10-14 14-17 17-20*", 0},
		"no rule, the first missing":                {[]footer.Footer{f(2, 5, 9)}, "0-3 3-5 5-9*", 0},
		"two plans, the larger stays":               {[]footer.Footer{f(0, 0, 10), f(1, 10, 20), f(2, 20, 30), f(1, 15, 30)}, "0-10* 10-20* 20-30*", 1},
		"one that spans all":                        {[]footer.Footer{f(0, 0, 10), f(1, 10, 1000), f(2, 20, 30), f(3, 30, 40)}, "0-10* 10-20 20-30* 30-40*", 1},
		"a hole without room":                       {[]footer.Footer{f(0, 0, 10), f(1, 10, 20), f(4, 21, 30)}, "0-10* 10-20*", 1},
		"chunk 0 elsewhere":                         {[]footer.Footer{f(0, 5, 10), f(1, 10, 20)}, "0-10 10-20*", 1},
		"more chunks than bars":                     {[]footer.Footer{f(5, 3, 10)}, "", 1},
		"no bars":                                   {[]footer.Footer{f(1, 10, 10)}, "", 1},
		"very far away":                             {[]footer.Footer{f(1, 1<<53, 1<<53+100)}, "", 1},
		"one tells the plan":                        {[]footer.Footer{of(4, 100, f(1, 25, 50))}, "0-25 25-50* 50-75 75-100", 0},
		"one tells chunks of 30 bars":               {[]footer.Footer{of(4, 95, f(1, 30, 60))}, "0-30 30-60* 60-90 90-95", 0},
		"the last one tells it":                     {[]footer.Footer{of(4, 95, f(3, 90, 95))}, "0-30 30-60 60-90 90-95*", 0},
		"told, and no rule":                         {[]footer.Footer{of(4, 100, f(1, 7, 50))}, "0-7 7-50* 50-75 75-100", 0},
		"told, and of a version that tells nothing": {[]footer.Footer{of(4, 100, f(1, 25, 50)), f(0, 0, 25), f(4, 100, 125)}, "0-25* 25-50* 50-75 75-100", 1},
		"told otherwise by one":                     {[]footer.Footer{of(4, 100, f(0, 0, 25)), of(4, 100, f(1, 25, 50)), of(5, 125, f(2, 50, 75))}, "0-25* 25-50* 50-75 75-100", 1},
		"told, and beyond it":                       {[]footer.Footer{of(2, 50, f(0, 0, 25)), of(2, 50, f(2, 50, 75))}, "0-25* 25-50", 1},
		"told, and no room behind it":               {[]footer.Footer{of(4, 100, f(0, 0, 25)), of(4, 100, f(1, 25, 99))}, "0-25* 25-50 50-75 75-100", 1},
		"told too much":                             {[]footer.Footer{of(1<<40, 1<<50, f(1, 25, 50)), of(4, 3, f(1, 25, 50)), of(0, 9, f(1, 25, 50))}, "", 3},
		"the last, and not the end":                 {[]footer.Footer{of(2, 50, f(0, 0, 25)), of(2, 50, f(1, 25, 40))}, "0-25* 25-50", 1},
		"as far as can be":                          {[]footer.Footer{f(1, 1<<53-100, 1<<53)}, "0-9007199254740892 9007199254740892-9007199254740992*", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, f := range c.files {
				putFile(t, filepath.Join(dir, fmt.Sprint(i), "chunk_footer.json"), jsonOf(t, f))
			}
			chunks, refused := collected(t, []string{dir}, nil, time.Time{})
			if got := shape(chunks); got != c.want || refused != c.refused {
				t.Errorf("%s, %d refused; want %s, %d", got, refused, c.want, c.refused)
			}
			if b, err := perf.Append(nil, aReport(0), chunks); err != nil {
				t.Error(err)
			} else if err := perf.Verify(b); err != nil {
				t.Error(err)
			}
		})
	}
}

// Any set of footers, in any directories in any order, gives the same chunks:
// no bar more than planned, and for each chunk the footer that the rule says.
func TestCollectLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const n = 3
		dir := t.TempDir()
		dirs := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")}
		best := make([]perf.Encoded, n)
		var known []perf.Chunk
		if rapid.Bool().Draw(rt, "backup") {
			known = theChunks(t, rapid.SliceOfN(rapid.SampledFrom([]int64{-1, 0, 50, 100}), n, n).Draw(rt, "known")...)
			for i, c := range known {
				best[i] = c.Line
				if c.Status == footer.StatusStopped {
					known[i].Status = rapid.SampledFrom([]footer.Status{footer.StatusStopped, footer.StatusUnresponsive, footer.StatusFailed}).Draw(rt, "status")
				}
			}
		}
		for _, d := range dirs {
			if err := os.Mkdir(d, 0o755); err != nil {
				rt.Fatal(err)
			}
		}
		for k := range rapid.IntRange(0, 6).Draw(rt, "files") {
			bars := rapid.SampledFrom([]int64{0, 1, 50, 99, 100}).Draw(rt, "bars")
			status := footer.StatusOK
			if bars < chunkBars {
				status = rapid.SampledFrom([]footer.Status{footer.StatusStopped, footer.StatusFailed}).Draw(rt, "status")
			}
			f := anEnd(t, rapid.IntRange(0, n-1).Draw(rt, "idx"), bars, rapid.Int64Range(1, 2).Draw(rt, "attempt"), status, rapid.IntRange(0, 59).Draw(rt, "sec"))
			putFile(t, filepath.Join(rapid.SampledFrom(dirs).Draw(rt, "dir"), fmt.Sprint(k), "chunk_footer.json"), jsonOf(t, f))
			line := func() perf.Encoded { e, _ := perf.EncodeChunk(f); return e }()
			if b := &best[f.ChunkIdx]; b.IsZero() || footer.Outranks(line.Footer(), b.Footer()) {
				*b = line
			}
		}
		chunks, refused := collected(t, dirs, known, tenPast(30))
		if refused != 0 {
			rt.Fatalf("%d refused", refused)
		}
		for i, c := range chunks {
			if footer.Outranks(best[i].Footer(), c.Line.Footer()) || c.Line.Bars() != best[i].Bars() || c.Line.Bars() > c.Planned {
				rt.Fatalf("chunk %d: %d bars of %d, want %d", i, c.Line.Bars(), c.Planned, best[i].Bars())
			}
		}
		want, err := perf.Append(nil, aReport(0), chunks)
		if err != nil {
			rt.Fatal(err)
		}
		slices.Reverse(dirs)
		again, _ := collected(t, append(dirs, dirs[0]), known, tenPast(30))
		if got, err := perf.Append(nil, aReport(0), again); err != nil || !bytes.Equal(got, want) {
			rt.Fatalf("another order: %v\n%s\nbefore:\n%s", err, got, want)
		}
		// What was collected, as a file of then, adds nothing.
		if known != nil {
			third, _ := collected(t, dirs, chunks, tenPast(60))
			if got, err := perf.Append(nil, aReport(0), third); err != nil || !bytes.Equal(got, want) {
				rt.Fatalf("again: %v\n%s\nbefore:\n%s", err, got, want)
			}
		}
	})
}

// Any file in a footer's place: nothing is invented, and what is collected can
// be exported and verified.
func FuzzCollect(f *testing.F) {
	f.Add(jsonOf(f, anEnd(f, 0, 60, 1, footer.StatusStopped, 1)), true)
	f.Add(jsonOf(f, anEnd(f, 2, 100, 1, footer.StatusOK, 1)), false)
	f.Add(jsonOf(f, bordered(f, 1, 1<<52, 1<<53)), false)
	f.Add([]byte(`{"run_id":"r1","chunk_id":"0"}`), false)
	f.Add([]byte("null"), true)
	f.Fuzz(func(t *testing.T, b []byte, planned bool) {
		dir := t.TempDir()
		putFile(t, filepath.Join(dir, "chunk_0", "chunk_footer.json"), b)
		putFooter(t, filepath.Join(dir, "work"), anEnd(t, 0, 37, 1, footer.StatusStopped, 1))
		var known []perf.Chunk
		r := aReport(0)
		if planned {
			known, r = theChunks(t, -1, 50, -1), aReport(3)
		}
		chunks, refused, err := export.Collect(t.Context(), "r1", nil, []string{dir}, known, tenPast(30))
		if err != nil {
			t.Fatal(err)
		}
		if len(chunks) == 0 && refused == 0 || planned && len(chunks) != 3 {
			t.Fatalf("%d chunks, %d refused", len(chunks), refused)
		}
		if planned && (chunks[0].Line.Bars() < 37 || chunks[1].Line.Bars() < 50) {
			t.Fatalf("bars were lost: %s", shape(chunks))
		}
		for _, c := range chunks {
			if c.Line.Bars() > c.Planned {
				t.Fatalf("chunk %d: %d bars of %d", c.Idx, c.Line.Bars(), c.Planned)
			}
		}
		out, err := perf.Append(nil, r, chunks)
		if err != nil {
			t.Fatal(err)
		}
		if err := perf.Verify(out); err != nil {
			t.Fatal(err)
		}
	})
}
