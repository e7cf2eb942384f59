package bus

import (
	"bytes"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// An object of which a part is lost is not there, and is stored again.
func TestAnObjectWithoutAPartIsNotThere(t *testing.T) {
	b := newRig(t, "").bus()
	content := bytes.Repeat([]byte("content"), 100_000)
	must(t, b.PutObject(t.Context(), "data", content))
	if there, err := b.HasObject(t.Context(), "data"); err != nil || !there {
		t.Fatalf("%v, %v (want that it is there)", there, err)
	}
	s, err := b.js.Stream(t.Context(), "OBJ_"+StoreData)
	must(t, err)
	msg, err := s.GetMsg(t.Context(), 2, jetstream.WithGetMsgSubject("$O."+StoreData+".C.>"))
	must(t, err)
	must(t, s.DeleteMsg(t.Context(), msg.Sequence))
	if there, err := b.HasObject(t.Context(), "data"); err != nil || there {
		t.Errorf("%v, %v (want that it is not there)", there, err)
	}
	must(t, b.PutObject(t.Context(), "data", content))
	if there, err := b.HasObject(t.Context(), "data"); err != nil || !there {
		t.Errorf("%v, %v (want that it is there again)", there, err)
	}
	got, err := b.GetObject(t.Context(), "data", int64(len(content)))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v (want %d)", len(got), err, len(content))
	}
}
