package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/run"
)

// The whole point of gx1.stop: a plain publish of any client is kept.
func TestAPlainPublishIsAStop(t *testing.T) {
	b := newRig(t, "").bus()
	if s, err := b.LastStop(t.Context(), "r1"); err != nil || !s.IsZero() {
		t.Errorf("before the first: %+v, %v (want none)", s, err)
	}
	before := time.Now()
	must(t, b.nc.Publish("gx1.stop.r1", []byte("  market closed\n")))
	s := storedStop(t, b, "r1")
	if s.Source != run.SourceSubject || s.Reason != "market closed" || s.Seq != 1 {
		t.Errorf("%+v (want subject, market closed, 1)", s)
	}
	if s.RequestedAt.Before(before.Add(-time.Second)) || s.RequestedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("requested at %v (want about %v)", s.RequestedAt, before)
	}
	if s, err := b.LastStop(t.Context(), "r2"); err != nil || !s.IsZero() {
		t.Errorf("of another run: %+v, %v (want none)", s, err)
	}
	// The last one is kept, with a higher sequence.
	must(t, b.nc.Publish("gx1.stop.r1", nil))
	eventually(t, "the second stop", func() bool { s = storedStop(t, b, "r1"); return s.Seq == 2 })
	if s.Reason != "" {
		t.Errorf("reason %q (want none)", s.Reason)
	}
	if n := messages(t, b, StreamStop); n != 1 {
		t.Errorf("%d stops are stored (want 1)", n)
	}
}

func storedStop(t *testing.T, b *Bus, id run.ID) StoredStop {
	t.Helper()
	var s StoredStop
	eventually(t, "the stop", func() bool {
		var err error
		s, err = b.LastStop(t.Context(), id)
		must(t, err)
		return !s.IsZero()
	})
	return s
}

func TestAStopsSource(t *testing.T) {
	b := newRig(t, "").bus()
	for header, want := range map[string]run.Source{
		"":        run.SourceSubject,
		"sigterm": run.SourceSIGTERM,
		"timeout": run.SourceTimeout,
		"SIGTERM": run.SourceSubject,
		"gremlin": run.SourceSubject,
	} {
		m := nats.NewMsg(StopSubject("r1"))
		if header != "" {
			m.Header.Set("Gx1-Stop-Source", header)
		}
		put(t, b, m)
		if s := storedStop(t, b, "r1"); s.Source != want {
			t.Errorf("header %q: source %s (want %s)", header, s.Source, want)
		}
	}
	for _, source := range []run.Source{run.SourceSIGTERM, run.SourceSIGINT, run.SourceSIGHUP, run.SourceSIGQUIT, run.SourceTimeout, run.SourceWeb, run.SourceSubject} {
		seq, err := b.StoreStop(t.Context(), "r1", run.Stop{Source: source, Reason: "why"}, 0, "id."+string(source))
		must(t, err)
		if s := storedStop(t, b, "r1"); s.Source != source || s.Reason != "why" || s.Seq != seq {
			t.Errorf("%+v (want %s, why, %d)", s, source, seq)
		}
	}
}

func TestFact_AStopRetriedUnderOneIDIsStoredOnce(t *testing.T) {
	b := newRig(t, "").bus()
	stop := run.Stop{Source: run.SourceSubject, Reason: "x"}
	first, err := b.StoreStop(t.Context(), "r1", stop, 0, "id1")
	must(t, err)
	again, err := b.StoreStop(t.Context(), "r1", stop, 0, "id1")
	must(t, err)
	if again != first {
		t.Errorf("the retry got sequence %d (want %d)", again, first)
	}
	other, err := b.StoreStop(t.Context(), "r1", stop, 0, "id2")
	must(t, err)
	if other != first+1 {
		t.Errorf("another stop got sequence %d (want %d)", other, first+1)
	}
}

