package bus

import (
	"fmt"
	"strconv"
	"strings"

	"gx1replay/internal/access"
	"gx1replay/internal/run"
)

// Names of streams and buckets.
const (
	StreamTasks     = "GX1_TASKS"
	StreamProgress  = "GX1_PROGRESS"
	StreamFooters   = "GX1_FOOTERS"
	StreamArtifacts = "GX1_ARTIFACTS"
	StreamNotes     = "GX1_NOTES"
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

// noteSubject is where the user with that public key leaves notes on run id.
func noteSubject(id run.ID, public string) string { return access.Note(string(id), public) }

// noteSubjects matches the notes of all users on run id.
func noteSubjects(id run.ID) string { return access.Note(string(id), "*") }

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

// consumerName names the durable consumer of one session of a run. Session and
// incarnation are part of it because a consumer that is made again under the
// same name takes the acks of the old one's deliveries.
func consumerName(r run.Ref, session int) string {
	return string(r.ID) + "_s" + strconv.Itoa(session) + consumerMark(r.Incarnation)
}

// consumerMark is how much of an incarnation distinguishes consumers.
func consumerMark(i run.Incarnation) string {
	if len(i) < markDigits {
		return ""
	}
	return "_" + string(i[:markDigits])
}

const markDigits = 12

// parseConsumer takes the name of a consumer of run id apart; ok is false for
// another run's.
func parseConsumer(id run.ID, name string) (session int, mark string, ok bool) {
	rest, ok := strings.CutPrefix(name, string(id)+"_s")
	number, digits, marked := strings.Cut(rest, "_")
	if marked {
		// A run_id may hold what looks like the end of such a name.
		ok = ok && len(digits) == markDigits && strings.Trim(digits, "0123456789abcdef") == ""
		mark = "_" + digits
	}
	session, err := strconv.Atoi(number)
	return session, mark, ok && err == nil && session > 0 && strconv.Itoa(session) == number
}
