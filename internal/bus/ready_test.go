package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/test/testsize"
)

func TestCheckVersion(t *testing.T) {
	for version, ok := range map[string]bool{
		"2.15.0": true, "2.15.2": true, "2.16.0-beta.1": true, "3.0.0": true, "2.100.1": true,
		"2.14.5": false, "2.9.25": false, "1.20.0": false, "": false, "2.15": false, "x.y.z": false,
	} {
		err := checkVersion(version)
		if (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
		if err != nil && (!errors.Is(err, ErrServerTooOld) || !strings.Contains(err.Error(), LeastServer)) {
			t.Errorf("%q: %v (want both versions)", version, err)
		}
	}
}

// What MakeStreams makes is what CheckStreams wants.
func TestCheckStreamsOfOurOwn(t *testing.T) {
	b := newRig(t, "").bus()
	list, err := b.CheckStreams(t.Context(), 1)
	if err != nil || len(list) > 0 {
		t.Errorf("%v, %v (want no difference)", list, err)
	}
	replicas, harmless, err := b.Ready(t.Context(), 0)
	if replicas != 1 || len(harmless) > 0 || err != nil {
		t.Errorf("%d replicas, %v, %v (want 1 and nothing)", replicas, harmless, err)
	}
}

func TestDifferences(t *testing.T) {
	footers := streamConfigs(1)[2]
	stops := streamConfigs(1)[4]
	for name, c := range map[string]struct {
		want     jetstream.StreamConfig
		change   func(*jetstream.StreamConfig)
		field    string // empty: none
		harmless bool
	}{
		"as it is made":          {footers, func(*jetstream.StreamConfig) {}, "", false},
		"other subjects":         {footers, func(c *jetstream.StreamConfig) { c.Subjects = []string{"gx1.footer.>"} }, "subjects", false},
		"a work queue":           {footers, func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, "retention", false},
		"in memory":              {footers, func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "storage", false},
		"five a subject":         {footers, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 }, "max_msgs_per_subject", false},
		"the last one kept":      {footers, func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard", false},
		"no direct reads":        {footers, func(c *jetstream.StreamConfig) { c.AllowDirect = false }, "allow_direct", false},
		"no deletion":            {footers, func(c *jetstream.StreamConfig) { c.DenyDelete = true }, "deny_delete", false},
		"footers that expire":    {footers, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "max_age", false},
		"room for a gigabyte":    {footers, func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 30 }, "max_bytes", true},
		"tiny messages":          {footers, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }, "max_msg_size", false},
		"large messages":         {footers, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 8 << 20 }, "", false},
		"three copies":           {footers, func(c *jetstream.StreamConfig) { c.Replicas = 3 }, "num_replicas", true},
		"the server's consumers": {footers, func(c *jetstream.StreamConfig) { c.MaxConsumers = 1000 }, "max_consumers", true},
		"a short window":         {footers, func(c *jetstream.StreamConfig) { c.Duplicates = time.Second }, "duplicate_window", true},
		"a description":          {footers, func(c *jetstream.StreamConfig) { c.Description = "ours" }, "", false},
		"no limit of stops":      {stops, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.MaxBytes = -1, -1 }, "", false},
		"stops that are lost":    {stops, func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 }, "max_msgs", false},
	} {
		found := c.want
		c.change(&found)
		list := differences(found, c.want)
		switch {
		case c.field == "" && len(list) > 0:
			t.Errorf("%s: %v (want none)", name, list)
		case c.field != "" && (len(list) != 1 || list[0].Field != c.field || list[0].Harmless != c.harmless):
			t.Errorf("%s: %+v (want one of %s, harmless %v)", name, list, c.field, c.harmless)
		}
	}
}

// A stream of artifacts as earlier versions made it works, is named with what it
// allows and the command that changes it, and is changed by that while it holds
// artifacts.
func TestOldArtifactsCanBeOverwritten(t *testing.T) {
	b := newRig(t, "").bus()
	ctx := t.Context()
	must(t, b.js.DeleteStream(ctx, StreamArtifacts))
	old := streamConfigs(1)[3]
	old.Discard, old.DiscardNewPerSubject = jetstream.DiscardOld, false
	_, err := b.js.CreateStream(ctx, old)
	must(t, err)
	subject := artifactSubject("r1", 1, 7, 0)
	for _, text := range []string{"true", "false"} {
		_, err := b.js.Publish(ctx, subject, []byte(text))
		must(t, err)
	}
	_, list, err := b.Ready(ctx, 0)
	if err != nil || len(list) != 1 || list[0].Field != "discard" || !list[0].Harmless || list[0].Do != "nats stream edit GX1_ARTIFACTS --discard new --discard-per-subject" ||
		!strings.Contains(list[0].String(), "stream GX1_ARTIFACTS: discard is DiscardOld (want DiscardNew, per subject): a worker can overwrite") {
		t.Errorf("%+v, %v (want one difference with what to do)", list, err)
	}
	// What the command does.
	_, err = b.js.UpdateStream(ctx, streamConfigs(1)[3])
	must(t, err)
	if list, err := b.CheckStreams(ctx, 0); err != nil || len(list) > 0 {
		t.Errorf("after it: %v, %v", list, err)
	}
	if _, err := b.js.Publish(ctx, subject, []byte("later")); err == nil {
		t.Error("after it an artifact is still overwritten")
	}
	if n := messages(t, b, StreamArtifacts); n != 1 {
		t.Errorf("after it there are %d artifacts (want the 1 that was there)", n)
	}
}