func TestStoreStopTriesUntilTheServerIsBack(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	b := r.bus()
	r.stop()
	eventually(t, "the loss is noticed", func() bool { return !b.Connected() })
	type answer struct {
		seq uint64
		err error
	}
	done := make(chan answer, 1)
	go func() {
		seq, err := b.StoreStop(t.Context(), "r1", run.Stop{Source: run.SourceSIGTERM}, 0, "id")
		done <- answer{seq, err}
	}()
	r.start()
	if a := receive(t, "the stop is stored", done); a.err != nil || a.seq != 1 {
		t.Errorf("%d, %v (want 1)", a.seq, a.err)
	}
}

func TestStoreStopEndsWithItsContext(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	b := r.bus()
	r.stop()
	eventually(t, "the loss is noticed", func() bool { return !b.Connected() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.StoreStop(ctx, "r1", run.Stop{Source: run.SourceSIGTERM}, 0, "id"); err == nil {
		t.Error("stored on a server that is gone")
	}
}

// A payload that the stream does not take reaches who listens, bounded; the
// coordinator stores what it heard.
func TestAnOversizeStopIsHeardAndNotStored(t *testing.T) {
	b := newRig(t, "").bus()
	heard := make(chan HeardStop, 1)
	cancel, err := b.ListenStops("", func(_ context.Context, h HeardStop) { heard <- h })
	must(t, err)
	defer cancel()
	must(t, b.nc.Publish("gx1.stop.r1", []byte(strings.Repeat("loud ", 40_000))))
	h := receive(t, "the stop", heard)
	if h.RunID != "r1" || h.Source != run.SourceSubject || len(h.Reason) > run.MaxReasonLen || !strings.HasPrefix(h.Reason, "loud loud") {
		t.Errorf("heard %+v", h)
	}
	if s, err := b.LastStop(t.Context(), "r1"); err != nil || !s.IsZero() {
		t.Errorf("stored: %+v, %v (want none)", s, err)
	}
	_, err = b.StoreStop(t.Context(), h.RunID, run.Stop{Source: h.Source, Reason: h.Reason}, 0, "id")
	must(t, err)
	if s := storedStop(t, b, "r1"); s.Reason != h.Reason {
		t.Errorf("reason %.40q (want %.40q)", s.Reason, h.Reason)
	}
}

// Of listening first and reading the stream after, one has the stop; the
// stream perhaps a moment later, since the server stores beside delivering.
func TestAStopIsHeardOrStored(t *testing.T) {
	r := newRig(t, "")
	a, b := r.bus(), r.bus()
	late := 0
	for i := range 100 {
		id := run.ID(fmt.Sprintf("r%d", i))
		sent := make(chan error, 1)
		go func() {
			err := a.nc.Publish(StopSubject(id), nil)
			sent <- errors.Join(err, a.nc.Flush())
		}()
		heard := make(chan HeardStop, 1)
		cancel, err := b.ListenStops(id, func(_ context.Context, h HeardStop) { heard <- h })
		must(t, err)
		s, err := b.LastStop(t.Context(), id)
		must(t, err)
		must(t, receive(t, "the answer to the publish", sent))
		if s.IsZero() && len(heard) == 0 {
			late++
			eventually(t, "the stop", func() bool {
				s, err := b.LastStop(t.Context(), id)
				must(t, err)
				return !s.IsZero() || len(heard) > 0
			})
		}
		cancel()
	}
	t.Logf("%d of 100 came after the first look", late)
}

func TestListenStopsOfOneAndOfAll(t *testing.T) {
	b := newRig(t, "").bus()
	one, all := make(chan HeardStop, 10), make(chan HeardStop, 10)
	cancelOne, err := b.ListenStops("r1", func(_ context.Context, h HeardStop) { one <- h })
	must(t, err)
	cancelAll, err := b.ListenStops("", func(_ context.Context, h HeardStop) { all <- h })
	must(t, err)
	defer cancelAll()
	for _, subject := range []string{"gx1.stop.r2", "gx1.stop.not~a~run", "gx1.stop.r1"} {
		must(t, b.nc.Publish(subject, nil))
	}
	if h := receive(t, "r1's", one); h.RunID != "r1" {
		t.Errorf("heard %s (want r1)", h.RunID)
	}
	for _, want := range []run.ID{"r2", "r1"} { // a name that is none is passed over
		if h := receive(t, "all", all); h.RunID != want {
			t.Errorf("heard %s (want %s)", h.RunID, want)
		}
	}
	cancelOne()
	must(t, b.nc.Publish("gx1.stop.r1", nil))
	receive(t, "the last", all)
	if len(one) != 0 {
		t.Error("heard after the cancel")
	}
}

// A call that is under way has ended when cancel returns, and knows that it
// should.
func TestListenStopsCancelWaits(t *testing.T) {
	b := newRig(t, "").bus()
	began := make(chan struct{})
	ended := false
	cancel, err := b.ListenStops("r1", func(ctx context.Context, _ HeardStop) {
		close(began)
		<-ctx.Done()
		ended = true
	})
	must(t, err)
	must(t, b.nc.Publish("gx1.stop.r1", nil))
	receive(t, "the call", began)
	cancel()
	if !ended {
		t.Error("cancel did not wait for the call")
	}
}

func TestCleanReason(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"plain":                        "plain",
		" \t spaces \r\n":              "spaces",
		"two\nlines":                   "two lines",
		"\x1b[31mred\x1b[0m":           "[31mred [0m",
		"c1 \u009b31m":                 "c1  31m",
		"line\u2028separator":          "line separator",
		"right\u202eleft":              "right left",
		"bad\xff\xfeutf8":              "badutf8",
		"Schluß – 終わり":                 "Schluß – 終わり",
		"nul\x00":                      "nul",
		"\x7f":                         "",
		strings.Repeat("ä", 300):       strings.Repeat("ä", 250),
		strings.Repeat("loud ", 300):   strings.TrimSpace(strings.Repeat("loud ", 100)),
		"a" + strings.Repeat("ä", 300): "a" + strings.Repeat("ä", 249),
	} {
		if got := cleanReason([]byte(in)); got != want {
			t.Errorf("%q: %q (want %q)", in, got, want)
		}
	}
	law := func(payload []byte) bool {
		s := cleanReason(payload)
		return len(s) <= run.MaxReasonLen && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) && cleanReason([]byte(s)) == s
	}
	if err := quick.Check(law, nil); err != nil {
		t.Error(err)
	}
}

