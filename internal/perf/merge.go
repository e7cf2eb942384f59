package perf

import (
	"errors"
	"fmt"

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

// Inherit returns r with what it cannot know yet taken from earlier, a report
// of the same run: a session that is stopped before it has read the plan
// exports what the sessions before it have left.
func (r Report) Inherit(earlier Report) Report {
	if r.Data.SHA256 != "" {
		return r
	}
	r.Data, r.Policy, r.Model, r.Command = earlier.Data, earlier.Policy, earlier.Model, earlier.Command
	r.Scope, r.Trades, r.Fill, r.BordersExact = earlier.Scope, earlier.Trades, earlier.Fill, earlier.BordersExact
	r.PregateEnabled, r.PregateEnabledSource = earlier.PregateEnabled, earlier.PregateEnabledSource
	return r
}

// SameRun says whether a and b may be reports of one run: the same run_id,
// and the same data and policy where both know them. Its error is an
// ErrOtherRun and says what differs.
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
	return nil
}
