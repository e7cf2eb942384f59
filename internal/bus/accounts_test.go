package bus

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/access"
	"gx1replay/test/keybus"
)

// What the accounts of package access rely on in the server. Each is a fact
// that a later version may change.

// accountBus is a bus of accounts with the streams of the product, and a user
// of the main account who may do everything.
func accountBus(t *testing.T, cfg keybus.Config) (*keybus.Bus, *nats.Conn, jetstream.JetStream) {
	t.Helper()
	k := keybus.Start(t, cfg)
	root := k.ConnectRoot(0)
	b, err := Connect(t.Context(), Config{Access: Access{URL: k.URL(0)}, Name: "test", Options: []nats.Option{k.Root()}})
	must(t, err)
	t.Cleanup(b.Close)
	must(t, b.MakeStreams(t.Context(), 0))
	js, err := jetstream.New(root)
	must(t, err)
	return k, root, js
}

// rest asks something that is sure to be answered, and returns what came on sub
// before the answer.
func rest(t *testing.T, nc *nats.Conn, sub *nats.Subscription) []*nats.Msg {
	t.Helper()
	_, err := nc.Request("$JS.API.STREAM.INFO.GX1_FOOTERS", nil, patience)
	must(t, err)
	must(t, nc.FlushTimeout(patience))
	var list []*nats.Msg
	for n, _, _ := sub.Pending(); n > 0; n, _, _ = sub.Pending() {
		m, err := sub.NextMsg(patience)
		must(t, err)
		list = append(list, m)
	}
	return list
}

// An account that imports part of the JetStream API needs the account info, too.
// Otherwise the server gives it an API of its own, which answers first.
func TestFact_AnAccountWithoutTheAccountInfoGetsTwoAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(string) string
		want   int // answers that are errors
	}{
		"as auth init writes it": {func(s string) string { return s }, 0},
		"without": {func(s string) string {
			return strings.ReplaceAll(s, `      { service: { account: GX1, subject: "$JS.API.INFO" } }`+"\n", "")
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			k, _, _ := accountBus(t, keybus.Config{Change: c.change})
			nc := k.Connect(0, access.Worker)
			sub, err := nc.SubscribeSync(nc.NewInbox())
			must(t, err)
			must(t, nc.PublishRequest("$JS.API.STREAM.INFO.GX1_TASKS", sub.Subject, nil))
			answers, errs := 0, 0
			for answers < 1+c.want {
				m, err := sub.NextMsg(patience)
				must(t, err)
				answers++
				if strings.Contains(string(m.Data), `"err_code":10039`) {
					errs++
				}
			}
			if more := rest(t, nc, sub); errs != c.want || len(more) > 0 {
				t.Errorf("%d of %d answers are errors (want %d), and %d more came", errs, answers, c.want, len(more))
			}
		})
	}
}

// What came in by a service import is not passed on to stream imports on the
// same server. What is published in the main account is.
func TestFact_AStopByAnImportIsHeardInTheMainAccountOnly(t *testing.T) {
	k, root, _ := accountBus(t, keybus.Config{})
	worker, operator := k.Connect(0, access.Worker), k.Connect(0, access.Operator)
	in := func(nc *nats.Conn) *nats.Subscription {
		sub, err := nc.SubscribeSync("gx1.stop.*")
		must(t, err)
		must(t, nc.FlushTimeout(patience))
		return sub
	}
	main, there := in(root), in(worker)
	_, err := operator.Request("gx1.stop.first", nil, patience)
	must(t, err)
	if m, err := main.NextMsg(patience); err != nil || m.Subject != "gx1.stop.first" || !strings.Contains(m.Header.Get("Nats-Request-Info"), `"acc":"GX1_OPERATORS"`) {
		t.Errorf("the main account: %+v, %v (want gx1.stop.first of GX1_OPERATORS)", m, err)
	}
	must(t, root.Publish("gx1.stop.second", nil))
	if m, err := there.NextMsg(patience); err != nil || m.Subject != "gx1.stop.second" {
		t.Errorf("a worker: %+v, %v (want gx1.stop.second)", m, err)
	}
}

// The answer to a reply subject that an account imports as a literal, or maps,
// is published in the main account. One that matches a plain wildcard is not.
func TestFact_OnlyLiteralAndMappedRepliesReachTheMainAccount(t *testing.T) {
	k, root, _ := accountBus(t, keybus.Config{Change: func(s string) string {
		s = strings.Replace(s, "    exports: [\n", `    exports: [
      { service: "literal.x", accounts: [GX1_WORKERS] }
      { service: "mapped.*", accounts: [GX1_WORKERS] }
`, 1)
		at := strings.Index(s, "  GX1_WORKERS {")
		return s[:at] + strings.Replace(s[at:], "    imports: [\n", `    imports: [
      { service: { account: GX1, subject: "literal.x" } }
      { service: { account: GX1, subject: "mapped.*" }, to: "local.*" }
`, 1)
	}})
	spy, err := root.SubscribeSync(">")
	must(t, err)
	must(t, root.FlushTimeout(patience))
	nc := k.Connect(0, access.Worker)
	const question = "$JS.API.STREAM.INFO.GX1_TASKS"
	for _, reply := range []string{"gx1.progress.victim.0", "gx1.footer.victim.0", "local.y", "literal.x"} {
		must(t, nc.PublishRequest(question, reply, nil))
	}
	must(t, nc.FlushTimeout(patience))
	seen := map[string]bool{}
	for !seen["literal.x"] || !seen["mapped"] {
		m, err := spy.NextMsg(patience)
		if err != nil {
			t.Fatalf("the main account saw %v, %v (want literal.x and a mapped subject)", seen, err)
		}
		seen[m.Subject] = true
		if strings.HasPrefix(m.Subject, "mapped.") { // the server chose the token
			seen["mapped"] = true
		}
	}
	for _, m := range rest(t, root, spy) {
		seen[m.Subject] = true
	}
	for s := range seen {
		if strings.HasPrefix(s, "gx1.") {
			t.Errorf("an answer came to %s of the main account", s)
		}
	}
}

