package check

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
)

// readFile reads another perf JSON; its own violations are those of its own
// judgement.
func readFile(path string) (*file, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading another perf JSON: %w", err)
	}
	f := &file{path: path, bytes: b}
	if r := f.judge(nil, Options{MaxUnreported: -1}); f.root == nil {
		return nil, fmt.Errorf("%s: %v", path, r.Violations)
	}
	return f, nil
}

// judgeEarlier holds each file of the run against the one before it, and this
// one's logs against what was ok before.
func judgeEarlier(r *Report, this *file, logs *Logs, o Options) error {
	var before *file
	for _, path := range o.Earlier {
		f, err := readFile(path)
		if err != nil {
			return err
		}
		if before != nil {
			judgePair(r, before, f)
		}
		if logs != nil {
			judgeKept(r, f, logs)
		}
		before = f
	}
	if before != nil {
		judgePair(r, before, this)
	}
	return nil
}

// judgePair holds two files of one run, in the order of their writing.
func judgePair(r *Report, old, f *file) {
	at := "since " + old.path + ": "
	a, b := &doc{r: r, at: at, m: old.root}, &doc{r: r, at: at, m: f.root}
	if x, y := a.text("run_id"), b.text("run_id"); x != y {
		r.fail("%srun_id was %q and is %q", at, x, y)
		return
	}
	if a.text("outcome") == "complete" && !bytes.Equal(old.bytes, f.bytes) {
		r.fail("%sthe file was complete and has been replaced by another", at)
	}
	for _, n := range []string{"total_bars", "chunks_completed"} {
		if x, y := a.whole(n), b.whole(n); y < x {
			r.fail("%s%s fell from %d to %d", at, n, x, y)
		}
	}
	if x, y := a.sub("stop").whole("seq"), b.sub("stop").whole("seq"); y < x {
		r.fail("%sstop.seq fell from %d to %d", at, x, y)
	}
	if x, y := a.number("total_wall_clock_sec"), b.number("total_wall_clock_sec"); y < x-1e-6 {
		r.fail("%stotal_wall_clock_sec fell from %v to %v", at, x, y)
	}
	judgeSessionsKept(r, at, a, b)
	if len(old.chunks) > 0 && len(old.chunks) != len(f.chunks) {
		r.fail("%sthere were %d chunks and are %d", at, len(old.chunks), len(f.chunks))
		return
	}
	for i, x := range old.chunks {
		y := f.chunks[i]
		switch {
		case x.first != y.first || x.end != y.end:
			r.fail("%schunks[%d] had bars [%d, %d) and has [%d, %d)", at, i, x.first, x.end, y.first, y.end)
		case x.bars > y.bars:
			r.fail("%schunks[%d].bars_processed fell from %d to %d", at, i, x.bars, y.bars)
		case x.status == "ok" && (y.status != "ok" || x.attempt != y.attempt || x.pid != y.pid):
			r.fail("%schunks[%d] was ok by attempt %d of process %d and is %s by attempt %d of process %d",
				at, i, x.attempt, x.pid, y.status, y.attempt, y.pid)
		}
	}
}

// judgeSessionsKept: a later file lists the sessions of an earlier one, none
// shorter than it was.
func judgeSessionsKept(r *Report, at string, a, b *doc) {
	old, _ := a.m["sessions"].([]any)
	now, _ := b.m["sessions"].([]any)
	if len(now) < len(old) {
		r.fail("%sthere were %d sessions and are %d", at, len(old), len(now))
		return
	}
	for i := range old {
		m, _ := old[i].(map[string]any)
		n, _ := now[i].(map[string]any)
		x, y := a.item("sessions", i, m), b.item("sessions", i, n)
		if s, t := x.text("started_at"), y.text("started_at"); s != t {
			r.fail("%sstarted_at was %s and is %s", x.at, s, t)
		}
		if s, t := x.number("wall_clock_sec"), y.number("wall_clock_sec"); t < s-1e-6 {
			r.fail("%swall_clock_sec fell from %v to %v", x.at, s, t)
		}
	}
}

// judgeKept: nobody has replayed a chunk again that was ok.
func judgeKept(r *Report, old *file, logs *Logs) {
	for _, a := range slices.SortedFunc(maps.Keys(logs.bars), byChunk) {
		if a.chunk < 0 || a.chunk >= int64(len(old.chunks)) {
			continue // told elsewhere
		}
		c := old.chunks[a.chunk]
		if c.status == "ok" && !c.spokenBy(a, a.chunk) && a.n >= c.attempt {
			r.fail("chunks[%d] was ok in %s by attempt %d of process %d, and %s has replayed %d of its bars again in attempt %d",
				a.chunk, old.path, c.attempt, c.pid, a.file, len(logs.bars[a]), a.n)
		}
	}
}

// counters of a chunk that follow from the bars and the policy alone.
var counters = []string{
	"first_bar", "end_bar", "bars_processed", "bars_skipped_warmup", "pregate_skips", "pregate_passes",
	"pregate_missing_inputs", "n_model_calls", "n_signals",
}

