package bus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

func TestManifestIsStoredByCompareAndSet(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 4)
	if _, _, err := b.Manifest(t.Context(), m.RunID); !errors.Is(err, ErrNoRun) {
		t.Errorf("before the first: %v (want ErrNoRun)", err)
	}
	first, err := b.StoreManifest(t.Context(), m, 0)
	must(t, err)
	for _, expect := range []uint64{0, first + 1} {
		if _, err := b.StoreManifest(t.Context(), m, expect); !errors.Is(err, ErrConflict) {
			t.Errorf("expect %d: %v (want ErrConflict)", expect, err)
		}
	}
	// Another run's write does not disturb.
	_, err = b.StoreManifest(t.Context(), testManifest("r2", 1), 0)
	must(t, err)
	m.Session, m.State, m.StopSeq = 2, run.StateStopped, 17
	second, err := b.StoreManifest(t.Context(), m, first)
	must(t, err)
	got, rev, err := b.Manifest(t.Context(), m.RunID)
	must(t, err)
	if rev != second || got.Session != 2 || got.State != run.StateStopped || got.StopSeq != 17 || got.Plan != m.Plan {
		t.Errorf("%+v at %d (want %+v at %d)", got, rev, m, second)
	}
}

// putKey stores raw bytes in the bucket of runs.
func putKey(t *testing.T, b *Bus, key string, value []byte) uint64 {
	t.Helper()
	kv, err := b.runsBucket(t.Context())
	must(t, err)
	rev, err := kv.Put(t.Context(), key, value)
	must(t, err)
	return rev
}

func TestManifestsPassesGarbageOver(t *testing.T) {
	b := newRig(t, "").bus()
	list, err := b.Manifests(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("an empty bucket: %v, %v", list, err)
	}
	good := encode(t, testManifest("good", 2))
	_, err = b.StoreManifest(t.Context(), testManifest("also_good", 1), 0)
	must(t, err)
	putKey(t, b, "good", good)
	bad := testManifest("bad", 2)
	bad.Session = 0
	for key, value := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "truncated": good[:len(good)/2], "follows": append(slices.Clone(good), 0),
		"null": {0xc0}, "list": {0xdd, 0xff, 0xff, 0xff, 0xff}, "oversize": make([]byte, 300<<10),
		"another": good, "bad": encode(t, bad), "dotted.key": good, "slash/key": good, "equals=key": good,
	} {
		rev := putKey(t, b, key, value)
		id, err := run.ParseID(key)
		if err != nil {
			continue
		}
		_, _, err = b.Manifest(t.Context(), id)
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Seq != rev || !strings.HasSuffix(refused.Subject, key) {
			t.Errorf("%s: %v (want a RefusedError with %d)", key, err, rev)
		}
	}
	kv, err := b.runsBucket(t.Context())
	must(t, err)
	putKey(t, b, "deleted", encode(t, testManifest("deleted", 1)))
	must(t, kv.Delete(t.Context(), "deleted"))
	if _, _, err := b.Manifest(t.Context(), "deleted"); !errors.Is(err, ErrNoRun) {
		t.Errorf("a deleted one: %v (want ErrNoRun)", err)
	}

	if list, err = b.Manifests(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range list {
		ids = append(ids, string(m.RunID))
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"also_good", "good"}) {
		t.Errorf("runs %v (want also_good and good)", ids)
	}
}

// A worker ends what it works on when its run is not in the list, so a run
// whose manifest could not be read just now must not be left out silently.
func TestManifestsLeavesNoRunOutForWantOfAnAnswer(t *testing.T) {
	testsize.All(t)
	srv := natsserver.Start(t, &server.Options{ServerName: "test", DontListen: true, JetStream: true, StoreDir: t.TempDir()})
	b, err := Connect(t.Context(), Config{InProcess: srv})
	must(t, err)
	defer b.Close()
	must(t, b.MakeStreams(t.Context(), 1))
	for _, id := range []run.ID{"good", "other"} {
		_, err = b.StoreManifest(t.Context(), testManifest(id, 1), 0)
		must(t, err)
	}
	// Whoever asks for the list is led to where nobody answers.
	must(t, srv.GlobalAccount().AddMapping("$JS.API.DIRECT.GET.KV_GX1_RUNS", "nobody"))
	b.Close()
	if b, err = Connect(t.Context(), Config{InProcess: srv}); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if list, err := b.Manifests(t.Context()); err == nil {
		t.Errorf("%d runs and no error (want one: a manifest could not be read)", len(list))
	}
}

// A bus may have thousands of runs, and be far away: each request costs the way
// there and back.
func TestManyManifestsTakeFewRequests(t *testing.T) {
	testsize.All(t)
	b := newRig(t, "").bus()
	const runs = 3200
	for i := range runs {
		_, err := b.StoreManifest(t.Context(), testManifest(run.ID(fmt.Sprint("r", i)), 1), 0)
		must(t, err)
	}
	var asked atomic.Int32
	_, err := b.nc.Subscribe("$JS.API.DIRECT.GET.KV_"+BucketRuns, func(*nats.Msg) { asked.Add(1) })
	must(t, err)
	must(t, b.nc.Flush())
	list, err := b.ManifestsSince(t.Context(), 0)
	must(t, err)
	must(t, b.nc.Flush())
	if len(list) != runs {
		t.Errorf("%d runs are listed, want %d", len(list), runs)
	}
	if n := asked.Load(); n < 1 || n > 5 {
		t.Errorf("it took %d requests, want 5 at most", n)
	}
}

