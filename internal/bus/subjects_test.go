package bus

import (
	"strings"
	"testing"

	"gx1replay/internal/run"
)

func TestSubjects(t *testing.T) {
	for got, want := range map[string]string{
		taskSubject("r-1", 0):          "gx1.task.r-1.0",
		progressSubject("r_1", 12):     "gx1.progress.r_1.12",
		footerSubject("R", 7):          "gx1.footer.R.7",
		artifactSubject("R", 7, 99, 3): "gx1.artifact.R.7.99.3",
		artifactSubjects("R"):          "gx1.artifact.R.>",
		runSubjects("task", "R"):       "gx1.task.R.*",
		StopSubject("R"):               "gx1.stop.R",
		StopSubjects:                   "gx1.stop.*",
		noteSubject("R", "UABC"):       "gx1.note.R.UABC",

		consumerName(run.Ref{ID: "20261124_0a-b"}, 2): "20261124_0a-b_s2",
		consumerName(testRun("r"), 12):                "r_s12_001122334455",
		StreamTasks + StreamProgress:                  "GX1_TASKSGX1_PROGRESS",
		StreamFooters + StreamArtifacts:               "GX1_FOOTERSGX1_ARTIFACTS",
		StreamStop + BucketRuns + StoreData:           "GX1_STOPGX1_RUNSGX1_DATA",
	} {
		if got != want {
			t.Errorf("%s (want %s)", got, want)
		}
	}
}

func TestParseChunkSubject(t *testing.T) {
	long := strings.Repeat("x", run.MaxIDLen)
	for _, c := range []struct {
		kind, subject string
		id            run.ID
		idx           int
		bad           string // part of the error
	}{
		{kind: "task", subject: "gx1.task.r1.0", id: "r1"},
		{kind: "footer", subject: "gx1.footer.r1.42", id: "r1", idx: 42},
		{kind: "progress", subject: "gx1.progress." + long + ".1048575", id: run.ID(long), idx: run.MaxChunks - 1},
		{kind: "task", subject: "gx1.footer.r1.0", bad: "want gx1.task.RUN_ID.CHUNK_IDX"},
		{kind: "task", subject: "", bad: "want gx1.task"},
		{kind: "task", subject: "gx1.task.r1", bad: "want gx1.task"},
		{kind: "task", subject: "gx1.task.r1.0.0", bad: "chunk_idx"},
		{kind: "task", subject: "gx1.task..0", bad: "empty"},
		{kind: "task", subject: "gx1.task.r 1.0", bad: "A-Z a-z"},
		{kind: "task", subject: "gx1.task." + long + "x.0", bad: "65 bytes"},
		{kind: "task", subject: "gx1.task.r1.", bad: "chunk_idx"},
		{kind: "task", subject: "gx1.task.r1.-1", bad: "chunk_idx"},
		{kind: "task", subject: "gx1.task.r1.+1", bad: "chunk_idx"},
		{kind: "task", subject: "gx1.task.r1.01", bad: "chunk_idx"},
		{kind: "task", subject: "gx1.task.r1.1048576", bad: "want 0 to 1048575"},
		{kind: "task", subject: "gx1.task.r1.99999999999999999999", bad: "chunk_idx"},
		{kind: "task", subject: "gx1.task.r1.1e3", bad: "chunk_idx"},
	} {
		id, idx, err := parseChunkSubject(c.kind, c.subject)
		if c.bad == "" {
			if err != nil || id != c.id || idx != c.idx {
				t.Errorf("%s: %s, %d, %v (want %s, %d)", c.subject, id, idx, err, c.id, c.idx)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%s: error %v (want %q in it)", c.subject, err, c.bad)
		}
	}
}

func TestParseStopSubject(t *testing.T) {
	if id, err := parseStopSubject("gx1.stop.r1"); err != nil || id != "r1" {
		t.Errorf("%s, %v", id, err)
	}
	for _, bad := range []string{"", "gx1.stop", "gx1.stop.", "gx1.stop.a.b", "gx1.task.r1", "gx1.stop.ä"} {
		if id, err := parseStopSubject(bad); err == nil {
			t.Errorf("%q was taken as a stop of %q", bad, id)
		}
	}
}

func FuzzParseChunkSubject(f *testing.F) {
	for _, s := range []string{"gx1.task.r1.0", "gx1.task.r1.01", "gx1.task.r1.-0", "gx1.task..", "gx1.task.r1.1048576"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		id, idx, err := parseChunkSubject("task", subject)
		if err != nil {
			return
		}
		// What is taken is exactly what the builder makes.
		if got := taskSubject(id, idx); got != subject {
			t.Errorf("%q was taken as %q", subject, got)
		}
		if idx < 0 || idx >= run.MaxChunks {
			t.Errorf("chunk_idx %d", idx)
		}
		if _, err := run.ParseID(string(id)); err != nil {
			t.Error(err)
		}
	})
}

func TestParseConsumer(t *testing.T) {
	for _, c := range []struct {
		id      run.ID
		name    string
		session int
		mark    string
		ok      bool
	}{
		{"r", consumerName(run.Ref{ID: "r"}, 3), 3, "", true},
		{"r", consumerName(testRun("r"), 3), 3, "_001122334455", true},
		{"r", consumerName(testRun("r_s3_x"), 3), 0, "", false}, // another run's
		{"r", consumerName(run.Ref{ID: "r_s3"}, 3), 0, "", false},
		{"r", "r_s03", 0, "", false},
		{"r", "r_sx", 0, "", false},
		{"r", "r2_s1", 0, "", false},
		{"r", "", 0, "", false},
	} {
		session, mark, ok := parseConsumer(c.id, c.name)
		if ok != c.ok || ok && (session != c.session || mark != c.mark) {
			t.Errorf("%s of %s: %d, %q, %v (want %d, %q, %v)", c.name, c.id, session, mark, ok, c.session, c.mark, c.ok)
		}
	}
}
