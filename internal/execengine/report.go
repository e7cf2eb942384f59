package execengine

import (
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/redact"
)

// Report is what a command has said of itself, in one of the forms of
// progress, or in its footer. Counters are cumulative.
type Report struct {
	// Footer has what was given, under the footer's names; all else is zero.
	Footer footer.Footer
	// Given are the names of the footer's fields that were given as finite
	// numbers or as text. Phase, status, chunk_id and final are not among them.
	Given map[string]bool
	// Nonfinite are numbers that were given as NaN or infinite: not reported.
	Nonfinite []string
	// Ignored are fields whose values cannot be theirs: text for a number, a
	// negative counter, an unknown phase. "child" is among them if the object
	// is too large to be kept.
	Ignored []string
	Phase   footer.Phase // empty: not given
	Status  string       // as the command says it, at most maxStatus bytes; empty: not given
	ChunkID string
	Final   bool
	// Total is what the bars of a progress report count to, padding of the
	// command's own included; 0: not given.
	Total int64
	// Raw is the object as it was given, made valid JSON (what is no finite
	// number is null); nil where there was none, or it is too large.
	Raw []byte
}

// reported is one field that a command may report.
type reported struct {
	name string
	// ptr is *int64 (a counter), *float64, *string or *footer.Counts.
	ptr any
}

// fields lists what is taken of a command's report: what it alone can know.
// Run, chunk and times come from the plan, identity from the worker. A test
// holds it against the footer's tags.
func (r *Report) fields() []reported {
	f := &r.Footer
	return []reported{
		{"error", &f.Error},
		{"error_traceback", &f.ErrorTraceback},
		{"n_model_calls", &f.NModelCalls},
		{"n_trades_closed", &f.NTradesClosed},
		{"wall_clock_sec", &f.WallClockSec},
		{"total_bars", &f.TotalBars},
		{"bars_per_sec", &f.BarsPerSec},
		{"feature_time_mean_ms", &f.FeatureTimeMeanMS},
		{"feature_timeout_count", &f.FeatureTimeoutCount},
		{"htf_align_warn_count", &f.HTFAlignWarnCount},
		{"pregate_skips", &f.PregateSkips},
		{"pregate_passes", &f.PregatePasses},
		{"pregate_missing_inputs", &f.PregateMissingInputs},
		{"t_pregate_total_sec", &f.TPregateTotalSec},
		{"t_feature_build_total_sec", &f.TFeatureBuildSec},
		{"t_model_total_sec", &f.TModelTotalSec},
		{"t_policy_total_sec", &f.TPolicyTotalSec},
		{"t_io_total_sec", &f.TIOTotalSec},
		{"bars_processed", &f.BarsProcessed},
		{"worker_time_sec", &f.WorkerTimeSec},
		{"bars_skipped_warmup", &f.BarsSkippedWarmup},
		{"cpu_user_sec", &f.CPUUserSec},
		{"cpu_sys_sec", &f.CPUSysSec},
		{"max_rss_bytes", &f.MaxRSSBytes},
		{"t_startup_sec", &f.TStartupSec},
		{"t_warmup_sec", &f.TWarmupSec},
		{"pnl_bps", &f.PnlBps},
		{"trades_open", &f.TradesOpen},
		{"open_pnl_bps", &f.OpenPnlBps},
		{"skip_reasons", &f.SkipReasons},
		{"drop_reasons", &f.DropReasons},
		{"n_signals", &f.NSignals},
	}
}

// redacted is r without secrets: what a command reports is kept and printed.
func (r Report) redacted() Report {
	for _, text := range []*string{&r.Footer.Error, &r.Footer.ErrorTraceback} {
		*text = redact.Text(*text)
	}
	if r.Raw == nil {
		return r
	}
	if r.Raw = redact.JSON(r.Raw); len(r.Raw) > maxRawBytes {
		r.Raw = nil
		r.Ignored = append(slices.Clone(r.Ignored), "child")
	}
	return r
}

// Merge takes what a later report gives; what it does not give stays, also
// what it gives as no finite number. It changes r's own map.
func (r *Report) Merge(later Report) {
	if r.Given == nil {
		r.Given = map[string]bool{}
	}
	from := later.fields()
	for i, to := range r.fields() {
		if !later.Given[to.name] {
			continue
		}
		r.Given[to.name] = true
		switch p := to.ptr.(type) {
		case *int64:
			*p = *from[i].ptr.(*int64)
		case *float64:
			*p = *from[i].ptr.(*float64)
		case *string:
			*p = *from[i].ptr.(*string)
		case *footer.Counts:
			*p = *from[i].ptr.(*footer.Counts)
		}
	}
	r.Nonfinite = mergeNames(r.Nonfinite, later.Nonfinite, later.Given)
	r.Ignored = mergeNames(r.Ignored, later.Ignored, later.Given)
	if later.Phase != "" {
		r.Phase = later.Phase
	}
	if later.Status != "" {
		r.Status = later.Status
	}
	if later.ChunkID != "" {
		r.ChunkID = later.ChunkID
	}
	r.Final = r.Final || later.Final
	if later.Total != 0 || later.Given["bars_processed"] {
		r.Total = later.Total // it belongs to its bars
	}
	if later.Raw != nil {
		r.Raw = later.Raw
	}
}

// mergeNames is the sorted union of earlier names that are not given now, and
// later ones. Reports mostly have none.
func mergeNames(earlier, later []string, given map[string]bool) []string {
	if len(earlier) == 0 && len(later) == 0 {
		return nil
	}
	var out []string
	for _, name := range earlier {
		if !given[name] {
			out = append(out, name)
		}
	}
	out = append(out, later...)
	slices.Sort(out)
	return slices.Compact(out)
}
