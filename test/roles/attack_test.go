package roles

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/access"
	"gx1replay/test/jwtbus"
	"gx1replay/test/keybus"
	"gx1replay/test/testsize"
)

// A server answers to any reply subject that a client names. These tests have
// users of each role send every request that they may send, with reply subjects
// of every class of the main account, and look at what comes of it there.

// victim is the run that must not be touched, and own the one that attackers
// send what they may send.
const victim, own = "victim", "own"

// classes are reply subjects in the main account: one of each kind that has an
// effect there, none of which an observer or operator may publish to.
func (g *target) classes() []string {
	return []string{
		"gx1.stop." + victim, "gx1.task." + victim + ".1", "gx1.wake." + victim,
		"gx1.progress." + victim + ".0", "gx1.footer." + victim + ".1", "gx1.artifact." + victim + ".0.1.0", access.Note(victim, "UOTHER"),
		"$KV.GX1_RUNS." + victim, "$O.GX1_DATA.C.victim", "$O.GX1_DATA.M.victim",
		"$JS.API.STREAM.CREATE.EVIL", "$JS.API.STREAM.UPDATE.GX1_STOP", "$JS.API.STREAM.MSG.DELETE.GX1_FOOTERS", "$JS.API.CONSUMER.CREATE.GX1_STOP.evil",
		access.Inbox(g.public[access.Coordinator]) + ".x", "_INBOX_GX1.x", "$SYS.REQ.ACCOUNT.PING.CONNZ",
		// These would end what the attack needs: they come last.
		"$JS.API.CONSUMER.DELETE.GX1_TASKS." + victim + "_s1", "$JS.API.STREAM.PURGE.GX1_PROGRESS", "$JS.API.STREAM.DELETE.GX1_ARTIFACTS", "$JS.API.STREAM.DELETE.GX1_STOP",
	}
}

// reserved are reply subjects that the server refuses to clients.
var reserved = []string{"$JS.ACK.GX1_TASKS.victim_s1.1.1.1.1.0", "_R_.x.y", "_GR_.x.y"}

// odd are reply subjects that are no kind of their own. The account info is the
// one literal that accounts import, so an answer does come to it: it asks the
// server for what nobody then receives.
var odd = []string{"$JS.API.INFO", "gx1.stop.*", "gx1.progress." + victim + ".*", "gx1.>", ">", "gx1.stop..x", "gx1.stop." + victim + ".$FI"}

// question is a message that a user may send.
type question struct {
	subject, data string
	header        nats.Header
}

// questions are those of a role, made from its table: each subject with each
// payload that makes a difference to the server. task is the reply subject of a
// task of run own.
func questions(t *testing.T, r access.Role, public, task string) []question {
	t.Helper()
	var list []question
	ask := func(subject string, data ...string) {
		for _, d := range data {
			list = append(list, question{subject: subject, data: d})
		}
	}
	for _, pattern := range access.For(r, public).Publish {
		subject, stream, _ := strings.Cut(strings.TrimSuffix(pattern, ".>"), ".GET.")
		rest := strings.HasSuffix(pattern, ".>")
		switch {
		case strings.HasPrefix(pattern, access.Inbox("")):
			// its own inbox, where nobody answers
		case pattern == access.UserInfo || pattern == "$JS.API.INFO" || strings.HasPrefix(pattern, "$JS.API.CONSUMER.NAMES."):
			ask(pattern, "")
		case strings.HasPrefix(pattern, "$JS.API.STREAM.INFO."):
			ask(pattern, "", `{"subjects_filter":">"}`)
		case subject == "$JS.API.DIRECT" && rest:
			ask(strings.TrimSuffix(pattern, ">")+lastSubject(t, stream), "")
		case subject == "$JS.API.DIRECT":
			ask(pattern, `{"seq":1}`, `{"last_by_subj":"`+lastSubject(t, stream)+`"}`, `{"batch":10,"seq":1}`, `{"multi_last":[">"],"batch":10}`, "no JSON")
		case pattern == "$JS.API.CONSUMER.INFO.GX1_TASKS.*":
			ask("$JS.API.CONSUMER.INFO.GX1_TASKS."+own+"_s1", "")
			ask("$JS.API.CONSUMER.INFO.GX1_TASKS.nobody", "")
		case pattern == "$JS.API.CONSUMER.MSG.NEXT.GX1_TASKS.*":
			ask("$JS.API.CONSUMER.MSG.NEXT.GX1_TASKS."+own+"_s1", `{"batch":1,"no_wait":true}`, `{"batch":1,"expires":60000000000}`, "no JSON")
		case pattern == "$JS.ACK.GX1_TASKS.>":
			ask(task, "+WPI", "-NAK", `+NXT {"batch":1,"no_wait":true}`, "+ACK")
		case strings.HasPrefix(pattern, "gx1."):
			tokens := strings.Split(pattern, ".")
			for k := range tokens {
				if tokens[k] == "*" {
					tokens[k] = "0"
				}
			}
			tokens[2] = own
			s := strings.Join(tokens, ".")
			ask(s, "x")
			list = append(list, question{s, "x", nats.Header{"Nats-Expected-Last-Subject-Sequence": {"999999"}}})
		default:
			t.Fatalf("role %s may publish to %s: say here what can be asked there", r, pattern)
		}
	}
	return list
}

// lastSubject is a subject that a stream holds from the start.
func lastSubject(t *testing.T, stream string) string {
	t.Helper()
	for _, s := range seeds() {
		if s.stream == stream {
			return s.subject
		}
	}
	t.Fatalf("nothing is stored in stream %s", stream)
	return ""
}

