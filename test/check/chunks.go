package check

import (
	"maps"
	"math"
	"slices"
	"strconv"
)

// chunk is what the other judges need of one.
type chunk struct {
	status                    string
	first, end, bars, attempt int64
	total, calls, trades      int64
	open, pid                 int64
	pnl                       float64
	exec                      bool // replayed by a command
}

func (c chunk) planned() int64 { return c.end - c.first }

// spokenBy reports whether a's footer speaks for the chunk, which has index
// idx. Commands log under their own numbers, and the pid is their worker's.
func (c chunk) spokenBy(a attempt, idx int64) bool {
	return a.chunk == idx && a.n == c.attempt && (c.exec || a.file == strconv.FormatInt(c.pid, 10)+".log")
}

// timers are the phases of a chunk; with what lies between them they make up
// its wall time.
var timers = []string{
	"t_startup_sec", "t_warmup_sec", "t_pregate_total_sec", "t_feature_build_total_sec",
	"t_model_total_sec", "t_policy_total_sec", "t_io_total_sec",
}

// judgeChunks judges each chunk by itself and returns all.
func judgeChunks(d *doc, o Options) []chunk {
	list, ok := d.m["chunks"].([]any)
	if !ok {
		d.r.fail("chunks is no list")
	}
	statuses := d.sub("chunks_statuses").m
	if len(statuses) != len(list) {
		d.r.fail("chunks_statuses has %d chunks (chunks has %d)", len(statuses), len(list))
	}
	gate := d.flag("pregate_enabled")
	exec := isExec(d.m)
	runID := d.text("run_id")
	chunks := make([]chunk, 0, len(list))
	next := int64(0)
	for i, v := range list {
		m, _ := v.(map[string]any)
		id := strconv.Itoa(i)
		f := d.item("chunks", i, m)
		c := judgeChunk(f, gate, exec, o)
		if c.first != next {
			d.r.fail("%sfirst_bar is %d (expected %d, where the chunk before it ends)", f.at, c.first, next)
		}
		next = c.end
		if n := f.whole("chunk_idx"); n != int64(i) {
			d.r.fail("%schunk_idx is %d (expected %d)", f.at, n, i)
		}
		if s := f.text("chunk_id"); s != id {
			d.r.fail("%schunk_id is %q (expected %q)", f.at, s, id)
		}
		if s := f.text("run_id"); s != runID {
			d.r.fail("%srun_id is %q (expected %q)", f.at, s, runID)
		}
		if statuses[id] != c.status {
			d.r.fail("chunks_statuses[%q] is %v (%sstatus is %q)", id, statuses[id], f.at, c.status)
		}
		d.r.Statuses[c.status]++
		chunks = append(chunks, c)
	}
	return chunks
}

func judgeChunk(f *doc, gate, exec bool, o Options) chunk {
	c := chunk{
		status: f.text("status"), first: f.whole("first_bar"), end: f.whole("end_bar"),
		bars: f.whole("bars_processed"), attempt: f.whole("attempt"),
		total: f.whole("total_bars"), calls: f.whole("n_model_calls"),
		trades: f.whole("n_trades_closed"), open: f.whole("trades_open"), pid: f.whole("pid"), pnl: f.number("pnl_bps"), exec: exec,
	}
	if n := f.whole("planned_bars"); n != c.planned() || n < 1 {
		f.r.fail("%splanned_bars is %d of bars [%d, %d)", f.at, n, c.first, c.end)
	}
	if c.total != c.bars {
		f.r.fail("%stotal_bars is %d (bars_processed is %d)", f.at, c.total, c.bars)
	}
	if c.bars > c.planned() {
		f.r.fail("%sbars_processed is %d (at most %d are planned)", f.at, c.bars, c.planned())
	}
	switch c.status {
	case "ok":
		if c.bars != c.planned() {
			f.r.fail("%sbars_processed is %d of an ok chunk (expected %d)", f.at, c.bars, c.planned())
		}
	case "stopped", "failed", "unresponsive":
	case "missing", "parse_error":
		if c.bars != 0 {
			f.r.fail("%sbars_processed is %d of a chunk that is %s (expected 0)", f.at, c.bars, c.status)
		}
	default:
		f.r.fail("%sstatus is %q (expected ok, stopped, failed, unresponsive, missing or parse_error)", f.at, c.status)
	}
	if final := f.flag("final"); final != (c.status == "ok") {
		f.r.fail("%sfinal is %v with status %s", f.at, final, c.status)
	}
	if c.bars > 0 && c.attempt < 1 {
		f.r.fail("%sattempt is %d with bars_processed %d", f.at, c.attempt, c.bars)
	}
	if exec {
		judgeSaid(f, c)
	} else {
		judgeGate(f, c, gate)
	}
	judgeTimes(f, c, o)
	return c
}

