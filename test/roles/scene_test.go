package roles

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/test/jwtbus"
	"gx1replay/test/keybus"
)

// target is a bus under attack.
type target struct {
	// servers are those whose load can be looked at.
	servers []*server.Server
	url     string
	// connect connects the user of a role, and root one who may do everything in
	// the main account, to server i.
	connect func(i int, r access.Role) *nats.Conn
	root    func(i int) *nats.Conn
	// rootOptions log that user in.
	rootOptions []nats.Option
	public      map[access.Role]string
}

func keyTarget(t *testing.T, cfg keybus.Config) *target {
	k := keybus.Start(t, cfg)
	g := &target{servers: k.Servers, url: k.URL(0), root: k.ConnectRoot, rootOptions: []nats.Option{k.Root()}, public: map[access.Role]string{}}
	g.connect = func(i int, r access.Role) *nats.Conn { return k.Connect(i, r, quiet) }
	for _, r := range access.Roles() {
		g.public[r] = k.Public(r)
	}
	return g
}

func jwtTarget(t *testing.T, way jwtbus.Way) *target {
	b := jwtbus.Start(t, way)
	g := &target{servers: []*server.Server{b.Server}, url: b.URL, public: map[access.Role]string{}}
	creds := map[access.Role]string{}
	for _, r := range access.Roles() {
		g.public[r], creds[r] = b.User(r)
	}
	g.connect = func(_ int, r access.Role) *nats.Conn {
		return g.dial(t, nats.UserCredentials(creds[r]), nats.CustomInboxPrefix(access.Inbox(g.public[r])))
	}
	root := b.Root()
	g.rootOptions = []nats.Option{nats.UserCredentials(root)}
	g.root = func(int) *nats.Conn { return g.dial(t, g.rootOptions...) }
	return g
}

// quiet does not print refusals: they are what is wanted.
func quiet(o *nats.Options) error {
	return nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})(o)
}

// embeddedTarget is the embedded server as other hosts reach it.
func embeddedTarget(t *testing.T) *target {
	s := startEmbedded(t)
	g := &target{url: s.url, public: map[access.Role]string{}}
	for r, u := range s.users {
		g.public[r] = u.public
	}
	g.connect = func(_ int, r access.Role) *nats.Conn {
		return g.dial(t, s.users[r].key, nats.CustomInboxPrefix(access.Inbox(g.public[r])))
	}
	g.rootOptions = []nats.Option{s.users[access.Coordinator].key}
	g.root = func(int) *nats.Conn { return g.dial(t, g.rootOptions...) }
	return g
}