// attack sends every question of a role with every reply. It returns once the
// server has dealt with all of them.
func (s *scene) attack(r access.Role, replies []string) (asked map[string]bool) {
	s.t.Helper()
	nc := s.connect(slices.Index(access.Roles(), r), r)
	asked = map[string]bool{}
	list := questions(s.t, r, s.public[r], s.task)
	may := access.Rule{Allow: access.For(r, s.public[r]).Publish}
	for _, reply := range replies {
		for _, q := range list {
			m := &nats.Msg{Subject: q.subject, Reply: reply, Data: []byte(q.data), Header: q.header}
			must(s.t, nc.PublishMsg(m))
			asked[q.subject] = true
			if q.header != nil || may.Allows(reply) {
				continue
			}
			// A trace of the message goes to a subject that its sender names, which
			// has to be one that it may publish to.
			m.Reply, m.Header = "", nats.Header{"Nats-Trace-Dest": {reply}}
			must(s.t, nc.PublishMsg(m))
		}
	}
	must(s.t, nc.FlushTimeout(patience))
	return asked
}

// answered asks every question of a role as a client does, and fails where
// nothing comes back: an attack by a question without an answer shows nothing.
func (s *scene) answered(r access.Role) {
	s.t.Helper()
	nc := s.connect(0, r)
	for _, q := range questions(s.t, r, s.public[r], s.task) {
		if strings.Contains(q.data, "expires") {
			continue // it waits for the next task
		}
		sub, err := nc.SubscribeSync(nc.NewInbox())
		must(s.t, err)
		// A server that has just answered to > may let a request lie until the next
		// one comes.
		s.until("an answer to "+q.data+" on "+q.subject, func() bool {
			must(s.t, nc.PublishMsg(&nats.Msg{Subject: q.subject, Reply: sub.Subject, Data: []byte(q.data), Header: q.header}))
			_, err := sub.NextMsg(time.Second)
			return err == nil
		})
	}
}

// Nobody but a coordinator changes anything in the main account by the answers
// that it has the server publish.
func TestRepliesReachNothing(t *testing.T) {
	testsize.All(t)
	for name, start := range map[string]func(*testing.T) *target{
		"nkeys":                func(t *testing.T) *target { return keyTarget(t, keybus.Config{}) },
		"embedded":             embeddedTarget,
		"nkeys, three servers": func(t *testing.T) *target { return keyTarget(t, keybus.Config{Servers: 3}) },
		"JWTs of users":        func(t *testing.T) *target { return jwtTarget(t, jwtbus.InUsers) },
		"JWTs by scoped keys":  func(t *testing.T) *target { return jwtTarget(t, jwtbus.InSigningKeys) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, start(t))
			for i, r := range []access.Role{access.Observer, access.Operator, access.Worker} {
				s.answered(r)
				before := s.state()
				s.heard()
				asked := s.attack(r, slices.Concat(s.classes(), reserved, odd))
				s.settle(r)
				// Pulls that wait get these.
				for k := range 2 * len(s.classes()) {
					_, err := s.js.Publish(t.Context(), fmt.Sprintf("gx1.task.%s.%d%02d", own, i+1, k), []byte("x"))
					must(t, err)
				}
				s.settle(r)
				if after := s.state(); !slices.Equal(before, after) {
					t.Errorf("role %s changed the bus: %s", r, difference(before, after))
				}
				for subject, n := range s.heard() {
					if slices.Contains(s.classes(), subject) || slices.Contains(reserved, subject) {
						t.Errorf("role %s had the server publish %d messages to %s", r, n, subject)
					} else if !asked[subject] && !ours(subject) {
						t.Errorf("after the attack of role %s, %d messages on %s", r, n, subject)
					}
				}
			}
		})
	}
}

// ours reports whether a subject is one that the test itself, or the server,
// uses in the main account.
func ours(subject string) bool {
	return slices.ContainsFunc([]string{"_INBOX.", "_R_.", "$JS.EVENT.ADVISORY.", "$JS.API.STREAM.", "$JS.API.CONSUMER.", "$JS.API.DIRECT.GET.", "$JS.API.INFO", "gx1.task." + own + "."}, func(p string) bool {
		return strings.HasPrefix(subject, p)
	})
}

func difference(before, after []string) string {
	var b strings.Builder
	for _, x := range before {
		if !slices.Contains(after, x) {
			fmt.Fprintf(&b, "\n  - %.200s", x)
		}
	}
	for _, x := range after {
		if !slices.Contains(before, x) {
			fmt.Fprintf(&b, "\n  + %.200s", x)
		}
	}
	return b.String()
}

// The test above can fail: where all roles are in one account, as they were
// before, each of them reaches every class.
func TestRepliesReachEverythingInOneAccount(t *testing.T) {
	testsize.All(t)
	for _, r := range []access.Role{access.Observer, access.Operator, access.Worker} {
		t.Run(string(r), func(t *testing.T) {
			s := newScene(t, keyTarget(t, keybus.Config{Users: keybus.Flat}))
			before := s.state()
			s.attack(r, s.classes())
			got := map[string]bool{}
			s.until("an answer of every class", func() bool {
				for subject := range s.heard() {
					got[subject] = true
				}
				return !slices.ContainsFunc(s.classes(), func(c string) bool { return !got[c] })
			})
			s.until("the end of a stream", func() bool {
				_, err := s.js.Stream(t.Context(), "GX1_STOP")
				return errors.Is(err, jetstream.ErrStreamNotFound)
			})
			if after := s.state(); slices.Equal(before, after) {
				t.Error("nothing has changed")
			}
		})
	}
}
