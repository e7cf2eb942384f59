package bus

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/internal/run"
	"gx1replay/test/keybus"
)

// Each no_wait pull of many slots that race for the last tasks is answered by
// one message: a task, or that there is none. So none stays waiting on the
// server, which would keep a slot idle until the client gives up after 1 s, and
// could be handed a later task that nobody takes. The slots' inboxes last, and
// nothing here gives up before patience.
func TestFact_EachNoWaitPullIsAnsweredOnce(t *testing.T) {
	const slots, tasks, rounds = 16, 5, 100
	k, _, _ := accountBus(t, keybus.Config{})
	dial := func(r access.Role) *Bus {
		b, err := Connect(t.Context(), Config{Access: Access{URL: k.URL(0)}, Name: string(r), Options: []nats.Option{k.Key(r)}})
		must(t, err)
		t.Cleanup(b.Close)
		return b
	}
	lead := dial(access.Coordinator)
	for name, b := range map[string]*Bus{"in the account of the streams": lead, "in a worker's account": dial(access.Worker)} {
		t.Run(name, func(t *testing.T) {
			m := testManifest(run.ID("r_"+b.nc.Opts.Name), tasks)
			q := queueOf(t, lead, m)
			subject := "$JS.API.CONSUMER.MSG.NEXT." + StreamTasks + "." + consumerName(m.Ref(), m.Session)
			var inboxes []*nats.Subscription
			for range slots {
				sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
				must(t, err)
				inboxes = append(inboxes, sub)
			}
			// pull has all slots pull at once and returns the tasks that came.
			pull := func(what string) (got []*nats.Msg) {
				t.Helper()
				for _, sub := range inboxes {
					must(t, b.nc.PublishRequest(subject, sub.Subject, []byte(`{"batch":1,"no_wait":true}`)))
				}
				for _, sub := range inboxes {
					answer, err := sub.NextMsg(patience)
					if err != nil {
						t.Fatalf("%s: a pull has no answer: %v", what, err)
					}
					switch status := answer.Header.Get("Status"); status {
					case "":
						got = append(got, answer)
					case "404", "408":
					default:
						t.Fatalf("%s: a pull is answered %s %s", what, status, answer.Header.Get("Description"))
					}
				}
				return got
			}
			for range rounds {
				must(t, lead.PublishTasks(t.Context(), tasksOf(m, 0, 1, 2, 3, 4)))
				left, returned := tasks, false
				for begun := time.Now(); left > 0; {
					if time.Since(begun) > patience {
						t.Fatalf("%d tasks do not come", left)
					}
					for i, task := range pull("the last tasks") {
						if !returned && i%2 == 0 { // comes again
							must(t, task.Nak())
							continue
						}
						_, err := b.nc.Request(task.Reply, []byte("+ACK"), patience)
						must(t, err)
						left--
					}
					returned = true
				}
				if got := pull("no task"); len(got) > 0 {
					t.Fatalf("%d tasks more than were published", len(got))
				}
			}
			// A pull that still waited would be handed this task, unasked.
			must(t, lead.PublishTasks(t.Context(), tasksOf(m, 0)))
			next(t, q)
			must(t, b.nc.FlushTimeout(patience))
			for i, sub := range inboxes {
				if n, _, err := sub.Pending(); n > 0 || err != nil {
					t.Errorf("slot %d: %d answers more than pulls, %v", i, n, err)
				}
			}
		})
	}
}
