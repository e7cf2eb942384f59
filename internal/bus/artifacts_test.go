package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/run"
)

// testParts are n parts of different content and length.
func testParts(n int) (parts [][]byte, size int64) {
	for i := range n {
		p := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 10+i)
		parts, size = append(parts, p), size+int64(len(p))
	}
	return parts, size
}

func storeParts(t *testing.T, b *Bus, id run.ID, idx int, claim uint64, first int, parts [][]byte) {
	t.Helper()
	for i, p := range parts {
		must(t, b.StoreArtifact(t.Context(), testRun(id), idx, claim, first+i, p))
	}
}

func sameParts(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func TestAnArtifactComesBackWhole(t *testing.T) {
	r := newRig(t, "")
	worker, reader := r.busFor("w", nil), r.bus()
	const n = 3*partsAtOnce + 1
	parts, size := testParts(n)
	parts[2] = nil // an empty part is one
	size -= 2 * 12
	storeParts(t, worker, "r1", 1, 7, 0, parts)
	// A second artifact of the claim goes on counting; another claim, chunk
	// and run have their own.
	second := [][]byte{[]byte("log")}
	storeParts(t, worker, "r1", 1, 7, n, second)
	for i, other := range []struct {
		id    run.ID
		idx   int
		claim uint64
	}{{"r1", 1, 8}, {"r1", 2, 7}, {"r2", 1, 7}} {
		storeParts(t, worker, other.id, other.idx, other.claim, 0, [][]byte{{byte(i)}})
	}
	for _, c := range []struct {
		id           run.ID
		idx          int
		claim        uint64
		first, parts int
		want         [][]byte
	}{
		{"r1", 1, 7, 0, n, parts},
		{"r1", 1, 7, 5, 3, parts[5:8]},
		{"r1", 1, 7, n, 1, second},
		{"r1", 1, 7, 0, 0, nil},
		{"r1", 1, 8, 0, 1, [][]byte{{0}}},
		{"r1", 2, 7, 0, 1, [][]byte{{1}}},
		{"r2", 1, 7, 0, 1, [][]byte{{2}}},
	} {
		got, err := reader.Artifact(t.Context(), testRun(c.id), c.idx, c.claim, c.first, c.parts, size)
		if err != nil || !sameParts(got, c.want) {
			t.Errorf("%+v: %d parts, %v", c, len(got), err)
		}
	}
	msg, err := reader.last(t.Context(), StreamArtifacts, artifactSubject("r1", 1, 7, 0))
	must(t, err)
	if msg.Header.Get("Gx1-Schema") != "1" || msg.Header.Get("Gx1-Worker") != "w" {
		t.Errorf("headers %v", msg.Header)
	}
}

// An answer that was lost is followed by the same part again. Another content
// never takes the first one's place, whoever sends it, by whatever headers.
func TestFact_APartThatIsStoredAgainIsThereOnce(t *testing.T) {
	b := newRig(t, "").bus()
	parts, size := testParts(3)
	for range 3 {
		storeParts(t, b, "r1", 0, 7, 0, parts)
	}
	got, err := b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 3, size)
	if n := messages(t, b, StreamArtifacts); err != nil || !sameParts(got, parts) || n != 3 {
		t.Errorf("%d messages, %d parts, %v (want 3 and 3)", n, len(got), err)
	}
	if err := b.StoreArtifact(t.Context(), testRun("r1"), 0, 7, 1, []byte("other")); !errors.Is(err, ErrArtifactKept) {
		t.Errorf("another content: %v (want ErrArtifactKept)", err)
	}
	later := run.Ref{ID: "r1", Incarnation: run.NewIncarnation([16]byte{9})}
	if err := b.StoreArtifact(t.Context(), later, 0, 7, 1, parts[1]); !errors.Is(err, ErrArtifactKept) {
		t.Errorf("the same content of another incarnation: %v (want ErrArtifactKept)", err)
	}
	must(t, b.nc.Publish("gx1.artifact.r1.0.7.1", []byte("raw")))
	must(t, b.nc.FlushTimeout(requestTimeout))
	if got, err = b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 3, size); err != nil || !sameParts(got, parts) {
		t.Errorf("after tries to write over: %d parts, %v", len(got), err)
	}
	var refused *RefusedError
	if _, err := b.Artifact(t.Context(), later, 0, 7, 0, 3, size); !errors.As(err, &refused) || !errors.Is(err, run.ErrOtherIncarnation) {
		t.Errorf("read as another incarnation's: %v (want ErrOtherIncarnation)", err)
	}
}

