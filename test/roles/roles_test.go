package roles

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/test/jwtbus"
	"gx1replay/test/keybus"
	"gx1replay/test/testsize"
)

// someone is a connection of a role, and what the server refused it.
type someone struct {
	nc     *nats.Conn
	public string

	refused chan string
	seen    []string
	asked   int
}

// violations are the refusals since the last call. They come one after the
// other, beside the answers: one that is sure to come last says that there are
// no more.
func (s *someone) violations(t *testing.T) []string {
	t.Helper()
	s.asked++
	last := fmt.Sprintf("never.allowed.%d", s.asked)
	if err := errors.Join(s.nc.Publish(last, nil), s.nc.FlushTimeout(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); ; {
		select {
		case text := <-s.refused:
			if strings.Contains(text, last) {
				list := s.seen
				s.seen = nil
				return list
			}
			s.seen = append(s.seen, text)
		case <-deadline:
			t.Fatalf("the refusal of %s never came", last)
		}
	}
}

type roleServer struct {
	url   string
	users map[access.Role]user
	// unlimited: the coordinator's user may do everything.
	unlimited bool
}

// user is one of the server's. What it connects by is an option, or a file of
// credentials.
type user struct {
	public string
	key    nats.Option
	creds  string
}

// servers are the ways to make a server with a user of each role.
func servers() map[string]func(*testing.T) *roleServer {
	return map[string]func(*testing.T) *roleServer{
		"nkeys":               startNkeys,
		"JWTs of users":       func(t *testing.T) *roleServer { return startJWT(t, jwtbus.InUsers) },
		"JWTs by scoped keys": func(t *testing.T) *roleServer { return startJWT(t, jwtbus.InSigningKeys) },
		"embedded":            startEmbedded,
	}
}

func startJWT(t *testing.T, way jwtbus.Way) *roleServer {
	t.Helper()
	b := jwtbus.Start(t, way)
	s := &roleServer{url: b.URL, users: map[access.Role]user{}}
	for _, r := range access.Roles() {
		public, creds := b.User(r)
		s.users[r] = user{public: public, key: nats.UserCredentials(creds), creds: creds}
	}
	return s.ready(t)
}

// ready makes the streams.
func (s *roleServer) ready(t *testing.T) *roleServer {
	t.Helper()
	if _, _, err := s.bus(t, access.Coordinator).Ready(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	return s
}

// startNkeys starts a server as auth init configures it.
func startNkeys(t *testing.T) *roleServer {
	t.Helper()
	k := keybus.Start(t, keybus.Config{})
	s := &roleServer{url: k.URL(0), users: map[access.Role]user{}}
	for _, r := range access.Roles() {
		s.users[r] = user{public: k.Public(r), key: k.Key(r)}
	}
	return s.ready(t)
}

func newUser(t *testing.T) user {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return user{public: public, key: nats.Nkey(public, pair.Sign)}
}

// bus is the product's own connection.
func (s *roleServer) bus(t *testing.T, r access.Role) *bus.Bus {
	t.Helper()
	u := s.users[r]
	cfg := bus.Config{Access: bus.Access{URL: s.url, Creds: u.creds}, Name: string(r)}
	if u.creds == "" {
		cfg.Options = []nats.Option{u.key}
	}
	b, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// connect is a plain connection, for what the product never does.
func (s *roleServer) connect(t *testing.T, r access.Role) *someone {
	t.Helper()
	u := s.users[r]
	w := &someone{public: u.public, refused: make(chan string, 100)}
	nc, err := nats.Connect(s.url, u.key, nats.CustomInboxPrefix(access.Inbox(u.public)), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		w.refused <- err.Error()
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	w.nc = nc
	return w
}

// deed is something that a user may try.
type deed struct {
	name string
	do   func(*someone) error
	may  []access.Role
}

func publish(subject, data string) func(*someone) error {
	return func(s *someone) error { return s.nc.PublishRequest(subject, s.nc.NewInbox(), []byte(data)) }
}

func subscribe(subject string) func(*someone) error {
	return func(s *someone) error {
		sub, err := s.nc.SubscribeSync(subject)
		if err != nil {
			return err
		}
		if err := s.nc.Flush(); err != nil {
			return err
		}
		return sub.Unsubscribe()
	}
}

func deeds() []deed {
	const (
		lead, work, operate, see = access.Coordinator, access.Worker, access.Operator, access.Observer
	)
	all := access.Roles()
	consumer := func(stream, name, more string) string {
		return fmt.Sprintf(`{"stream_name":%q,"config":{"name":%q,"ack_policy":"none"%s}}`, stream, name, more)
	}
	return []deed{
		{"publish a task", publish("gx1.task.r1.0", "x"), []access.Role{lead}},
		{"publish a stop", publish("gx1.stop.r1", "x"), []access.Role{lead, operate}},
		{"store a lease record", publish("gx1.progress.r1.0", "x"), []access.Role{lead, work}},
		{"store a footer", publish("gx1.footer.r1.0", "x"), []access.Role{lead, work}},
		{"store an artifact", publish("gx1.artifact.r1.0.1.0", "x"), []access.Role{lead, work}},
		{"write a manifest", publish("$KV.GX1_RUNS.r1", "x"), []access.Role{lead}},
		{"write an object's content", publish("$O.GX1_DATA.C.x", "x"), []access.Role{lead}},
		{"write an object's name", publish("$O.GX1_DATA.M.x", "x"), []access.Role{lead}},
		{"take a task", publish("$JS.API.CONSUMER.MSG.NEXT.GX1_TASKS.r1_s1", `{"batch":1,"no_wait":true}`), []access.Role{lead, work}},
		{"acknowledge a task", publish("$JS.ACK.GX1_TASKS.r1_s1.1.1.1.1.0", "+ACK"), []access.Role{lead, work}},
		{"read a manifest", publish("$JS.API.DIRECT.GET.KV_GX1_RUNS.$KV.GX1_RUNS.r1", ""), all},
		{"read footers", publish("$JS.API.DIRECT.GET.GX1_FOOTERS", `{"seq":1}`), all},
		{"read tasks", publish("$JS.API.DIRECT.GET.GX1_TASKS", `{"seq":1}`), nil},
		{"purge manifests", publish("$JS.API.STREAM.PURGE.KV_GX1_RUNS", ""), nil},
		{"ask who is connected", publish(access.Connections, ""), []access.Role{lead}},
		{"ask about the account", publish("$JS.API.INFO", ""), []access.Role{lead, operate, see}},
		{"ask about the stream of tasks", publish("$JS.API.STREAM.INFO.GX1_TASKS", ""), all},
		{"purge a stream", publish("$JS.API.STREAM.PURGE.GX1_TASKS", ""), []access.Role{lead}},
		{"delete a footer", publish("$JS.API.STREAM.MSG.DELETE.GX1_FOOTERS", `{"seq":99}`), []access.Role{lead}},
		{"delete a lease record", publish("$JS.API.STREAM.MSG.DELETE.GX1_PROGRESS", `{"seq":99}`), nil},
		{"delete a stream", publish("$JS.API.STREAM.DELETE.GX1_FOOTERS", ""), nil},
		{"change a stream", publish("$JS.API.STREAM.UPDATE.GX1_FOOTERS", "{}"), nil},
		{"make a stream that is not ours", publish("$JS.API.STREAM.CREATE.OTHER", `{"name":"OTHER","subjects":["other"]}`), nil},
		{"make a consumer of tasks", publish("$JS.API.CONSUMER.CREATE.GX1_TASKS.x.gx1.task.r9.*", consumer("GX1_TASKS", "x", `,"filter_subject":"gx1.task.r9.*"`)), []access.Role{lead}},
		{"delete a consumer of tasks", publish("$JS.API.CONSUMER.DELETE.GX1_TASKS.r9_s1", ""), []access.Role{lead}},
		{"have the server publish a stop", publish("$JS.API.CONSUMER.CREATE.GX1_STOP.x", consumer("GX1_STOP", "x", `,"deliver_subject":"gx1.stop.victim"`)), nil},
		{"have it publish a stop from records", publish("$JS.API.CONSUMER.CREATE.GX1_PROGRESS.x", consumer("GX1_PROGRESS", "x", `,"deliver_subject":"gx1.stop.victim"`)), []access.Role{lead}},
		{"make a consumer of objects", publish("$JS.API.CONSUMER.CREATE.OBJ_GX1_DATA.x", consumer("OBJ_GX1_DATA", "x", "")), nil},
		{"listen to stops", subscribe("gx1.stop.*"), all},
		{"listen to manifests", subscribe("$KV.GX1_RUNS.>"), all},
		{"listen to lease records", subscribe("gx1.progress.*.*"), []access.Role{lead}},
		{"listen to footers", subscribe("gx1.footer.*.*"), []access.Role{lead}},
		{"listen to wakes", subscribe("gx1.wake.*"), []access.Role{lead, work}},
		{"wake workers", publish("gx1.wake.r1", ""), []access.Role{lead}},
		{"store its own note", func(s *someone) error { return publish(access.Note("r1", s.public), "x")(s) }, []access.Role{lead, work}},
		{"store another's note", publish(access.Note("r1", "UOTHER"), "x"), []access.Role{lead}},
		{"read notes", publish("$JS.API.DIRECT.GET.GX1_NOTES", `{"seq":1}`), all},
		{"listen to tasks", subscribe("gx1.task.*.*"), nil},
		{"listen to everything", subscribe(">"), nil},
		{"listen to all that is ours", subscribe("gx1.>"), nil},
		{"listen to requests", subscribe("$JS.API.>"), nil},
		{"listen to all answers", subscribe("_INBOX.>"), nil},
		{"listen to our answers", subscribe("_INBOX_GX1.>"), nil},
	}
}

// Each role does what it may, and is refused what it may not.
func TestRoles(t *testing.T) {
	for kind, start := range servers() {
		t.Run(kind, func(t *testing.T) {
			testRoles(t, start(t))
		})
	}
}

func testRoles(t *testing.T, s *roleServer) {
	for _, r := range access.Roles() {
		if r == access.Coordinator && s.unlimited {
			continue
		}
		t.Run(string(r), func(t *testing.T) {
			w := s.connect(t, r)
			list := deeds()
			for _, other := range access.Roles() {
				if other != r {
					inbox := access.Inbox(s.users[other].public)
					list = append(list, deed{"listen to answers for the " + string(other), subscribe(inbox + ".>"), nil},
						deed{"answer the " + string(other), publish(inbox+".x", ""), nil})
				}
			}
			for _, d := range list {
				if err := d.do(w); err != nil {
					t.Fatalf("%s: %v", d.name, err)
				}
				refused := w.violations(t)
				if may := slices.Contains(d.may, r); may != (len(refused) == 0) {
					t.Errorf("a %s may %s: %v, refused %v", r, d.name, may, refused)
				}
			}
		})
	}
}

// A user is told before it tries what it lacks.
func TestRequire(t *testing.T) {
	for kind, start := range servers() {
		t.Run(kind, func(t *testing.T) {
			testRequire(t, start(t))
		})
	}
}

func testRequire(t *testing.T, s *roleServer) {
	for have, want := range map[access.Role][]access.Role{
		access.Coordinator: access.Roles(),
		access.Worker:      {access.Worker},
		access.Operator:    {access.Operator, access.Observer},
		access.Observer:    {access.Observer},
	} {
		b := s.bus(t, have)
		for _, role := range access.Roles() {
			begun := time.Now()
			err := b.Require(t.Context(), role)
			var unfit *bus.UnsuitableError
			if ok := slices.Contains(want, role); ok != (err == nil) || err != nil && !errors.As(err, &unfit) {
				t.Errorf("a %s as %s: %v (want that it may: %v)", have, role, err, ok)
			}
			if err != nil && (!strings.Contains(err.Error(), "lacks the role "+string(role)) || !strings.Contains(err.Error(), "may not")) {
				t.Errorf("a %s as %s: %v (want what it may not)", have, role, err)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("a %s as %s: it took %v to say so", have, role, took)
			}
		}
	}
}

// A server takes 4,096 bytes with all that a client says of itself. The JWT of a
// coordinator, with its permissions, leaves room for the name of a worker.
func TestRoomBesideTheCoordinatorsJWT(t *testing.T) {
	b := jwtbus.Start(t, jwtbus.InUsers)
	_, creds := b.User(access.Coordinator)
	nc, err := nats.Connect(b.URL, nats.UserCredentials(creds), nats.Name(strings.Repeat("n", 128)))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// What a worker can still do to other workers: have the server publish its
// answers in their account, as hints that are false, and into an inbox whose
// random name it knows. Nothing of it comes to the main account.
func TestAWorkerReachesOtherWorkersOnly(t *testing.T) {
	testsize.All(t)
	other := newUser(t)
	k := keybus.Start(t, keybus.Config{Users: func(w io.Writer, users []access.User) error {
		return access.WriteUsers(w, append(users, access.User{Role: access.Worker, Public: other.public}))
	}})
	spy, err := k.ConnectRoot(0).SubscribeSync("gx1.>")
	must(t, err)
	must(t, spy.SetPendingLimits(-1, -1))
	nc, err := nats.Connect(k.URL(0), other.key, nats.CustomInboxPrefix(access.Inbox(other.public)))
	must(t, err)
	defer nc.Close()
	worker := k.Connect(0, access.Worker)
	for _, to := range []string{"gx1.stop.r1", "gx1.wake.r1", "$KV.GX1_RUNS.r1", nc.NewInbox()} {
		sub, err := nc.SubscribeSync(to)
		must(t, err)
		must(t, nc.FlushTimeout(patience))
		must(t, worker.PublishRequest("$JS.API.STREAM.INFO.GX1_STOP", to, nil))
		if _, err := sub.NextMsg(patience); err != nil {
			t.Errorf("an answer to %s: %v (docs/security.md says that it comes)", to, err)
		}
	}
	if n, _, err := spy.Pending(); n != 0 || err != nil {
		t.Errorf("the main account has heard %d messages, %v", n, err)
	}
}
