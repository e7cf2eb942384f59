package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// leftStore is a store with a stream of some messages and a consumer, whose
// server is gone.
func leftStore(t *testing.T) (dir, stream string) {
	t.Helper()
	dir = t.TempDir()
	s := start(t, Config{Dir: dir})
	nc := asRun(t, s)
	st := makeStream(t, nc, "x.*")
	for _, subject := range []string{"x.1", "x.2", "x.3", "x.4"} {
		if _, err := nc.Request(subject, bytes.Repeat([]byte("content "), 100), patience); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	shut(t, s)
	return dir, filepath.Join(dir, "bus", "jetstream", "$G", "streams", "S")
}

// change changes the content of a file.
func change(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flipAt(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at] ^= 0x10
		return b
	}
}

func TestExamine(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, stream string)
		want string // part of what is said; empty: the store is whole
	}{
		"nothing":  {do: func(*testing.T, string) {}},
		"checksum": {func(t *testing.T, s string) { change(t, filepath.Join(s, "meta.sum"), flipAt(3)) }, "meta.inf is damaged"},
		"no meta": {func(t *testing.T, s string) {
			change(t, filepath.Join(s, "meta.inf"), func([]byte) []byte { return nil })
		}, "stream S does not open"},
		"a message": {func(t *testing.T, s string) { change(t, filepath.Join(s, "msgs", "1.blk"), flipAt(1000)) }, "1.blk is damaged"},
		"zeros at the end": {do: func(t *testing.T, s string) {
			change(t, filepath.Join(s, "msgs", "1.blk"), func(b []byte) []byte { return append(b, make([]byte, 100)...) })
		}},
		"half a message at the end": {do: func(t *testing.T, s string) {
			change(t, filepath.Join(s, "msgs", "1.blk"), func(b []byte) []byte { return append(b, b[:300]...) })
		}},
		"zeros within": {func(t *testing.T, s string) {
			change(t, filepath.Join(s, "msgs", "1.blk"), func(b []byte) []byte {
				clear(b[900:1000])
				return b
			})
		}, "1.blk is damaged"},
		"no messages": {func(t *testing.T, s string) {
			if err := os.RemoveAll(filepath.Join(s, "msgs")); err != nil {
				t.Fatal(err)
			}
		}, "msgs"},
		"its index":  {do: func(t *testing.T, s string) { change(t, filepath.Join(s, "msgs", "index.db"), flipAt(5)) }},
		"a consumer": {do: func(t *testing.T, s string) { change(t, filepath.Join(s, "obs", "c", "meta.inf"), flipAt(9)) }},
		"its state": {do: func(t *testing.T, s string) {
			change(t, filepath.Join(s, "obs", "c", "meta.inf"), func([]byte) []byte { return []byte("{") })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, stream := leftStore(t)
			c.do(t, stream)
			s := start(t, Config{Dir: dir, Examine: true})
			got := strings.Join(s.Damage(), "; ")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Fatalf("damage %q (want %q)", got, c.want)
			}
			if c.want == "" {
				if seq := lastSeq(t, makeStream(t, asRun(t, s), "x.*")); seq != 4 {
					t.Errorf("sequence %d (want 4)", seq)
				}
			}
		})
	}
}

// What is not asked for is not done: a server that comes back in the middle of a
// run finds its consumers.
func TestWithoutExamineTheConsumersStay(t *testing.T) {
	dir, _ := leftStore(t)
	s := start(t, Config{Dir: dir})
	st := makeStream(t, asRun(t, s), "x.*")
	if _, err := st.Consumer(t.Context(), "c"); err != nil {
		t.Error(err)
	}
}

func TestSetAside(t *testing.T) {
	dir, _ := leftStore(t)
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.FixedZone("", 3600))
	var paths []string
	for range 2 {
		path, err := SetAside(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		if Store(dir) != "" {
			t.Error("there is still a store")
		}
		s := start(t, Config{Dir: dir, Examine: true})
		makeStream(t, asRun(t, s), "x.*")
		if _, err := SetAside(dir, at); err == nil || !strings.Contains(err.Error(), "is served by another process") {
			t.Errorf("a store that is served is set aside: %v", err)
		}
		shut(t, s)
	}
	want := []string{filepath.Join(dir, "bus.damaged-20261130T110000Z"), filepath.Join(dir, "bus.damaged-20261130T110000Z.2")}
	if !slices.Equal(paths, want) {
		t.Errorf("renamed to %q (want %q)", paths, want)
	}
	if _, err := os.Stat(filepath.Join(paths[0], "jetstream", "$G", "streams", "S", "meta.inf")); err != nil {
		t.Error(err)
	}
}

