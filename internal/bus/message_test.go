package bus

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// FuzzMessages gives the readers of the bus a message as somebody with rights
// could publish it: any subject, any headers, any payload. Each is either
// taken, and then is what its subject promises, or refused by an error that
// names it.
func FuzzMessages(f *testing.F) {
	m := testManifest("r1", 2)
	rec := lease.Record{State: lease.StateClaimed, RunID: "r1", ChunkIdx: 1, Session: 1, Attempt: 1, Holder: lease.Holder{WorkerID: "w"}}
	data, err := rec.Encode()
	if err != nil {
		f.Fatal(err)
	}
	task, err := m.NewTask(1).Encode()
	if err != nil {
		f.Fatal(err)
	}
	schema := strconv.Itoa(run.Schema)
	f.Add("gx1.progress.r1.1", schema, "", "", data)
	f.Add("gx1.progress.r1.0", schema, "", "", data)
	f.Add("gx1.footer.r1.1", schema, "sigterm", "2", data)
	f.Add("gx1.task.r1.1", schema, "timeout", "-1", task)
	f.Add("gx1.artifact.r1.1.7.0", schema, "", "", make([]byte, MaxArtifactPart+1))
	f.Add("gx1.stop.r1", "2", "web", "99999999999999999999", []byte("why\x00"))
	f.Fuzz(func(t *testing.T, subject, schema, source, session string, data []byte) {
		h := nats.Header{headerSchema: {schema}, headerStopSource: {source}, headerStopSession: {session}}
		msg := &jetstream.RawStreamMsg{Subject: subject, Sequence: 7, Header: h, Data: data}
		refused := func(err error) {
			t.Helper()
			var r *RefusedError
			if !errors.As(err, &r) || r.Subject != subject || r.Seq != 7 {
				t.Errorf("refused without naming it: %v", err)
			}
		}
		if r, err := decodeLease(msg); err != nil {
			refused(err)
		} else if progressSubject(r.RunID, r.ChunkIdx) != subject || schema != strconv.Itoa(run.Schema) {
			t.Errorf("%s, schema %s is taken as %s, chunk %d", subject, schema, r.RunID, r.ChunkIdx)
		}
		if ft, err := decodeFooter(m, msg); err != nil {
			refused(err)
		} else if footerSubject(run.ID(ft.RunID), int(ft.ChunkIdx)) != subject || !ft.IsOK() || ft.Status != footer.StatusOK {
			t.Errorf("%s is taken as footer of %s, chunk %d, %s", subject, ft.RunID, ft.ChunkIdx, ft.Status)
		}
		if part, err := decodePart("", msg); err != nil {
			refused(err)
		} else if schema != strconv.Itoa(run.Schema) || len(part) > MaxArtifactPart || !bytes.Equal(part, data) {
			t.Errorf("%s, schema %s is taken as a part of %d bytes", subject, schema, len(part))
		}
		if s := stopSource(h); !s.Known() {
			t.Errorf("stop source %q became %q", source, s)
		}
		if n := stopSession(h); n < 0 || n > 0 && !stopSource(h).Own() {
			t.Errorf("stop session %q of source %q became %d", session, source, n)
		}
	})
}
