package perf_test

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"

	"pgregory.net/rapid"
)

// drawSelection draws what a selection over chunks may have decided.
func drawSelection(t *rapid.T, chunks []perf.Chunk) perf.Selection {
	s := perf.NewSelection(chunks)
	s.Scope = rapid.SampledFrom([]perf.Scope{perf.ScopeRun, perf.ScopeStretches}).Draw(t, "scope")
	s.Exact = rapid.Bool().Draw(t, "exact")
	s.Trades = perf.TradesFile{File: "golden/trades_golden.csv", SHA256: strings.Repeat("ab", 32)}
	for i, c := range chunks {
		if c.Line.IsZero() {
			continue
		}
		if !rapid.Bool().Draw(t, "known") {
			s.Trades.WithoutRows += c.Line.Trades()
			s.TotalPnlBps += c.Line.Footer().PnlBps
			continue
		}
		s.Chunks[i] = perf.ChunkTrades{
			Known: true, Closed: rapid.Int64Range(0, 9).Draw(t, "closed"), PnlBps: rapid.Float64Range(-50, 50).Draw(t, "pnl"),
			Open: rapid.Int64Range(0, 3).Draw(t, "open"), OpenPnlBps: rapid.Float64Range(-5, 5).Draw(t, "open pnl"),
			DropReasons: footer.Counts{"max_open_trades": rapid.Int64Range(1, 99).Draw(t, "dropped")},
		}
		s.TotalPnlBps += s.Chunks[i].PnlBps
	}
	if math.IsInf(s.TotalPnlBps, 0) {
		s.TotalPnlBps = 0 // as it is read back, but for its name
	}
	return s
}

// ownTrades is what is made of chunks whose command has trades of its own.
func ownTrades(chunks []perf.Chunk) perf.Selection {
	s := perf.NewSelection(chunks)
	s.Scope, s.Trades = perf.ScopeCommand, perf.TradesFile{File: "golden/trades_golden.csv", SHA256: strings.Repeat("ab", 32), WithoutRows: 3}
	for _, c := range chunks {
		s.TotalPnlBps += c.Line.Footer().PnlBps
	}
	return s
}

// A command's own trades are counted as it counts them, and their file is read
// back with what is not in it.
func TestOwnTradesAreReadBack(t *testing.T) {
	r, chunks := stoppedRun(t)
	r.Env.Engine, r.Command = footer.EngineExec, aCommand(run.EmitsTrades)
	r.Selection = ownTrades(chunks)
	b := appended(t, r, chunks)
	f, err := perf.ParseVerified(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if again := appended(t, f.Report, f.Chunks); !bytes.Equal(again, b) {
		t.Errorf("it is written again as:\n%s", again)
	}
	if got := f.Report.Selection; got.Scope != perf.ScopeCommand || got.Trades != r.Selection.Trades || !got.Settled() || got.Exact || !got.Holds(chunks) {
		t.Errorf("%+v", got)
	}
	if !reflect.DeepEqual(f.Report.Command, r.Command) {
		t.Errorf("the command is %+v", f.Report.Command)
	}
	if own := perf.Count(r.Outcome, chunks); !reflect.DeepEqual(f.Totals, own) {
		t.Errorf("totals %+v, the footers' are %+v", f.Totals, own)
	}
	for want, change := range map[string][2]string{
		"trades.without_rows is 1000": {`"without_rows": 3`, `"without_rows": 1000`},
		"trades.without_rows is -1":   {`"without_rows": 3`, `"without_rows": -1`},
		"borders_exact is true":       {`"borders_exact": false`, `"borders_exact": true`},
		"total_pnl_bps is":            {`"total_pnl_bps": 2`, `"total_pnl_bps": 3`},
		"trades.without_rows is 3":    {`"scope": "command"`, `"scope": "stretches"`},
		"selection.scope is command":  {`"checkpoints":[[`, `"chunk_local":{"n_trades_closed":1},"checkpoints":[[`},
		"--exec-emits \"all\"":        {`"emits": "trades"`, `"emits": "all"`},
	} {
		bad := bytes.Replace(b, []byte(change[0]), []byte(change[1]), 1)
		if _, err := perf.ParseVerified(bad); err == nil || bytes.Equal(bad, b) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (want an error with it)", want, err)
		}
	}
}

// The file shows no secret of the command's arguments, and their digest comes
// through one file after another.
func TestCommandWithSecrets(t *testing.T) {
	r, chunks := stoppedRun(t)
	r.Env.Engine, r.Command = footer.EngineExec, aCommand(run.EmitsTrades)
	r.Selection = ownTrades(chunks)
	r.Command.Argv = []string{"replay.py", "--api-key", "S3CR3T"}
	whole := r.Command
	for range 2 {
		b := appended(t, r, chunks)
		f, err := perf.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "S3CR3T") || !strings.Contains(string(b), `"argv_sha256"`) {
			t.Fatalf("the file:\n%s", b)
		}
		if list := f.Report.Command.Differences(whole); len(list) > 0 {
			t.Fatalf("%q", list)
		}
		r.Command = f.Report.Command
	}
}

// A command that could not be read back is not written.
func TestCommandsThatSpoilNothing(t *testing.T) {
	for name, change := range map[string]func(c *run.Command){
		"a zero byte":     func(c *run.Command) { c.Argv[1] = "a\x00b" },
		"no such word":    func(c *run.Command) { c.Emits = "all" },
		"a long argument": func(c *run.Command) { c.Argv[1] = strings.Repeat("\xffa", 30<<10) },
	} {
		r := execReport(1, run.EmitsScores)
		change(&r.Command)
		f, err := perf.ParseVerified(appended(t, r, []perf.Chunk{aChunk(t, 0, chunkBars, footer.StatusOK)}))
		if err != nil || !f.Report.Command.IsZero() {
			t.Errorf("%s: %+v, %v", name, f.Report.Command, err)
		}
	}
}