// judgeGate holds where each bar of the chunk went.
func judgeGate(f *doc, c chunk, gate bool) {
	warmup, skips, passes := f.whole("bars_skipped_warmup"), f.whole("pregate_skips"), f.whole("pregate_passes")
	if gate && warmup+skips+passes != c.total {
		f.r.fail("%sbars_skipped_warmup %d + pregate_skips %d + pregate_passes %d is %d (total_bars is %d)",
			f.at, warmup, skips, passes, warmup+skips+passes, c.total)
	}
	if !gate && (skips != 0 || passes != 0) {
		f.r.fail("%spregate_skips is %d and pregate_passes is %d with the gate off", f.at, skips, passes)
	}
	// One model for all market sessions, as the campaigns have: each bar that
	// passed is a call.
	if want := c.total - warmup - skips; c.calls != want {
		f.r.fail("%sn_model_calls is %d (%d bars passed)", f.at, c.calls, want)
	}
	if n := f.whole("pregate_missing_inputs"); n > passes {
		f.r.fail("%spregate_missing_inputs is %d (at most pregate_passes, %d)", f.at, n, passes)
	}
	sum := int64(0)
	for _, n := range f.counts("skip_reasons") {
		sum += n
	}
	if sum != skips {
		f.r.fail("%sskip_reasons add up to %d (pregate_skips is %d)", f.at, sum, skips)
	}
}

// judgeTimes holds the timers. A number that was not finite is 0 and named,
// and what depends on it is not judged.
func judgeTimes(f *doc, c chunk, o Options) {
	bad := map[string]bool{}
	list, ok := f.m["nonfinite_fields"].([]any)
	if !ok {
		f.r.fail("%snonfinite_fields is no list", f.at)
	}
	for _, v := range list {
		name, _ := v.(string)
		told := f // what the engine told of trades is in chunk_local, if they were selected over the run
		if _, there := local(f.m)[name]; there {
			told = own(f)
		}
		if bad[name] = true; told.number(name) != 0 {
			f.r.fail("%s%s is %v and named in nonfinite_fields (expected 0)", told.at, name, told.m[name])
		}
	}
	sum := 0.0
	for _, name := range timers {
		s := f.number(name)
		if s < 0 {
			f.r.fail("%s%s is %v (expected 0 or more)", f.at, name, s)
		}
		sum += s
	}
	for _, name := range []string{"bars_per_sec", "feature_time_mean_ms", "cpu_user_sec", "cpu_sys_sec"} {
		if v := f.number(name); v < 0 {
			f.r.fail("%s%s is %v (expected 0 or more)", f.at, name, v)
		}
	}
	wall, life := f.number("wall_clock_sec"), f.number("worker_time_sec")
	longest := o.longest()
	const round = 1e-6 // of sums of floats
	switch {
	case wall < 0 || life < 0:
		f.r.fail("%swall_clock_sec is %v, worker_time_sec is %v (expected 0 or more)", f.at, wall, life)
	case longest > 0 && max(wall, life) > longest:
		f.r.fail("%swall_clock_sec is %v, worker_time_sec is %v (the run's process lived %v s)", f.at, wall, life, longest)
	case bad["wall_clock_sec"]:
	case sum > wall+round && !c.exec: // a command's phases are as it tells them
		f.r.fail("%sthe phases add up to %v s (wall_clock_sec is %v)", f.at, sum, wall)
	case wall > life+round:
		f.r.fail("%swall_clock_sec is %v (worker_time_sec, which holds it, is %v)", f.at, wall, life)
	case wall > 0 && !bad["bars_per_sec"] && math.Abs(f.number("bars_per_sec")*wall-float64(c.bars)) > 1e-6*float64(c.bars)+round:
		f.r.fail("%sbars_per_sec is %v (%d bars in %v s)", f.at, f.number("bars_per_sec"), c.bars, wall)
	}
}