// The server leaves out a stream whose checksum is wrong, and only its log reports
// that.
func TestFact_ADamagedStreamIsLeftOutSilently(t *testing.T) {
	dir, stream := leftStore(t)
	change(t, filepath.Join(stream, "meta.sum"), flipAt(0))
	var j journal
	s := start(t, Config{Dir: dir, Logger: j.logger(0)})
	js, err := jetstream.New(asRun(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Stream(t.Context(), "S"); err == nil {
		t.Error("the stream is there")
	}
	if !strings.Contains(j.String(), "checksums do not match") {
		t.Errorf("the log has\n%s", j.String())
	}
}

// With its index a server does not look at messages; without, it cuts the block
// off where the first damaged one begins.
func TestFact_ADamagedMessageIsCutOffOrNotSeen(t *testing.T) {
	for _, index := range []bool{true, false} {
		dir, stream := leftStore(t)
		block := filepath.Join(stream, "msgs", "1.blk")
		change(t, block, flipAt(1000))
		before, err := os.Stat(block)
		if err != nil {
			t.Fatal(err)
		}
		if !index {
			if err := os.Remove(filepath.Join(stream, "msgs", "index.db")); err != nil {
				t.Fatal(err)
			}
		}
		s := start(t, Config{Dir: dir})
		st := makeStream(t, asRun(t, s), "x.*")
		after, err := os.Stat(block)
		if err != nil {
			t.Fatal(err)
		}
		if cut := after.Size() < before.Size(); cut == index || (lastSeq(t, st) < 4) != cut {
			t.Errorf("index %v: the block had %d bytes and has %d, last sequence %d", index, before.Size(), after.Size(), lastSeq(t, st))
		}
		shut(t, s)
	}
}

// Blocks are as verifyBlock reads them: with and without headers, deleted and
// replaced messages, purged streams, many blocks.
func TestFact_BlocksAreReadAsTheServerWritesThem(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Dir: dir})
	nc := asRun(t, s)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "LAST", Subjects: []string{"last.*"}, MaxMsgsPerSubject: 1},
		{Name: "QUEUE", Subjects: []string{"queue.*"}, Retention: jetstream.WorkQueuePolicy},
		{Name: "MANY", Subjects: []string{"many.*"}},
	} {
		st, err := js.CreateStream(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		subject := strings.ToLower(cfg.Name)
		for k := range 300 {
			m := nats.NewMsg(subject + "." + strconv.Itoa(k%7))
			m.Data = bytes.Repeat([]byte{byte(k)}, k*k%200_000)
			if k%3 == 0 {
				m.Header.Set("Some", strings.Repeat("header", k))
			}
			if _, err := js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.DeleteMsg(t.Context(), 300); err != nil {
			t.Fatal(err)
		}
		if err := st.SecureDeleteMsg(t.Context(), 299); err != nil {
			t.Fatal(err)
		}
		if cfg.Name == "QUEUE" {
			if err := st.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	nc.Close()
	shut(t, s)
	blocks, err := filepath.Glob(filepath.Join(dir, "bus", streamsDir, "*", "msgs", "*.blk"))
	if err != nil || len(blocks) < 4 {
		t.Fatalf("%d blocks, %v (want some)", len(blocks), err)
	}
	streams, damage, err := prepareStore(filepath.Join(dir, "bus"))
	if err != nil || len(streams) != 3 || len(damage) > 0 {
		t.Errorf("streams %q, damage %q, %v (want three and none)", streams, damage, err)
	}
}

// A block is never read beyond its end, whatever is in it, and one that is as it
// was written is never called damaged for being cut off in its last message.
func FuzzVerifyBlock(f *testing.F) {
	dir, stream := f.TempDir(), "S"
	f.Add([]byte{}, true)
	f.Add(bytes.Repeat([]byte{0}, 100), true)
	f.Add([]byte("\x20\x00\x00\x80aaaaaaaabbbbbbbb\xff\xff"), false)
	f.Fuzz(func(t *testing.T, content []byte, last bool) {
		path := filepath.Join(dir, "1.blk")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := verifyBlock(path, stream, 1, last)
		if err != nil && !errors.Is(err, errDamaged) {
			t.Error(err)
		}
	})
}
