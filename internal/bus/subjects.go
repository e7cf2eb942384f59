package bus

import (
	"fmt"
	"strconv"
	"strings"

	"gx1replay/internal/run"
)

// Names of streams and buckets.
const (
	StreamTasks     = "GX1_TASKS"
	StreamProgress  = "GX1_PROGRESS"
	StreamFooters   = "GX1_FOOTERS"
	StreamArtifacts = "GX1_ARTIFACTS"
	StreamStop      = "GX1_STOP"
	BucketRuns      = "GX1_RUNS"
	StoreData       = "GX1_DATA"
)

// StopSubjects is what a client without credentials may publish to.
const StopSubjects = "gx1.stop.*"

// StopSubject is the subject of the stops of run id.
func StopSubject(id run.ID) string { return "gx1.stop." + string(id) }

func taskSubject(id run.ID, idx int) string { return chunkSubject("task", id, idx) }

func progressSubject(id run.ID, idx int) string { return chunkSubject("progress", id, idx) }

func footerSubject(id run.ID, idx int) string { return chunkSubject("footer", id, idx) }

func chunkSubject(kind string, id run.ID, idx int) string {
	return "gx1." + kind + "." + string(id) + "." + strconv.Itoa(idx)
}

// runSubjects matches the subjects of every chunk of run id.
func runSubjects(kind string, id run.ID) string { return "gx1." + kind + "." + string(id) + ".*" }

func artifactSubject(id run.ID, idx int, claim uint64, part int) string {
	return fmt.Sprintf("gx1.artifact.%s.%d.%d.%d", id, idx, claim, part)
}

// artifactSubjects matches every artifact of run id.
func artifactSubjects(id run.ID) string { return "gx1.artifact." + string(id) + ".>" }

// parseChunkSubject takes gx1.<kind>.<run_id>.<chunk_idx> apart.
func parseChunkSubject(kind, subject string) (run.ID, int, error) {
	rest, ok := strings.CutPrefix(subject, "gx1."+kind+".")
	idText, idxText, cut := strings.Cut(rest, ".")
	if !ok || !cut {
		return "", 0, fmt.Errorf("subject %.100q (want gx1.%s.RUN_ID.CHUNK_IDX)", subject, kind)
	}
	id, err := run.ParseID(idText)
	if err != nil {
		return "", 0, fmt.Errorf("subject %.100q: %w", subject, err)
	}
	idx, err := strconv.Atoi(idxText)
	if err != nil || idx < 0 || idx >= run.MaxChunks || strconv.Itoa(idx) != idxText {
		return "", 0, fmt.Errorf("subject %.100q: chunk_idx %.20q (want 0 to %d)", subject, idxText, run.MaxChunks-1)
	}
	return id, idx, nil
}

// parseStopSubject takes gx1.stop.<run_id> apart.
func parseStopSubject(subject string) (run.ID, error) {
	text, ok := strings.CutPrefix(subject, "gx1.stop.")
	if !ok {
		return "", fmt.Errorf("subject %.100q (want gx1.stop.RUN_ID)", subject)
	}
	return run.ParseID(text)
}

// consumerName names the durable consumer of one session of a run. The
// session is part of it because a consumer that is made again under the same
// name takes the acks of the old one's deliveries.
func consumerName(id run.ID, session int) string { return string(id) + "_s" + strconv.Itoa(session) }
