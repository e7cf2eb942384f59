package access

import (
	"slices"
	"strings"
	"testing"
)

// What the user of a role may send or hear in its account, the account imports,
// and it imports nothing else but the account info that pitfall 1 asks for.
func TestImportsAreTheTable(t *testing.T) {
	const public = "UBZWPEPBIAMQTF4VWZDUNGPTJRU7JSON6GFRJREPAFILUDH7CNO4DIZK"
	for _, r := range Roles() {
		list := Imports(AccountOf(r))
		if r == Coordinator {
			if len(list) != 0 {
				t.Errorf("the main account imports %v", list)
			}
			continue
		}
		used := map[Import]bool{{Service, accountInfo}: true}
		check := func(k Kind, subjects []string) {
			for _, s := range subjects {
				found := false
				for _, i := range list {
					if i.Kind == k && Covers(i.Subject, s) {
						found, used[i] = true, true
					}
				}
				own := s == UserInfo || strings.HasPrefix(s, "_INBOX")
				if found == own {
					t.Errorf("a %s: %s %s is imported: %v", r, k, s, found)
				}
			}
		}
		p := For(r, public)
		check(Service, p.Publish)
		check(Stream, p.Subscribe)
		for _, i := range list {
			if !used[i] {
				t.Errorf("account %s imports %v, which no %s may use", AccountOf(r), i, r)
			}
		}
		if !slices.Contains(list, Import{Service, accountInfo}) {
			t.Errorf("account %s does not import %s: the server would give it an API of its own", AccountOf(r), accountInfo)
		}
	}
}

// No account of a role but the coordinator's imports what changes a stream, a
// consumer, a manifest, an object or a task.
func TestNoImportWritesWhatIsTheCoordinators(t *testing.T) {
	for _, a := range Accounts() {
		for _, i := range Imports(a) {
			if i.Kind != Service {
				continue
			}
			for _, s := range []string{
				"$KV.GX1_RUNS.r1", "$O.GX1_DATA.C.x", "$O.GX1_DATA.M.x", "gx1.task.r1.0", "gx1.wake.r1",
				"$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.GX1_TASKS", "$JS.API.STREAM.DELETE.GX1_TASKS", "$JS.API.STREAM.PURGE.GX1_TASKS",
				"$JS.API.STREAM.MSG.DELETE.GX1_FOOTERS", "$JS.API.STREAM.MSG.GET.GX1_TASKS", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
				"$JS.API.CONSUMER.CREATE.GX1_TASKS", "$JS.API.CONSUMER.CREATE.GX1_TASKS.x.y", "$JS.API.CONSUMER.DURABLE.CREATE.GX1_TASKS.x",
				"$JS.API.CONSUMER.DELETE.GX1_TASKS.x", "$JS.ACK.GX1_FOOTERS.x.1.1.1.1.0", "_INBOX.x", "$SYS.REQ.SERVER.PING",
			} {
				if collide(i.Subject, s) {
					t.Errorf("account %s may send to %s of the main account by %s", a, s, i.Subject)
				}
			}
		}
	}
}

func TestExports(t *testing.T) {
	list := Exports(Accounts()...)
	find := func(k Kind, subject string) Export {
		for _, e := range list {
			if e.Kind == k && e.Subject == subject {
				return e
			}
		}
		t.Fatalf("%s %s is not exported: %v", k, subject, list)
		return Export{}
	}
	stop := find(Service, "gx1.stop.*")
	if !slices.Equal(stop.Accounts, []Account{Operators}) || stop.Threshold != stopThreshold || stop.Many {
		t.Errorf("stops: %+v", stop)
	}
	many := 0
	for _, e := range list {
		if e.Many {
			many++
		}
		if (e.Threshold == 0) != (e.Kind == Stream) {
			t.Errorf("%+v: threshold %v", e, e.Threshold)
		}
		if slices.Contains(e.Accounts, Main) || len(e.Accounts) == 0 {
			t.Errorf("%+v is exported to %v", e, e.Accounts)
		}
		for _, a := range e.Accounts {
			if !slices.Contains(Imports(a), Import{e.Kind, e.Subject}) {
				t.Errorf("account %s does not import %+v", a, e)
			}
		}
	}
	for _, s := range []string{"$JS.API.DIRECT.GET.*", "$JS.API.CONSUMER.MSG.NEXT.GX1_TASKS.*"} {
		if e := find(Service, s); !e.Many || e.Threshold != answerThreshold {
			t.Errorf("%+v has one answer (want many)", e)
		}
	}
	if many != 2 {
		t.Errorf("%d exports have many answers (want 2)", many)
	}
	if w := find(Stream, "gx1.wake.*"); !slices.Equal(w.Accounts, []Account{Workers}) {
		t.Errorf("wakes: %+v", w)
	}
	if got := Exports(Operators); slices.ContainsFunc(got, func(e Export) bool { return !slices.Equal(e.Accounts, []Account{Operators}) }) {
		t.Errorf("for operators alone: %+v", got)
	}
	if got := append(Exports(Main, Strangers), Exports()...); len(got) > 0 {
		t.Errorf("for accounts that import nothing: %+v", got)
	}
}

func TestAccountOf(t *testing.T) {
	for _, r := range Roles() {
		if a := AccountOf(r); !slices.Contains(Accounts(), a) {
			t.Errorf("a %s is in account %q", r, a)
		}
	}
}

// A worker writes its own note and nobody else's.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		role   Role
		public string
		own    bool
		others bool
	}{{Coordinator, "UA", true, true}, {Worker, "UA", true, false}, {Operator, "UA", false, false}, {Observer, "UA", false, false}, {Worker, SubjectTemplate, false, false}} {
		p := Rule{Allow: For(c.role, c.public).Publish}
		if own, others := p.Allows(Note("r1", "UA")), p.Allows(Note("r1", "UB")); own != c.own || others != c.others {
			t.Errorf("a %s with key %s: its own note %v, another's %v", c.role, c.public, own, others)
		}
	}
	if !slices.Contains(For(Worker, SubjectTemplate).Publish, "gx1.note.*.{{subject()}}") {
		t.Error("the template of workers has no note")
	}
}

// What came with a later version is not needed.
func TestNeeds(t *testing.T) {
	for _, r := range Roles() {
		needs, all := Needs(r), Of(r)
		for _, s := range append(needs.Publish, needs.Subscribe...) {
			if strings.Contains(s, "wake") || strings.Contains(s, "NOTE") || strings.Contains(s, "note") || s == Connections {
				t.Errorf("a %s needs %s, which earlier configurations do not have", r, s)
			}
		}
		if lacks := needs.Lacks(Allowed{Publish: Rule{Allow: all.Publish}, Subscribe: Rule{Allow: all.Subscribe}}); len(lacks.Publish)+len(lacks.Subscribe) > 0 {
			t.Errorf("a %s needs what the table does not have: %v", r, lacks)
		}
		if len(needs.Publish) == len(all.Publish) {
			t.Errorf("a %s: nothing is later", r)
		}
	}
}
