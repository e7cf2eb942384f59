package perf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gx1replay/internal/footer"
)

// ErrOtherRun: two things that were to be merged are not of one run and plan.
var ErrOtherRun = errors.New("not the same run")

// Merge returns the chunks of both, for each chunk the footer that speaks (by
// footer.Pick), so that an export never holds fewer bars than an earlier one.
// The status: ok wins; else what chunks says, unless nothing was heard (status
// missing, or parse_error against more than that), then what existing says.
// Either may lack chunks at its end, as before there is a plan. A chunk that
// is planned differently is an ErrOtherRun. Neither argument is changed; the
// result may share memory with chunks.
func Merge(existing, chunks []Chunk) ([]Chunk, error) {
	if err := checkPlan(existing); err != nil {
		return nil, fmt.Errorf("merging into an existing export: existing: %w", err)
	}
	if err := checkPlan(chunks); err != nil {
		return nil, fmt.Errorf("merging into an existing export: %w", err)
	}
	if len(existing) == 0 {
		return chunks, nil
	}
	// Nearly always nothing in existing is better than what is in chunks, and
	// chunks is the result: memory for another one is taken only when needed.
	out, shared := chunks, true
	first := int64(0)
	for i := range max(len(existing), len(chunks)) {
		var c Chunk
		switch {
		case i >= len(existing):
			c = chunks[i].settled(first)
		case i >= len(chunks):
			c = existing[i].settled(first)
		case existing[i].Planned != chunks[i].Planned:
			return nil, fmt.Errorf("merging into an existing export: chunk %d: planned_bars %d (the existing file has %d): %w",
				i, chunks[i].Planned, existing[i].Planned, ErrOtherRun)
		default:
			c = mergeChunk(existing[i].settled(first), chunks[i].settled(first))
		}
		first += c.Planned
		if i < len(chunks) && c == chunks[i] {
			continue
		}
		if shared {
			out, shared = make([]Chunk, max(len(existing), len(chunks))), false
			copy(out, chunks)
		}
		out[i] = c
	}
	return out, nil
}

// mergeChunk takes two settled chunks with the same index and bars.
func mergeChunk(old, c Chunk) Chunk {
	if heard(c.Status) < heard(old.Status) {
		c.Status, c.Error, c.Trace = old.Status, old.Error, old.Trace
	}
	c.Line = better(old.Line, c.Line)
	if c.Line.IsOK() {
		c.Status, c.Error, c.Trace = footer.StatusOK, "", ""
	}
	return c
}

// heard orders the statuses by how much was heard of a chunk.
func heard(s footer.Status) int {
	switch s {
	case footer.StatusMissing:
		return 0
	case footer.StatusParseError:
		return 1
	}
	return 2
}

// Inherit returns r as it follows earlier, a report of the same run: with the
// sessions of both and the sum of their times, and a stop.seq that is not
// below the earlier one, as a stop that is done with must not be obeyed again.
// What a session cannot know that was stopped before it has read the plan is
// taken from earlier: it exports what the sessions before it have left. The
// selection stays that of r.
func (r Report) Inherit(earlier Report) Report {
	r.Stop.Seq = max(r.Stop.Seq, earlier.Stop.Seq)
	if len(earlier.Sessions) > 0 {
		r.Sessions = MergeSessions(earlier.Sessions, r.Sessions)
		r.Wall = WallOf(r.Sessions)
	}
	r.Plan = cmp.Or(r.Plan, earlier.Plan)
	if r.Data.SHA256 != "" {
		if len(r.PolicyValues) == 0 && r.Policy.Equal(earlier.Policy) {
			r.PolicyValues = earlier.PolicyValues
			r.Fill = cmp.Or(r.Fill, earlier.Fill)
		}
		return r
	}
	r.Incarnation = earlier.Incarnation
	r.Data, r.Policy, r.Model, r.Command = earlier.Data, earlier.Policy, earlier.Model, earlier.Command
	r.PolicyValues = earlier.PolicyValues
	r.Fill = earlier.Fill
	r.PregateEnabled, r.PregateEnabledSource = earlier.PregateEnabled, earlier.PregateEnabledSource
	r.EngineVersion = earlier.EngineVersion
	r.WorkersSeen, r.Hosts = max(r.WorkersSeen, earlier.WorkersSeen), union(r.Hosts, earlier.Hosts)
	r.Redeliveries = max(r.Redeliveries, earlier.Redeliveries)
	r.Releases, r.Failures = max(r.Releases, earlier.Releases), max(r.Failures, earlier.Failures)
	r.FootersRefused = max(r.FootersRefused, earlier.FootersRefused)
	return r
}

