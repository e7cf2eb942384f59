package check

import (
	"fmt"
	"os"
	"slices"
)

// Options say what is known of the run from elsewhere.
type Options struct {
	// BarLog is the directory of the bar logs; empty: they are not judged.
	BarLog string
	// RunID is what the file must say; empty: anything.
	RunID string
	// Bars is the size of the data set; 0: not known. A run stopped before it
	// had a plan may have none.
	Bars int64
	// WallSec is how long the run's process lived, in seconds; 0: not known.
	WallSec float64
	// Stop lists the sources of a stop that are possible; empty: any. A
	// complete run may have none: its stop came too late.
	Stop []string
	// Outcome is what the file must say; empty: anything.
	Outcome string
	// Early says that the file was written while the run was still ending, as
	// when its coordinator was killed: a chunk may have been begun after it.
	Early bool
	// Mode lists the values that export_mode may have; empty: any that goes
	// with the stop.
	Mode []string
	// Lives are the lives of the run's coordinators, in their order; each
	// session of the file lies within one, and no two in the same. Empty: not
	// known.
	Lives []Life
	// FreshBus says that a session began on another bus than the one before
	// it, so that attempts were numbered from 1 again.
	FreshBus bool
	// Earlier are perf JSON files of the same run, in the order in which they
	// were written: bars never fall from one to the next, and what was ok is
	// kept. The file at hand comes after all of them.
	Earlier []string
	// SameTradesAs is the perf JSON of an undisturbed run of the same plan:
	// its chunks' counters are these, to the bit, and if both are complete so is
	// its trades file. Empty: not known.
	SameTradesAs string
	// Artifacts is the run's directory for readers, with
	// chunk_<i>/chunk_footer.json and a copy of the file; empty: not judged.
	Artifacts string
	// MaxUnreported bounds the bars that chunks without a last word have
	// stepped over and the file does not hold; below 0: not bounded. Chunks
	// that are `ok` or `stopped` have none, whatever it says.
	MaxUnreported int64
	// Behind is how many bars a command may have logged and not said when a
	// stop ended it; 0: the file holds all that a stopped chunk has logged.
	Behind int64
}

// Report is the judgement on one file.
type Report struct {
	// Violations, each a sentence with the field, its value and what was
	// expected. None: the file is true as far as can be seen.
	Violations []string

	Outcome    string
	StopSource string
	Mode       string // export_mode
	Sessions   int
	Planned    int64
	Replayed   int64
	// Statuses counts chunks by status.
	Statuses map[string]int
	// Failures, Releases and Redeliveries are what the file counts of attempts.
	Failures, Releases, Redeliveries int64
	// Logged is the number of distinct (chunk, bar) pairs in the logs, and
	// Unreported how many of them the file does not hold.
	Logged, Unreported int64
}

// maxViolations keeps a file that is wrong everywhere readable.
const maxViolations = 50

// OK reports whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Violations) == 0 }

func (r *Report) fail(format string, args ...any) {
	switch n := len(r.Violations); {
	case n < maxViolations:
		r.Violations = append(r.Violations, fmt.Sprintf(format, args...))
	case n == maxViolations:
		r.Violations = append(r.Violations, "… and more")
	}
}

// File judges the perf JSON at path, beside the other files that o names. An
// error means that there is nothing to judge: one of them, or the logs, cannot
// be read.
func File(path string, o Options) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a perf JSON: %w", err)
	}
	var logs *Logs
	if o.BarLog != "" {
		if logs, err = ReadLogs(o.BarLog); err != nil {
			return nil, err
		}
	}
	this := &file{path: path, bytes: b}
	r := this.judge(logs, o)
	if this.root == nil {
		return r, nil
	}
	judgeSelection(r, this)
	if err := judgeEarlier(r, this, logs, o); err != nil {
		return nil, err
	}
	if o.SameTradesAs != "" {
		if err := judgeTrades(r, this, o); err != nil {
			return nil, err
		}
	}
	if o.Artifacts != "" {
		judgeArtifacts(r, this, o)
	}
	return r, nil
}