func TestAMissingPartIsNamed(t *testing.T) {
	b := newRig(t, "").bus()
	parts, size := testParts(10)
	storeParts(t, b, "r1", 3, 7, 0, parts[:6])
	storeParts(t, b, "r1", 3, 7, 7, parts[7:])
	for _, c := range []struct {
		claim        uint64
		first, parts int
		want         string
	}{
		{7, 0, 10, "gx1.artifact.r1.3.7.6"},
		{7, 6, 1, "gx1.artifact.r1.3.7.6"},
		{7, 10, 1, "gx1.artifact.r1.3.7.10"},
		{8, 0, 1, "gx1.artifact.r1.3.8.0"},
	} {
		got, err := b.Artifact(t.Context(), testRun("r1"), 3, c.claim, c.first, c.parts, size)
		if got != nil || !errors.Is(err, ErrNoArtifact) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %d parts, %v (want ErrNoArtifact)", c, len(got), err)
		}
	}
	if got, err := b.Artifact(t.Context(), testRun("r1"), 3, 7, 0, 6, size); err != nil || !sameParts(got, parts[:6]) {
		t.Errorf("those before it: %d parts, %v", len(got), err)
	}
}

func TestArtifactsAreBounded(t *testing.T) {
	b := newRig(t, "").bus()
	parts, size := testParts(20)
	storeParts(t, b, "r1", 0, 7, 0, parts)
	if _, err := b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 20, size); err != nil {
		t.Errorf("of the size that is allowed: %v", err)
	}
	if got, err := b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 20, size-1); err == nil || got != nil || !strings.Contains(err.Error(), fmt.Sprint(size-1)) {
		t.Errorf("one byte more than is allowed: %v", err)
	}
	for _, c := range [][2]int{{0, -1}, {0, MaxArtifactParts + 1}, {-1, 1}, {maxClaimParts, 1}, {math.MaxInt, 2}, {math.MinInt, 2}} {
		if _, err := b.Artifact(t.Context(), testRun("r1"), 0, 7, c[0], c[1], size); err == nil || errors.Is(err, ErrNoArtifact) {
			t.Errorf("%d parts from %d on: %v", c[1], c[0], err)
		}
	}
	most := make([]byte, MaxArtifactPart)
	must(t, b.StoreArtifact(t.Context(), testRun("r1"), 1, 7, 0, most))
	if got, err := b.Artifact(t.Context(), testRun("r1"), 1, 7, 0, 1, MaxArtifactPart); err != nil || len(got[0]) != MaxArtifactPart {
		t.Errorf("a part of the largest size: %v", err)
	}
	before := messages(t, b, StreamArtifacts)
	for part, data := range map[int][]byte{1: append(most, 0), -1: nil, maxClaimParts: nil} {
		if err := b.StoreArtifact(t.Context(), testRun("r1"), 1, 7, part, data); err == nil {
			t.Errorf("part %d of %d bytes was stored", part, len(data))
		}
	}
	if n := messages(t, b, StreamArtifacts); n != before {
		t.Errorf("%d messages (want %d)", n, before)
	}
}