func (g *target) dial(t *testing.T, opts ...nats.Option) *nats.Conn {
	nc, err := nats.Connect(g.url, append(opts, quiet)...)
	must(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// seed is a message that is stored before the attack.
type seed struct{ stream, subject string }

func seeds() []seed {
	return []seed{
		{"GX1_TASKS", "gx1.task." + victim + ".0"}, {"GX1_TASKS", "gx1.task." + own + ".0"},
		{"GX1_PROGRESS", "gx1.progress." + victim + ".0"}, {"GX1_FOOTERS", "gx1.footer." + victim + ".0"},
		{"GX1_ARTIFACTS", "gx1.artifact." + victim + ".0.1.0"}, {"GX1_STOP", "gx1.stop.earlier"},
		{"KV_GX1_RUNS", "$KV.GX1_RUNS." + victim}, {"OBJ_GX1_DATA", "$O.GX1_DATA.C.victim"}, {"OBJ_GX1_DATA", "$O.GX1_DATA.M.victim"},
		{"GX1_NOTES", access.Note(victim, "UOTHER")},
	}
}

// scene is a target with streams, a victim, and a spy in the main account.
type scene struct {
	*target
	t    *testing.T
	nc   *nats.Conn // root
	js   jetstream.JetStream
	spy  *nats.Subscription
	task string // the reply subject of a task of run own
}

func newScene(t *testing.T, g *target) *scene {
	t.Helper()
	s := &scene{target: g, t: t, nc: g.root(0)}
	var err error
	s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(patience))
	must(t, err)
	s.makeStreams()
	for _, x := range seeds() {
		_, err := s.js.Publish(t.Context(), x.subject, []byte(x.subject))
		must(t, err)
	}
	for _, id := range []string{victim, own} {
		_, err := s.js.CreateConsumer(t.Context(), "GX1_TASKS", jetstream.ConsumerConfig{
			Durable: id + "_s1", FilterSubject: "gx1.task." + id + ".*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour, MaxDeliver: -1,
		})
		must(t, err)
	}
	c, err := s.js.Consumer(t.Context(), "GX1_TASKS", own+"_s1")
	must(t, err)
	m, err := c.Next(jetstream.FetchMaxWait(patience))
	must(t, err)
	s.task = m.Reply()
	s.spy, err = s.nc.SubscribeSync(">")
	must(t, err)
	must(t, s.spy.SetPendingLimits(-1, -1))
	must(t, s.nc.FlushTimeout(patience))
	return s
}

// makeStreams makes the streams of the product.
func (s *scene) makeStreams() {
	s.t.Helper()
	b, err := bus.Connect(s.t.Context(), bus.Config{Access: bus.Access{URL: s.url}, Name: "root", Options: s.rootOptions})
	must(s.t, err)
	defer b.Close()
	s.until("the streams are made", func() bool { // a new cluster may not know its servers yet
		err = b.MakeStreams(s.t.Context(), max(1, len(s.servers)))
		return err == nil || !bus.Transient(err)
	})
	must(s.t, err)
	_, err = s.js.CreateStream(s.t.Context(), jetstream.StreamConfig{Name: "GX1_NOTES", Subjects: []string{"gx1.note.*.*"}, MaxMsgsPerSubject: 1, AllowDirect: true, Replicas: max(1, len(s.servers))})
	if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		must(s.t, err)
	}
}

// settle returns when the servers have no request of role r left. What they have
// answered is on its way to the spy before anything that is published now.
func (s *scene) settle(r access.Role) {
	s.t.Helper()
	s.until("the servers are idle", func() bool {
		for _, srv := range s.servers {
			stats, err := srv.Jsz(nil)
			must(s.t, err)
			if stats.API.Inflight > 0 {
				return false
			}
		}
		return true
	})
	if len(s.servers) == 0 {
		s.answered(r) // after all that was asked before
	}
}

func (s *scene) until(what string, f func() bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !f(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("it never came: %s", what)
		}
	}
}

// heard is what the spy has heard so far, by subject.
func (s *scene) heard() map[string]int {
	s.t.Helper()
	must(s.t, s.nc.FlushTimeout(patience))
	got := map[string]int{}
	for n, _, _ := s.spy.Pending(); n > 0; n-- {
		m, err := s.spy.NextMsg(patience)
		must(s.t, err)
		got[m.Subject]++
	}
	return got
}

// state describes every stream, consumer and message but those of run own.
func (s *scene) state() []string {
	s.t.Helper()
	var list []string
	streams := s.js.ListStreams(s.t.Context())
	for info := range streams.Info() {
		list = append(list, fmt.Sprintf("stream %s %+v", info.Config.Name, info.Config))
	}
	must(s.t, streams.Err())
	for _, line := range slices.Clone(list) {
		name := strings.Fields(line)[1]
		stream, err := s.js.Stream(s.t.Context(), name)
		must(s.t, err)
		consumers := stream.ListConsumers(s.t.Context())
		for info := range consumers.Info() {
			list = append(list, fmt.Sprintf("consumer %s %s %s", name, info.Name, info.Config.FilterSubject))
		}
		must(s.t, consumers.Err())
		info, err := stream.Info(s.t.Context(), jetstream.WithSubjectFilter(">"))
		must(s.t, err)
		for subject := range info.State.Subjects {
			if strings.Contains(subject, "."+own+".") || strings.HasSuffix(subject, "."+own) {
				continue
			}
			m, err := stream.GetLastMsgForSubject(s.t.Context(), subject)
			must(s.t, err)
			list = append(list, fmt.Sprintf("message %s %d %s %v %q", name, m.Sequence, subject, m.Header, m.Data))
		}
	}
	slices.Sort(list)
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
