package cli

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gx1replay/internal/audit"
	"gx1replay/internal/cli/progress"
	"gx1replay/internal/footer"
	"gx1replay/internal/printable"
)

// forgedShare and missed are what the default sample is made for: 5 % forged
// chunks, missed with at most 5 %.
const (
	forgedShare = 0.05
	missed      = 0.05
)

// auditReport is what audit prints with --json.
type auditReport struct {
	RunID    string `json:"run_id"`
	Engine   string `json:"engine"`
	Seed     uint64 `json:"seed"`
	Chunks   int    `json:"chunks"`    // of the run
	ChunksOK int    `json:"chunks_ok"` // only they are audited
	Eligible int    `json:"eligible"`  // of the named workers and hosts: the sample is drawn from them
	Sampled  int    `json:"sampled"`

	Equal       int             `json:"equal"`
	Different   int             `json:"different"`
	NotReplayed int             `json:"not_replayed"`
	Differences []auditedDiffer `json:"differences"`
	Errors      []auditedError  `json:"errors"`
	Statistics  auditStatistics `json:"statistics"`

	again  string
	others map[footer.Status]int // chunks that are not ok
}

type auditedDiffer struct {
	ChunkIdx int    `json:"chunk_idx"`
	WorkerID string `json:"worker_id"`
	Host     string `json:"host"`
	Attempt  int64  `json:"attempt"`
	audit.Difference
}

type auditedError struct {
	ChunkIdx int    `json:"chunk_idx"`
	Error    string `json:"error"`
}

// auditStatistics is what a sample of this size proves about this run, by the
// hypergeometric distribution.
type auditStatistics struct {
	ForgedChunks int     `json:"forged_chunks"` // 5 % of the eligible ones, rounded up
	Missed       float64 `json:"missed"`        // probability that the sample has none of so many
	OneFound     float64 `json:"one_found"`     // probability that it has the forged one, if one is
	FoundFrom    int     `json:"found_from"`    // so many or more are missed with at most 5 %
}

func (a *auditing) report(arg string) auditReport {
	n, total := len(a.sample), len(a.eligible)
	replayed := n
	for _, res := range a.results {
		if res.err != nil {
			replayed--
		}
	}
	forged := int(math.Ceil(forgedShare * float64(total)))
	r := auditReport{
		RunID: string(a.found.m.RunID), Engine: a.found.m.Engine, Seed: a.f.seed,
		Chunks: len(a.found.chunks), ChunksOK: a.ok, Eligible: total, Sampled: n,
		Differences: []auditedDiffer{}, Errors: []auditedError{}, others: map[footer.Status]int{},
		Statistics: auditStatistics{
			ForgedChunks: forged, Missed: audit.Misses(total, forged, replayed), OneFound: 1 - audit.Misses(total, 1, replayed), FoundFrom: audit.Found(total, replayed, missed),
		},
		again: fmt.Sprintf("coordinator audit %s --chunks %d --seed %d", quoted(arg), n, a.f.seed),
	}
	for _, list := range []struct {
		flag   string
		values []string
	}{
		{"--worker", a.f.workers}, {"--worker-host", a.f.hosts},
		{"--output-dir", []string{a.f.outputDir}}, {"--data", []string{a.f.data}}, {"--policy", []string{a.f.policy}}, {"--models", []string{a.f.models}},
	} {
		for _, v := range list.values {
			if v != "" {
				r.again += " " + list.flag + " " + quoted(v)
			}
		}
	}
	for _, c := range a.found.chunks {
		if !c.Line.IsOK() {
			r.others[c.Status]++
		}
	}
	for i, res := range a.results {
		switch {
		case res.err != nil:
			r.NotReplayed++
			r.Errors = append(r.Errors, auditedError{a.sample[i], res.err.Error()})
		case len(res.diffs) == 0:
			r.Equal++
		default:
			r.Different++
			for _, d := range res.diffs {
				r.Differences = append(r.Differences, auditedDiffer{a.sample[i], res.was.WorkerID, res.was.Host, res.was.Attempt, d})
			}
		}
	}
	return r
}

// maxShownDiffs bounds the differences of one chunk in the text.
const maxShownDiffs = 8

func (r *auditReport) text() []byte {
	b := &bytes.Buffer{}
	not := ""
	if r.NotReplayed > 0 {
		not = fmt.Sprintf(", %d could not be replayed", r.NotReplayed)
	}
	verb := "differ"
	if r.Different == 1 {
		verb = "differs"
	}
	fmt.Fprintf(b, "run %s: %s of %s replayed here, seed %d: %d equal, %d %s%s\n",
		r.RunID, counted(r.Sampled, "chunk"), progress.Count(int64(r.Eligible)), r.Seed, r.Equal, r.Different, verb, not)
	shown := map[int]int{}
	for _, d := range r.Differences {
		if shown[d.ChunkIdx] == 0 {
			fmt.Fprintf(b, "chunk %d, reported by worker %s on host %s, attempt %d:\n", d.ChunkIdx, printable.Line(d.WorkerID), printable.Line(d.Host), d.Attempt)
		}
		if shown[d.ChunkIdx]++; shown[d.ChunkIdx] <= maxShownDiffs {
			fmt.Fprintf(b, "  %s\n", printable.Line(d.String()))
		}
	}
	for _, idx := range slices.Sorted(maps.Keys(shown)) {
		if more := shown[idx] - maxShownDiffs; more > 0 {
			fmt.Fprintf(b, "chunk %d: %d more differences (--json shows all)\n", idx, more)
		}
	}
	for _, e := range r.Errors {
		fmt.Fprintf(b, "chunk %d could not be replayed: %s\n", e.ChunkIdx, printable.Line(e.Error))
	}
	if len(r.others) > 0 {
		var parts []string
		for _, s := range slices.Sorted(maps.Keys(r.others)) {
			parts = append(parts, fmt.Sprintf("%d %s", r.others[s], s))
		}
		fmt.Fprintf(b, "not audited: chunks that are not ok (%s); a partial footer cannot be repeated\n", strings.Join(parts, ", "))
	}
	if r.Eligible < r.ChunksOK {
		fmt.Fprintf(b, "the sample was drawn from %d of %d ok chunks, those of the named workers and hosts\n", r.Eligible, r.ChunksOK)
	}
	r.writeStatistics(b)
	fmt.Fprintf(b, "repeat with: %s\n", r.again)
	return b.Bytes()
}

func (r *auditReport) writeStatistics(b *bytes.Buffer) {
	s := r.Statistics
	replayed := r.Equal + r.Different
	switch {
	case replayed == 0:
		return
	case replayed == r.Eligible:
		fmt.Fprintf(b, "every one of them was replayed, so no forged chunk was missed\n")
		return
	}
	fmt.Fprintf(b, "if 5 %% of the %s chunks were forged (%d), a sample of %d would miss all of them with a probability of %s\n",
		progress.Count(int64(r.Eligible)), s.ForgedChunks, replayed, percent(s.Missed))
	fmt.Fprintf(b, "%s or more would be found with at least 95 %%; a single one with %s\n", counted(s.FoundFrom, "forged chunk"), percent(s.OneFound))
}

func percent(p float64) string { return fmt.Sprintf("%.3g %%", 100*p) }