// A stream that is there with other settings is reported, and left alone.
func TestReadyReportsAndChangesNothing(t *testing.T) {
	b := newRig(t, "").bus()
	s, err := b.js.Stream(t.Context(), StreamFooters)
	must(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxAge, cfg.Description = time.Hour, "mine"
	cfg.Duplicates = time.Minute
	_, err = b.js.UpdateStream(t.Context(), cfg)
	must(t, err)
	must(t, b.js.DeleteStream(t.Context(), StreamArtifacts))

	list, err := b.CheckStreams(t.Context(), 0)
	must(t, err)
	if len(list) != 3 || list[0].Field != "max_age" || !list[1].Harmless || list[2].Stream != StreamArtifacts || list[2].Field != "" {
		t.Errorf("%v (want max_age, duplicate_window, and a stream that is not there)", list)
	}
	_, _, err = b.Ready(t.Context(), 0)
	var unfit *UnsuitableError
	if !errors.As(err, &unfit) || !strings.Contains(err.Error(), "stream GX1_FOOTERS: max_age is 1h0m0s (want none)") {
		t.Errorf("error %v (want one that names the stream, the setting and both values)", err)
	}
	s, err = b.js.Stream(t.Context(), StreamFooters)
	must(t, err)
	if got := s.CachedInfo().Config; got.MaxAge != time.Hour || got.Description != "mine" {
		t.Errorf("the stream was changed: max_age %v, %q", got.MaxAge, got.Description)
	}
	if _, err := b.js.Stream(t.Context(), StreamArtifacts); err != nil {
		t.Errorf("what was missing is not made: %v", err)
	}
}

func TestReplicas(t *testing.T) {
	testsize.All(t)
	single := newRig(t, "").bus()
	if n := single.DefaultReplicas(); n != 1 {
		t.Errorf("%d replicas on one server (want 1)", n)
	}
	must(t, single.js.DeleteStream(t.Context(), StreamStop))
	var unfit *UnsuitableError
	if _, _, err := single.Ready(t.Context(), 3); !errors.As(err, &unfit) || !strings.Contains(err.Error(), "--replicas") {
		t.Errorf("three replicas on one server: %v", err)
	}

	b := clusterOfThree(t)
	replicas, harmless, err := b.Ready(t.Context(), 0)
	if replicas != 3 || len(harmless) > 0 || err != nil {
		t.Fatalf("%d replicas, %v, %v (want 3)", replicas, harmless, err)
	}
	if list, err := b.CheckStreams(t.Context(), 3); err != nil || len(list) > 0 {
		t.Errorf("%v, %v (want all with three replicas)", list, err)
	}
	// The second finds them, and one that wants another number is told so.
	if _, harmless, err = b.Ready(t.Context(), 1); err != nil || len(harmless) != len(wantedStreams(1)) || harmless[0].Field != "num_replicas" {
		t.Errorf("%v, %v (want num_replicas of every stream)", harmless, err)
	}
	if _, _, err := b.Ready(t.Context(), 5); err != nil {
		t.Errorf("streams that are there: %v", err)
	}
}

// clusterOfThree is a connection to a JetStream cluster of three servers.
func clusterOfThree(t *testing.T) *Bus {
	t.Helper()
	var routes []*url.URL
	listen := make([]int, 3)
	for i := range listen {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		listen[i] = l.Addr().(*net.TCPAddr).Port
		u, err := url.Parse("nats://127.0.0.1:" + strconv.Itoa(listen[i]))
		must(t, err)
		routes = append(routes, u)
		must(t, l.Close())
	}
	var servers []*server.Server
	for i, port := range listen {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("n%d", i+1), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		must(t, err)
		s.Start()
		servers = append(servers, s)
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
	}
	eventually(t, "the cluster's leader", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(servers) {
				return true
			}
		}
		return false
	})
	b, err := Connect(context.Background(), Config{Access: Access{URL: servers[0].ClientURL()}, Name: "test"})
	must(t, err)
	t.Cleanup(b.Close)
	eventually(t, "that the client knows all servers", func() bool { return b.DefaultReplicas() == 3 })
	return b
}