// importedTasks is a queue that a worker reads through the import of its
// account.
func importedTasks(t *testing.T, cfg keybus.Config) (jetstream.JetStream, jetstream.Consumer, *nats.Conn) {
	t.Helper()
	k, _, js := accountBus(t, cfg)
	_, err := js.CreateConsumer(t.Context(), StreamTasks, jetstream.ConsumerConfig{Durable: "r_s1", FilterSubject: "gx1.task.r.*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour})
	must(t, err)
	nc := k.Connect(len(k.Servers)-1, access.Worker)
	theirs, err := jetstream.New(nc)
	must(t, err)
	c, err := theirs.Consumer(t.Context(), StreamTasks, "r_s1")
	must(t, err)
	return js, c, nc
}

// fetchOne is how a worker takes a task: a pull of one that does not wait.
func fetchOne(c jetstream.Consumer) (jetstream.Msg, error) {
	batch, err := c.FetchNoWait(1)
	if err != nil {
		return nil, err
	}
	m := <-batch.Messages()
	return m, batch.Error()
}

// A pull that does not wait leaves nothing behind that would take a later task.
func TestFact_APullThatDoesNotWaitStrandsNoTask(t *testing.T) {
	js, c, _ := importedTasks(t, keybus.Config{})
	for range 20 {
		for range 2 {
			if m, err := fetchOne(c); err != nil || m != nil {
				t.Fatalf("%v, %v (want no task)", m, err)
			}
		}
		_, err := js.Publish(t.Context(), "gx1.task.r.0", []byte("x"))
		must(t, err)
		var m jetstream.Msg
		eventually(t, "the task", func() bool {
			m, err = fetchOne(c)
			must(t, err)
			return m != nil
		})
		if meta, err := m.Metadata(); err != nil || meta.NumDelivered != 1 {
			t.Fatalf("%+v, %v (want the first delivery)", meta, err)
		}
		must(t, m.DoubleAck(t.Context()))
	}
}

// Whoever asks a consumer that is gone learns so at once, across an import and
// from another server of a cluster.
func TestFact_ADeletedConsumerGivesNoRespondersAcrossAnImport(t *testing.T) {
	for name, servers := range map[string]int{"one server": 1, "a cluster": 3} {
		t.Run(name, func(t *testing.T) {
			js, c, nc := importedTasks(t, keybus.Config{Servers: servers})
			_, err := js.Publish(t.Context(), "gx1.task.r.0", []byte("x"))
			must(t, err)
			var m jetstream.Msg
			eventually(t, "the task", func() bool {
				m, err = fetchOne(c)
				must(t, err)
				return m != nil
			})
			must(t, js.DeleteConsumer(t.Context(), StreamTasks, "r_s1"))
			eventually(t, "no responders", func() bool {
				_, err := nc.Request(m.Reply(), []byte("+WPI"), patience)
				return errors.Is(err, nats.ErrNoResponders)
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := m.DoubleAck(ctx); !errors.Is(err, nats.ErrNoResponders) {
				t.Errorf("an ack: %v (want no responders)", err)
			}
			if _, err := fetchOne(c); !errors.Is(err, nats.ErrNoResponders) {
				t.Errorf("a pull: %v (want no responders)", err)
			}
		})
	}
}

// Clients cannot name reply subjects that the server maps answers to, or that
// acknowledge tasks.
func TestFact_ReservedRepliesAreRefused(t *testing.T) {
	k, _, _ := accountBus(t, keybus.Config{})
	for _, reply := range []string{"$JS.ACK.GX1_TASKS.r_s1.1.1.1.1.0", "_R_.x.y", "_GR_.x.y"} {
		refused := make(chan error, 10)
		nc := k.Connect(0, access.Worker, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
		must(t, nc.PublishRequest("$JS.API.STREAM.INFO.GX1_TASKS", reply, nil))
		if err := receive(t, "the refusal of "+reply, refused); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v (want a permissions violation)", reply, err)
		}
	}
}

// The account of a user is the one that package access says.
func TestFact_TheServerNamesTheAccountOfAUser(t *testing.T) {
	k, _, _ := accountBus(t, keybus.Config{})
	for _, r := range access.Roles() {
		m, err := k.Connect(0, r).Request(access.UserInfo, nil, patience)
		must(t, err)
		var info struct {
			Data Rights `json:"data"`
		}
		must(t, json.Unmarshal(m.Data, &info))
		if info.Data.Account != string(access.AccountOf(r)) || info.Data.User != k.Public(r) {
			t.Errorf("a %s is the user %s of %s", r, info.Data.User, info.Data.Account)
		}
	}
}