// judgeTotals holds what follows from the chunks.
func judgeTotals(d *doc, chunks []chunk, o Options) {
	var planned, replayed, total, calls, trades, open, ok, stretches int64
	pnl, size := 0.0, 0.0
	joined := false
	by := map[string][3]int64{} // chunks, planned, replayed
	for _, c := range chunks {
		planned += c.planned()
		replayed += c.bars
		total += c.total
		calls += c.calls
		trades += c.trades
		open += c.open
		pnl += c.pnl
		size += math.Abs(c.pnl)
		n := by[c.status]
		by[c.status] = [3]int64{n[0] + 1, n[1] + c.planned(), n[2] + c.bars}
		if c.status == "ok" {
			ok++
		}
		if c.bars > 0 && !joined {
			stretches++
		}
		joined = c.bars == c.planned()
	}
	cov := d.sub("coverage")
	d.r.Planned, d.r.Replayed = cov.whole("planned_bars"), cov.whole("replayed_bars")
	missing := cov.whole("missing_bars")
	if d.r.Planned != d.r.Replayed+missing {
		d.r.fail("coverage: planned_bars %d is not replayed_bars %d + missing_bars %d", d.r.Planned, d.r.Replayed, missing)
	}
	if o.Bars > 0 && len(chunks) > 0 && planned != o.Bars {
		d.r.fail("the chunks hold bars [0, %d) (the data set has %d)", planned, o.Bars)
	}
	for _, n := range []struct {
		in        *doc
		name      string
		want      int64
		wantWhere string
	}{
		{cov, "planned_bars", planned, "over the chunks"},
		{cov, "replayed_bars", replayed, "over the chunks"},
		{d, "total_bars", total, "over the chunks"},
		{d, "total_model_calls", calls, "over the chunks"},
		{d, "total_trades", trades, "over the chunks"},
		{d, "trades_open", open, "over the chunks"},
		{d, "chunks_total", int64(len(chunks)), "chunks"},
		{d, "chunks_completed", ok, "chunks are ok"},
		{d.sub("selection"), "stretches", stretches, "runs of consecutive bars"},
	} {
		if got := n.in.whole(n.name); got != n.want {
			d.r.fail("%s%s is %d (expected %d %s)", n.in.at, n.name, got, n.want, n.wantWhere)
		}
	}
	if got := d.number("total_pnl_bps"); math.Abs(got-pnl) > 1e-9*(1+size) {
		d.r.fail("total_pnl_bps is %v (expected %v over the chunks)", got, pnl)
	}
	judgeByStatus(cov.sub("by_status"), by)
	judgeOutcome(d, chunks, by)
}

func judgeByStatus(s *doc, by map[string][3]int64) {
	for _, status := range slices.Sorted(maps.Keys(s.m)) {
		f := s.sub(status)
		got := [3]int64{f.whole("chunks"), f.whole("planned_bars"), f.whole("replayed_bars")}
		if got != by[status] {
			s.r.fail("%s%s: chunks, planned_bars, replayed_bars are %v (expected %v)", s.at, status, got, by[status])
		}
	}
	for _, status := range slices.Sorted(maps.Keys(by)) {
		if _, told := s.m[status]; !told {
			s.r.fail("%s%s is missing (%d chunks are)", s.at, status, by[status][0])
		}
	}
}

func judgeOutcome(d *doc, chunks []chunk, by map[string][3]int64) {
	ok := int(by["ok"][0])
	if complete := len(chunks) > 0 && ok == len(chunks); complete != (d.r.Outcome == "complete") {
		d.r.fail("outcome is %q with %d of %d chunks ok", d.r.Outcome, ok, len(chunks))
	}
	if by["failed"][0] > 0 && d.r.Outcome != "failed" {
		d.r.fail("outcome is %q with %d chunks failed", d.r.Outcome, by["failed"][0])
	}
	if partial := d.flag("export_partial"); partial != (by["unresponsive"][0] > 0) {
		d.r.fail("export_partial is %v with %d chunks unresponsive", partial, by["unresponsive"][0])
	}
}
