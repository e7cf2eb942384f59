package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gx1replay/internal/footer"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
)

// ledgerOf is what a backup of at knows of the run; without chunks there is none.
func ledgerOf(tb testing.TB, known []perf.Chunk, at time.Time) *ledger.Ledger {
	tb.Helper()
	l := ledger.New("r1")
	if known == nil {
		return l
	}
	r := aReport(len(known))
	r.Timestamp = at
	if err := l.Add(ledger.Account{From: ledger.Backup, File: perf.File{Report: r, Totals: r.Count(known), Chunks: known}}); err != nil {
		tb.Fatal(err)
	}
	return l
}

func collected(tb testing.TB, dirs []string, known []perf.Chunk, knownAt time.Time) ([]perf.Chunk, int) {
	tb.Helper()
	l := ledgerOf(tb, known, knownAt)
	if err := l.AddFooters(tb.Context(), dirs); err != nil {
		tb.Fatal(err)
	}
	return l.File().Chunks, l.Refused()
}

// One chunk; what the backup of ten past 30 says of it; what files say.
func TestStatusOfAChunkWithFooters(t *testing.T) {
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
func TestInvariant3_WhichFilesAreFooters(t *testing.T) {
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
func TestOutrankedAttemptsAreNotRead(t *testing.T) {
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

func TestFootersThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	putFooter(t, dir, sized(1, 100, anEnd(t, 0, 60, 1, footer.StatusStopped, 1)))
	l := ledger.New("r1")
	err := l.AddFooters(t.Context(), []string{filepath.Join(dir, "none"), dir})
	if partly := (*ledger.PartlyRead)(nil); !errors.As(err, &partly) || !errors.Is(err, os.ErrNotExist) || l.ReplayedBars() != 60 {
		t.Errorf("a directory is missing: %v, %d bars", err, l.ReplayedBars())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	if err := l.AddFooters(ctx, []string{dir}); !errors.Is(err, errTest) {
		t.Errorf("%v", err)
	}
}

// Any set of footers, in any directories in any order, gives the same chunks:
// no bar more than planned, and for each chunk the footer that the rule says.
func TestInvariant2_AnyOrderOfFooters(t *testing.T) {
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
			f := sized(n, n*chunkBars, anEnd(t, rapid.IntRange(0, n-1).Draw(rt, "idx"), bars, rapid.Int64Range(1, 2).Draw(rt, "attempt"), status, rapid.IntRange(0, 59).Draw(rt, "sec")))
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
func FuzzFooterFile(f *testing.F) {
	f.Add(jsonOf(f, anEnd(f, 0, 60, 1, footer.StatusStopped, 1)), true)
	f.Add(jsonOf(f, anEnd(f, 2, 100, 1, footer.StatusOK, 1)), false)
	f.Add(jsonOf(f, sized(2, 1<<53, bordered(f, 1, 1<<52, 1<<53))), false)
	f.Add(jsonOf(f, sized(1<<20, 1<<53, bordered(f, 1, 1<<33, 1<<34))), false)
	f.Add([]byte(`{"run_id":"r1","chunk_id":"0"}`), false)
	f.Add([]byte("null"), true)
	f.Fuzz(func(t *testing.T, b []byte, planned bool) {
		dir := t.TempDir()
		putFile(t, filepath.Join(dir, "chunk_0", "chunk_footer.json"), b)
		putFooter(t, filepath.Join(dir, "work"), sized(3, 300, anEnd(t, 0, 37, 1, footer.StatusStopped, 1)))
		var known []perf.Chunk
		r := aReport(0)
		if planned {
			known, r = theChunks(t, -1, 50, -1), aReport(3)
		}
		l := ledgerOf(t, known, tenPast(30))
		if err := l.AddFooters(t.Context(), []string{dir}); err != nil {
			t.Fatal(err)
		}
		chunks, refused := l.File().Chunks, l.Refused()
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
