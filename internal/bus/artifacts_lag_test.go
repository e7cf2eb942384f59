package bus

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"gx1replay/test/natsserver"
)

// A copy of the stream that does not have a part says nothing of the artifact;
// what the leader tells of the stream does.
func TestAPartThatACopyLacks(t *testing.T) {
	subject := artifactSubject("r1", 0, 7, 0)
	stream := func(replicas int, subjects map[string]int) map[string]any {
		return map[string]any{
			"config": map[string]any{"name": StreamArtifacts, "num_replicas": replicas, "allow_direct": true},
			"state":  map[string]any{"subjects": subjects},
		}
	}
	choosing := map[string]any{"error": map[string]any{"code": 503, "err_code": 10008}}
	for _, c := range []struct {
		name      string
		seen, led map[string]any // what the leader says of the stream, and of the part
		want      error          // nil: any that is neither
		transient bool
	}{
		{"it is there", stream(3, nil), stream(3, map[string]int{subject: 1}), ErrLags, true},
		{"it does not exist", stream(3, nil), stream(3, nil), ErrNoArtifact, false},
		{"there is no leader", stream(3, nil), choosing, nil, true},
		{"there are no other copies", stream(1, nil), nil, ErrNoArtifact, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := withLeader(t, func(filtered bool) map[string]any {
				if filtered {
					return c.led
				}
				return c.seen
			})
			_, err := b.Artifact(t.Context(), testRun("r1"), 0, 7, 0, 1, 1)
			if Transient(err) != c.transient {
				t.Errorf("%v: transient is %v", err, !c.transient)
			}
			for _, one := range []error{ErrLags, ErrNoArtifact} {
				if errors.Is(err, one) != (one == c.want) {
					t.Errorf("%v (want %v)", err, c.want)
				}
			}
		})
	}
}

// withLeader is a bus whose stream of artifacts is empty where it is read, and
// of which somebody else tells.
func withLeader(t *testing.T, tell func(filtered bool) map[string]any) *Bus {
	t.Helper()
	srv := natsserver.Start(t, &server.Options{ServerName: "test", DontListen: true, JetStream: true, StoreDir: t.TempDir()})
	first, err := Connect(t.Context(), Config{InProcess: srv})
	must(t, err)
	t.Cleanup(first.Close)
	must(t, first.MakeStreams(t.Context(), 1))
	_, err = first.nc.Subscribe("leader", func(m *nats.Msg) {
		var asked struct {
			Filter string `json:"subjects_filter"`
		}
		if len(m.Data) > 0 {
			if err := json.Unmarshal(m.Data, &asked); err != nil {
				t.Error(err)
			}
		}
		answer, err := json.Marshal(tell(asked.Filter != ""))
		if err == nil {
			err = m.Respond(answer)
		}
		if err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	must(t, first.nc.Flush())
	must(t, srv.GlobalAccount().AddMapping("$JS.API.STREAM.INFO."+StreamArtifacts, "leader"))
	b, err := Connect(t.Context(), Config{InProcess: srv})
	must(t, err)
	t.Cleanup(b.Close)
	return b
}