// A list that is long in coming is read to its end: else a worker far away would
// never have it.
func TestManifestsThatComeSlowly(t *testing.T) {
	testsize.All(t)
	const between, runs = requestTimeout * 2 / 3, 2
	srv := natsserver.Start(t, &server.Options{ServerName: "test", DontListen: true, JetStream: true, StoreDir: t.TempDir()})
	must(t, srv.GlobalAccount().AddMapping("$JS.API.DIRECT.GET.KV_GX1_RUNS", "slow"))
	b, err := Connect(t.Context(), Config{InProcess: srv})
	must(t, err)
	defer b.Close()
	_, err = b.nc.Subscribe("slow", func(m *nats.Msg) {
		for i := range runs {
			<-time.After(between)
			id := fmt.Sprint("r", i)
			answer := nats.NewMsg(m.Reply)
			answer.Data = encode(t, testManifest(run.ID(id), 1))
			answer.Header.Set(jetstream.SubjectHeader, runsPrefix+id)
			answer.Header.Set(jetstream.SequenceHeader, fmt.Sprint(i+1))
			answer.Header.Set(jetstream.TimeStampHeaer, time.Now().UTC().Format(time.RFC3339Nano))
			if err := m.RespondMsg(answer); err != nil {
				t.Error(err)
			}
		}
		end := nats.NewMsg(m.Reply)
		end.Header.Set("Status", "204")
		end.Header.Set(headerPending, "0")
		if err := m.RespondMsg(end); err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	for name, read := range map[string]func() ([]StoredManifest, error){
		"all":   func() ([]StoredManifest, error) { return b.Manifests(t.Context()) },
		"since": func() ([]StoredManifest, error) { return b.ManifestsSince(t.Context(), 0) },
	} {
		if list, err := read(); err != nil || len(list) != runs {
			t.Errorf("%s: %d runs, %v (want %d)", name, len(list), err, runs)
		}
	}
}

func TestListenRuns(t *testing.T) {
	b := newRig(t, "").bus()
	changed := make(chan run.ID, 10)
	cancel, err := b.ListenRuns(func(id run.ID, m *run.Manifest) { changed <- id })
	must(t, err)
	must(t, b.nc.Flush())
	putKey(t, b, "no.run", nil)
	rev, err := b.StoreManifest(t.Context(), testManifest("r1", 1), 0)
	must(t, err)
	if id := receive(t, "a change", changed); id != "r1" {
		t.Errorf("%s changed (want r1)", id)
	}
	cancel()
	_, err = b.StoreManifest(t.Context(), testManifest("r1", 1), rev)
	must(t, err)
	must(t, b.nc.Flush())
	if len(changed) != 0 {
		t.Error("heard after the cancel")
	}
}

func TestObjects(t *testing.T) {
	b := newRig(t, "").bus()
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i * i >> 8)
	}
	for name, data := range map[string][]byte{"small": []byte("x"), "big": big, "empty": {}, "slice.with.dots": []byte("y")} {
		if there, err := b.HasObject(t.Context(), name); there || err != nil {
			t.Errorf("%s before: %v, %v", name, there, err)
		}
		if _, err := b.GetObject(t.Context(), name, 1<<30); !errors.Is(err, ErrNoObject) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s before: %v (want ErrNoObject and the name)", name, err)
		}
		for range 2 { // again is fine
			must(t, b.PutObject(t.Context(), name, data))
		}
		if there, err := b.HasObject(t.Context(), name); !there || err != nil {
			t.Errorf("%s: %v, %v", name, there, err)
		}
		got, err := b.GetObject(t.Context(), name, int64(len(data)))
		if err != nil || !slices.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v (want %d)", name, len(got), err, len(data))
		}
		if len(data) > 0 {
			if _, err := b.GetObject(t.Context(), name, int64(len(data))-1); err == nil || !strings.Contains(err.Error(), "more than") {
				t.Errorf("%s: above the limit: %v", name, err)
			}
		}
	}
}

// A chunk of an object that was changed on the server's disk, or by another
// client, does not get through.
func TestADamagedObjectIsAnError(t *testing.T) {
	b := newRig(t, "").bus()
	must(t, b.PutObject(t.Context(), "o", []byte("what was stored")))
	s, err := b.js.Stream(t.Context(), "OBJ_"+StoreData)
	must(t, err)
	store, err := b.dataStore(t.Context())
	must(t, err)
	info, err := store.GetInfo(t.Context(), "o")
	must(t, err)
	subject := "$O." + StoreData + ".C." + info.NUID
	must(t, s.Purge(t.Context(), jetstream.WithPurgeSubject(subject)))
	_, err = b.js.Publish(t.Context(), subject, []byte("what was st0red"))
	must(t, err)
	if data, err := b.GetObject(t.Context(), "o", 1<<20); err == nil {
		t.Errorf("got %q", data)
	}
}