// tradeCounts of a chunk's own signals follow from them alone; those of a
// selection over the run do if the run is complete.
var tradeCounts = []string{"n_trades_closed", "trades_open"}

// own are the counts of a chunk's own signals.
func own(d *doc) *doc {
	if l := local(d.m); l != nil {
		return &doc{r: d.r, at: d.at + "chunk_local.", m: l}
	}
	return d
}

// sameTrades holds the trades of two chunks against each other.
func sameTrades(a, b *doc) {
	for _, name := range tradeCounts {
		if x, y := a.whole(name), b.whole(name); x != y {
			a.r.fail("%s%s is %d (%d in the undisturbed run)", a.at, name, x, y)
		}
	}
	if x, y := a.number("pnl_bps"), b.number("pnl_bps"); math.Float64bits(x) != math.Float64bits(y) {
		a.r.fail("%spnl_bps is %v (%v in the undisturbed run)", a.at, x, y)
	}
}

// judgeTrades holds each ok chunk against the same chunk of an undisturbed
// run.
func judgeTrades(r *Report, this *file, o Options) error {
	other, err := readFile(o.SameTradesAs)
	if err != nil {
		return err
	}
	if len(other.chunks) != len(this.chunks) {
		r.fail("there are %d chunks (the undisturbed run %s has %d)", len(this.chunks), other.path, len(other.chunks))
		return nil
	}
	mine, _ := this.root["chunks"].([]any)
	theirs, _ := other.root["chunks"].([]any)
	whole := this.overRun(r) && other.overRun(r)
	if r.Outcome == "complete" && other.overRun(r) && !whole {
		r.fail("the run is complete, and its trades are not selected over it, as in the undisturbed run %s", other.path)
	}
	for i, c := range this.chunks {
		if c.status != "ok" {
			continue
		}
		if other.chunks[i].status != "ok" {
			r.fail("chunks[%d] is %s in the undisturbed run %s", i, other.chunks[i].status, other.path)
			continue
		}
		m, _ := mine[i].(map[string]any)
		n, _ := theirs[i].(map[string]any)
		a, b := (&doc{r: r}).item("chunks", i, m), (&doc{r: r}).item("chunks", i, n)
		for _, name := range counters {
			if x, y := a.whole(name), b.whole(name); x != y {
				r.fail("%s%s is %d (%d in the undisturbed run)", a.at, name, x, y)
			}
		}
		sameTrades(own(a), own(b))
		if whole {
			sameTrades(a, b)
		}
	}
	// What commands leave as trades are put together as they are.
	asLeft := isExec(this.root) && r.Outcome == "complete" && other.root["outcome"] == "complete" && hasTrades(other.root)
	if whole || asLeft {
		for _, name := range []string{"file", "sha256"} {
			x, y := (&doc{r: r, m: this.root}).sub("trades").text(name), (&doc{r: r, m: other.root}).sub("trades").text(name)
			if name == "sha256" && x != y || x == "" || y == "" {
				r.fail("trades.%s is %q (%q in the undisturbed run)", name, x, y)
			}
		}
	}
	return nil
}

// overRun reports whether trades were selected over the whole run.
func (f *file) overRun(r *Report) bool {
	return (&doc{r: r, m: f.root}).sub("selection").text("scope") == "run"
}

// judgeArtifacts holds what readers find beside the file. A file that was
// recovered may have older ones beside it, which may not know more.
func judgeArtifacts(r *Report, this *file, o Options) {
	older := r.Mode == recovered || o.Early
	lines, _ := this.root["chunks"].([]any)
	for i, c := range this.chunks {
		name := "chunk_" + strconv.Itoa(i) + "/chunk_footer.json"
		b, err := os.ReadFile(o.Artifacts + "/" + name)
		if os.IsNotExist(err) {
			if !older && (c.bars > 0 || c.status != "missing") {
				r.fail("%s is missing (the chunk is %s with %d bars)", name, c.status, c.bars)
			}
			continue
		}
		var m map[string]any
		if err == nil {
			m, err = parse(b)
		}
		if err != nil {
			r.fail("%s: %v", name, err)
			continue
		}
		if !older {
			if !reflect.DeepEqual(m, lines[i]) {
				r.fail("%s is not what chunks[%d] says", name, i)
			}
			continue
		}
		f := &doc{r: r, at: name + ": ", m: m}
		if first, end := f.whole("first_bar"), f.whole("end_bar"); first != c.first || end != c.end {
			r.fail("%sbars [%d, %d) (the chunk has [%d, %d))", f.at, first, end, c.first, c.end)
		}
		if n := f.whole("bars_processed"); n > c.bars {
			r.fail("%sbars_processed is %d (the file has %d)", f.at, n, c.bars)
		}
	}
	if older {
		return
	}
	name := "perf_" + (&doc{r: r, m: this.root}).text("run_id") + ".json"
	if b, err := os.ReadFile(o.Artifacts + "/" + name); err != nil {
		r.fail("the copy of the file for readers: %v", err)
	} else if !bytes.Equal(b, this.bytes) {
		r.fail("the copy of the file for readers is another")
	}
}