func FuzzCleanReason(f *testing.F) {
	f.Add([]byte("why\x1b[0m"))
	f.Add([]byte(strings.Repeat("é\n", 1200)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s := cleanReason(payload)
		if len(s) > run.MaxReasonLen || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			t.Errorf("%q became %q", payload, s)
		}
		if again := cleanReason([]byte(s)); again != s {
			t.Errorf("%q is cleaned again to %q", s, again)
		}
	})
}

// A cluster that is choosing a leader takes the stop a moment later.
func TestStoreStopOutlastsAnElection(t *testing.T) {
	r := newRig(t, "")
	b := r.bus()
	must(t, b.js.DeleteStream(t.Context(), StreamStop))
	asked, server := 0, r.bus().nc
	_, err := server.Subscribe(StopSubject("r1"), func(m *nats.Msg) {
		answer := `{"stream":"GX1_STOP","seq":7}`
		if asked++; asked < 3 {
			answer = `{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`
		}
		if err := m.Respond([]byte(answer)); err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	must(t, server.Flush())
	seq, err := b.StoreStop(t.Context(), "r1", run.Stop{Source: run.SourceSIGTERM, Reason: "enough"}, 0, "id")
	if err != nil || seq != 7 {
		t.Errorf("sequence %d, %v (want 7)", seq, err)
	}
}