// What does not carry our schema, or is too large, is refused by its subject
// and sequence. What the bytes mean is for their reader to say.
func TestPartsOfAnotherKindAreRefused(t *testing.T) {
	b := newRig(t, "").bus()
	parts, size := testParts(9)
	old := run.Ref{ID: "r1"} // its messages carry no incarnation
	claim := uint64(7)
	for name, make := range garbage([]byte("good")) {
		claim++
		subject := artifactSubject("r1", 0, claim, 4)
		seq := put(t, b, make(subject))
		for i, p := range parts {
			if i != 4 {
				must(t, b.StoreArtifact(t.Context(), old, 0, claim, i, p))
			}
		}
		got, err := b.Artifact(t.Context(), old, 0, claim, 0, 9, size+1000)
		var refused *RefusedError
		switch name {
		case "no header", "header in the wrong case", "schema of tomorrow", "schema is no number", "oversize":
			if !errors.As(err, &refused) || refused.Seq != seq || refused.Subject != subject || got != nil {
				t.Errorf("%s: %v (want a RefusedError of %d)", name, err, seq)
			}
		default:
			if err != nil || !bytes.Equal(got[4], make(subject).Data) {
				t.Errorf("%s: %v (want the bytes)", name, err)
			}
		}
	}
}

func TestArtifactEndsWithItsContext(t *testing.T) {
	b := newRig(t, "").bus()
	parts, size := testParts(5)
	storeParts(t, b, "r1", 0, 7, 0, parts)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if got, err := b.Artifact(ctx, testRun("r1"), 0, 7, 0, 5, size); !errors.Is(err, why) || got != nil {
		t.Errorf("%d parts, %v (want %v)", len(got), err, why)
	}
	if err := b.StoreArtifact(ctx, testRun("r1"), 0, 7, 0, nil); err == nil {
		t.Error("stored after the end")
	}
}

// A stream that is not there, or a server that is away, says nothing of the
// artifact.
func TestNoStreamIsNoMissingPart(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	b := r.bus()
	parts, size := testParts(2)
	storeParts(t, b, "r1", 0, 7, 0, parts)
	r.stop()
	eventually(t, "the loss is noticed", func() bool { return !b.Connected() })
	_, reading := b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 2, size)
	storing := b.StoreArtifact(t.Context(), testRun("r1"), 0, 7, 0, parts[0])
	if reading == nil || errors.Is(reading, ErrNoArtifact) || !errors.Is(storing, nats.ErrDisconnected) {
		t.Errorf("while disconnected: reading %v, storing %v", reading, storing)
	}
	r.start()
	eventually(t, "connected again", b.Connected)
	must(t, b.nc.FlushTimeout(requestTimeout))
	if got, err := b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 2, size); err != nil || !sameParts(got, parts) {
		t.Errorf("after a restart: %d parts, %v", len(got), err)
	}
	must(t, b.js.DeleteStream(t.Context(), StreamArtifacts))
	_, reading = b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 2, size)
	storing = b.StoreArtifact(t.Context(), testRun("r1"), 0, 7, 0, parts[0])
	if reading == nil || errors.Is(reading, ErrNoArtifact) || storing == nil {
		t.Errorf("without the stream: reading %v, storing %v", reading, storing)
	}
}

// Clean removes a run's artifacts, and no other run's.
func TestCleanRemovesArtifacts(t *testing.T) {
	b := newRig(t, "").bus()
	parts, size := testParts(4)
	for _, id := range []run.ID{"r1", "r1_2"} {
		storeParts(t, b, id, 0, 7, 0, parts)
		storeParts(t, b, id, 5, 8, 0, parts)
	}
	for range 2 {
		must(t, b.Clean(t.Context(), "r1"))
	}
	if _, err := b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 4, size); !errors.Is(err, ErrNoArtifact) {
		t.Errorf("after the cleaning: %v (want ErrNoArtifact)", err)
	}
	got, err := b.Artifact(t.Context(), testRun("r1_2"), 5, 8, 0, 4, size)
	if n := messages(t, b, StreamArtifacts); err != nil || !sameParts(got, parts) || n != 8 {
		t.Errorf("the other run's: %d messages, %v (want 8)", n, err)
	}
}