// file is a perf JSON, and what its own judgement read from it.
type file struct {
	path   string
	bytes  []byte
	root   map[string]any // nil: it is none
	chunks []chunk
}

// Judge judges the perf JSON b against logs, nil if there are none. Other
// files that o names are not looked at.
func Judge(b []byte, logs *Logs, o Options) *Report {
	return (&file{bytes: b}).judge(logs, o)
}

func (f *file) judge(logs *Logs, o Options) *Report {
	r := &Report{Statuses: map[string]int{}}
	root, err := parse(f.bytes)
	if err != nil {
		r.fail("%v", err)
		return r
	}
	f.root = root
	d := &doc{r: r, m: root}
	r.Outcome, r.StopSource, r.Mode = d.text("outcome"), d.sub("stop").text("source"), d.text("export_mode")
	judgeHeader(d, o)
	r.Sessions = judgeSessions(d, o)
	f.chunks = judgeChunks(d, o)
	judgeTotals(d, f.chunks, o)
	if logs != nil {
		judgeLogs(r, f.chunks, logs, o)
	}
	return r
}

// recovered is the export_mode of a file that another process than the run's
// coordinator has written.
const recovered = "recovered"

// judgeHeader holds what stands once in the file.
func judgeHeader(d *doc, o Options) {
	r := d.r
	if id := d.text("run_id"); o.RunID != "" && id != o.RunID {
		r.fail("run_id is %q (expected %q)", id, o.RunID)
	}
	if v := d.text("schema_version"); v != "perf_v1" {
		r.fail("schema_version is %q (expected perf_v1)", v)
	}
	if n := d.whole("export_seq"); n != 1 {
		r.fail("export_seq is %d (expected 1)", n)
	}
	if !slices.Contains([]string{"complete", "stopped", "failed"}, r.Outcome) {
		r.fail("outcome is %q (expected complete, stopped or failed)", r.Outcome)
	}
	if o.Outcome != "" && r.Outcome != o.Outcome {
		r.fail("outcome is %q (expected %q)", r.Outcome, o.Outcome)
	}
	late := r.Outcome == "complete" && r.StopSource == ""
	if len(o.Stop) > 0 && !late && !slices.Contains(o.Stop, r.StopSource) {
		r.fail("stop.source is %q of an outcome %q (expected one of %q)", r.StopSource, r.Outcome, o.Stop)
	}
	// A coordinator that was killed stopped for nobody.
	if r.Outcome == "stopped" && r.StopSource == "" && r.Mode != recovered {
		r.fail("outcome is stopped and stop.source is empty")
	}
	modes := map[string][]string{
		"": {"normal"}, "sigterm": {"watchdog_sigterm"}, "sigint": {"watchdog_sigterm"},
		"sighup": {"watchdog_sigterm"}, "sigquit": {"watchdog_sigterm"},
		"subject": {"stop_subject"}, "web": {"stop_subject"}, "timeout": {"timeout"},
	}
	if r.Mode != recovered && !slices.Contains(modes[r.StopSource], r.Mode) {
		r.fail("export_mode is %q with stop.source %q (expected one of %q)", r.Mode, r.StopSource, modes[r.StopSource])
	}
	if len(o.Mode) > 0 && !slices.Contains(o.Mode, r.Mode) {
		r.fail("export_mode is %q (expected one of %q)", r.Mode, o.Mode)
	}
	r.Failures, r.Releases, r.Redeliveries = d.whole("failures"), d.whole("releases"), d.whole("redeliveries")
	wall := d.number("total_wall_clock_sec")
	if wall < 0 || o.WallSec > 0 && wall > o.WallSec {
		r.fail("total_wall_clock_sec is %v (expected 0 to %v, the life of the process)", wall, o.WallSec)
	}
}