// union is the sorted set of the names in a and b.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Guessed: the plan of f was inferred from footers, which do not name the data
// set. Its borders hold where there is a footer.
func (f File) Guessed() bool { return len(f.Chunks) > 0 && f.Report.Data.SHA256 == "" }

// Measured: f knows its run's data set or a footer of it, and so its
// incarnation.
func (f File) Measured() bool {
	return f.Report.Data.SHA256 != "" || slices.ContainsFunc(f.Chunks, func(c Chunk) bool { return !c.Line.IsZero() })
}

// MergeInto is Merge of the chunks of r into a known file of its run. Where one
// plan was guessed it gives way to the other.
func MergeInto(known File, r Report, chunks []Chunk) ([]Chunk, error) {
	existing := known.Chunks
	switch {
	case len(existing) == 0 || len(chunks) == 0:
	case known.Guessed():
		existing = Refit(chunks, existing)
	case File{Report: r, Chunks: chunks}.Guessed():
		chunks = Refit(existing, chunks)
	}
	return Merge(existing, chunks)
}

// MergeFiles is what two files of one run say together. The later one's word
// counts, for the statuses and for all that is not added up; of two of one
// time it is b. The totals are those of the merged chunks.
func MergeFiles(a, b File) (File, error) {
	earlier, later := a, b
	if a.Report.Timestamp.After(b.Report.Timestamp) {
		earlier, later = b, a
	}
	if err := SameRun(earlier.Report, later.Report); err != nil {
		return File{}, err
	}
	chunks, err := MergeInto(earlier, later.Report, later.Chunks)
	if err != nil {
		return File{}, err
	}
	said := later.Report.Outcome
	if later.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks > 0 {
		said = "" // it failed by its chunks, which may be ok by now
	}
	f := File{Report: later.Report.Inherit(earlier.Report), Chunks: chunks}
	f.Report.Selection = HoldingOf(chunks, later.Report.Selection, earlier.Report.Selection)
	f.Report.Outcome = said
	f.Totals = f.Report.Count(chunks)
	f.Report.Outcome = f.Totals.Outcome
	return f, nil
}

// Refit returns the plan of chunks with what known holds of it: a line whose
// place in the data set is that of its chunk in the plan, and the status of
// the chunk of that number. It is for a known whose borders were guessed from
// its footers; their own places are true.
func Refit(plan, known []Chunk) []Chunk {
	out := make([]Chunk, len(plan))
	first := int64(0)
	for i, p := range plan {
		out[i] = Chunk{Idx: p.Idx, Planned: p.Planned, Status: footer.StatusMissing}
		if i < len(known) {
			c := known[i]
			c.Planned = p.Planned
			if c.Line.IsZero() || c.Line.l.fits(c, first) == nil {
				out[i] = c
			}
		}
		first += p.Planned
	}
	return out
}

// SameRun says whether a and b may be reports of one run: the same run_id,
// and the same data, policy and incarnation where both know them. Its error is
// an ErrOtherRun and says what differs.
func SameRun(a, b Report) error {
	for _, f := range []struct{ name, a, b string }{
		{"run_id", string(a.RunID), string(b.RunID)},
		{"data.sha256", a.Data.SHA256, b.Data.SHA256},
		{"policy.sha256", a.Policy.SHA256, b.Policy.SHA256},
	} {
		if f.a != f.b && f.a != "" && f.b != "" {
			return fmt.Errorf("%s %.70q against %.70q: %w", f.name, f.a, f.b, ErrOtherRun)
		}
	}
	// A run whose data is known has an incarnation, or is of a version that had
	// none; either way it is another run than one that has another.
	if a.Data.SHA256 != "" && b.Data.SHA256 != "" && a.Incarnation != b.Incarnation {
		return fmt.Errorf("incarnation %q against %q: %w", a.Incarnation, b.Incarnation, ErrOtherRun)
	}
	return nil
}