// A file with a selection is read back with the footers as they were, and
// written again it is the same bytes.
func TestSelectionIsReadBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(rt, "n")
		r, chunks := aReport(n), drawChunks(rt, t, n)
		r.Selection = drawSelection(rt, chunks)
		b := appended(t, r, chunks)
		f, err := perf.ParseVerified(b)
		if err != nil {
			rt.Fatalf("%v\n%s", err, b)
		}
		if !f.Report.Selection.Holds(chunks) {
			rt.Fatal("the selection that was read does not hold for the chunks that it was made of")
		}
		for i, c := range chunks {
			if !reflect.DeepEqual(f.Chunks[i].Line.Footer(), c.Line.Footer()) {
				rt.Fatalf("chunk %d: the footer is %+v (was %+v)", i, f.Chunks[i].Line.Footer(), c.Line.Footer())
			}
		}
		if again := appended(t, f.Report, f.Chunks); !bytes.Equal(again, b) {
			rt.Fatalf("written again:\n%s\nbefore:\n%s", again, b)
		}
		var closed, open int64
		for i := range chunks {
			c := f.ChunkTrades(i)
			closed, open = closed+c.Closed, open+c.Open
		}
		if f.Totals.TotalTrades != closed || f.Totals.TradesOpen != open || f.Totals.TotalPnlBps != r.Selection.TotalPnlBps {
			rt.Fatalf("totals %+v (want %d closed, %d open, %v bps)", f.Totals, closed, open, r.Selection.TotalPnlBps)
		}
	})
}

// Once another footer speaks for a chunk the selection is of the past.
func TestSelectionHoldsForItsFootersOnly(t *testing.T) {
	r, chunks := stoppedRun(t)
	s := perf.NewSelection(chunks)
	s.Scope, s.Exact = perf.ScopeStretches, true
	for i, c := range chunks {
		s.Chunks[i] = perf.ChunkTrades{Known: !c.Line.IsZero()}
	}
	r.Selection = s
	if b := appended(t, r, chunks); !bytes.Contains(b, []byte(`"scope": "stretches"`)) || !bytes.Contains(b, []byte(`"borders_exact": true`)) {
		t.Fatalf("the selection is not in the file:\n%s", b)
	}
	for i, c := range chunks {
		if c.Line.IsZero() {
			continue
		}
		f := c.Line.Footer()
		f.NModelCalls++
		other := append([]perf.Chunk(nil), chunks...)
		var err error
		if other[i].Line, err = perf.EncodeChunk(f); err != nil {
			t.Fatal(err)
		}
		b := appended(t, r, other)
		if !bytes.Contains(b, []byte(`"scope": "chunks"`)) || bytes.Contains(b, []byte("chunk_local")) || bytes.Contains(b, []byte(`"borders_exact": true`)) {
			t.Errorf("chunk %d has another footer, and the selection stays", i)
		}
		if got := perf.HoldingOf(other, s, perf.NewSelection(other)); got.Holds(chunks) || !got.Holds(other) {
			t.Errorf("chunk %d has another footer: the selection that holds is not chosen", i)
		}
	}
	if s.Holds(chunks[:1]) || s.Holds(nil) {
		t.Error("it holds for fewer chunks")
	}
}

// What the selection says is held against the chunks.
func TestVerifySelection(t *testing.T) {
	r, chunks := stoppedRun(t)
	s := perf.NewSelection(chunks)
	s.Scope = perf.ScopeStretches
	s.Trades = perf.TradesFile{File: "golden/trades_golden.csv", SHA256: strings.Repeat("ab", 32)}
	for i, c := range chunks {
		if !c.Line.IsZero() {
			s.Chunks[i] = perf.ChunkTrades{Known: true, Closed: 2, PnlBps: 1.25, DropReasons: footer.Counts{}}
			s.TotalPnlBps += 1.25
		}
	}
	r.Selection = s
	good := appended(t, r, chunks)
	if err := perf.Verify(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, says string }{
		{`"scope": "stretches"`, `"scope": "chunks"`, "selection.scope"},
		{`"scope": "stretches"`, `"scope": "all"`, "selection.scope"},
		{`"without_rows": 0`, `"without_rows": 1`, "trades.without_rows"},
		{`"n_trades_closed":2`, `"n_trades_closed":3`, "total_trades"},
		{`,"pnl_bps":1.25`, `,"pnl_bps":2.25`, "total_pnl_bps"},
	} {
		bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("there is no %s", c.old)
		}
		if err := perf.Verify(bad); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s → %s: %v (want one about %s)", c.old, c.new, err, c.says)
		}
	}
}

// The later of two files of one run need not be the one whose selection holds.
func TestMergeFilesKeepsTheSelectionThatHolds(t *testing.T) {
	r, chunks := stoppedRun(t)
	r.Selection = perf.NewSelection(chunks)
	r.Selection.Scope = perf.ScopeStretches
	selected := parsed(t, appended(t, r, chunks))
	r.Selection, r.Timestamp = perf.Selection{}, r.Timestamp.Add(1e9)
	later := parsed(t, appended(t, r, chunks))
	for _, pair := range [][2]perf.File{{selected, later}, {later, selected}} {
		f, err := perf.MergeFiles(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		if f.Report.Selection.ScopeName() != perf.ScopeStretches {
			t.Errorf("the merged file has scope %s", f.Report.Selection.ScopeName())
		}
	}
}

func parsed(t *testing.T, b []byte) perf.File {
	t.Helper()
	f, err := perf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
