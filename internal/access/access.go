// Package access says who may do what on the bus: the roles, the subjects that
// each may publish and subscribe to, the accounts that they are in, and the
// server configuration that makes it so.
//
// The table here is the only one: configurations, documents and tests are made
// from it or held against it. It knows nothing of files or connections.
//
// A server enforces two things:
//
//   - The permissions of each user: Of(role), or For(role, public) with what is
//     the user's own.
//   - The accounts. AccountOf(role) is the account of a role's users, and
//     Accounts lists them. Exports(accounts...) is what Main exports to those
//     accounts, and Imports(account) what one of them imports. Every import
//     keeps its subject: nothing is mapped.
//
// Clients without credentials are in the account Strangers with the
// permissions OfStranger. It imports nothing and is not one of Accounts.
package access

import (
	"slices"
	"strings"
)

// Role is what a user of the bus is for.
type Role string

// The roles.
const (
	// Coordinator leads runs: it makes streams and consumers, publishes tasks,
	// and cleans up. It cannot delete a stream, or touch one that is not ours.
	Coordinator Role = "coordinator"
	// Worker replays chunks. It makes no consumer, since with one it could have
	// the server publish what it may not, and stores no object.
	Worker Role = "worker"
	// Operator sees runs and may stop them.
	Operator Role = "operator"
	// Observer sees runs.
	Observer Role = "observer"
)

func Roles() []Role { return []Role{Coordinator, Worker, Operator, Observer} }

// Purpose is what a role is for, in a few words.
func (r Role) Purpose() string { return roles[r].purpose }

// roles are the roles by name.
var roles = map[Role]struct {
	account Account
	purpose string
}{
	Coordinator: {Main, "leads runs"},
	Worker:      {Workers, "replays chunks"},
	Operator:    {Operators, "sees runs, and may stop them"},
	Observer:    {Observers, "sees runs"},
}

// Inbox is the prefix of the subjects on which the user with that public nkey
// gets its answers. No user may listen to another's.
func Inbox(public string) string { return "_INBOX_GX1_" + public }

// SubjectTemplate stands for a user's public key in the permissions of a scoped
// signing key: the server puts the key of each user there.
const SubjectTemplate = "{{subject()}}"

// Permissions are subjects, with * for one token and > for the rest.
type Permissions struct {
	Publish, Subscribe []string
}

const (
	tasks     = "GX1_TASKS"
	progress  = "GX1_PROGRESS"
	footers   = "GX1_FOOTERS"
	artifacts = "GX1_ARTIFACTS"
	stops     = "GX1_STOP"
	runs      = "KV_GX1_RUNS"
	data      = "OBJ_GX1_DATA"
	notes     = "GX1_NOTES"
)

// Streams are the names of all streams of the bus.
func Streams() []string {
	return []string{tasks, progress, footers, artifacts, stops, runs, data, notes}
}

// Of is the table: what a user of role r may do, beside listening to its own
// answers.
func Of(r Role) Permissions {
	// The server reports a user's rights, so that a refusal is known before a
	// request, which would wait for an answer in vain.
	p := Permissions{Publish: []string{UserInfo}}
	publish := func(subjects ...string) { p.Publish = append(p.Publish, subjects...) }
	subscribe := func(subjects ...string) { p.Subscribe = append(p.Subscribe, subjects...) }
	work := func() {
		publish("gx1.progress.*.*", "gx1.footer.*.*", "gx1.artifact.*.*.*.*")
		publish("$JS.API.CONSUMER.INFO."+tasks+".*", pull+tasks+".*", "$JS.ACK."+tasks+".>")
		for _, s := range Streams() {
			publish(streamInfo + s)
			if s != tasks {
				publish(read(s)...)
			}
		}
		subscribe(stopSubject, "$KV.GX1_RUNS.>", "gx1.wake.*")
	}
	see := func() {
		publish(accountInfo)
		for _, s := range Streams() {
			publish(streamInfo + s)
			if s != tasks {
				publish(read(s)...)
			}
		}
		publish("$JS.API.CONSUMER.INFO."+tasks+".*", nameList+tasks)
		// Not records and footers: what workers send comes to the streams by
		// imports of their account, and is not passed on to imports of others.
		// Observers read the streams.
		subscribe(stopSubject, "$KV.GX1_RUNS.>")
	}
	switch r {
	case Coordinator:
		see()
		work() // its local workers are the same user
		publish(Connections, "gx1.task.*.*", stopSubject, "gx1.wake.*", noteSubjects, "$KV.GX1_RUNS.>", "$O.GX1_DATA.>")
		subscribe("gx1.progress.*.*", "gx1.footer.*.*")
		for _, s := range Streams() {
			publish("$JS.API.STREAM.CREATE." + s)
			if s != runs { // a manifest goes by a message that takes its place
				publish("$JS.API.STREAM.PURGE." + s)
			}
		}
		publish("$JS.API.STREAM.MSG.DELETE."+footers, "$JS.API.STREAM.MSG.DELETE."+data)
		// Tasks are handed out by a consumer a run; records and footers are
		// followed by one each.
		publish("$JS.API.CONSUMER.CREATE."+tasks+".>", "$JS.API.CONSUMER.DELETE."+tasks+".*")
		for _, s := range []string{progress, footers} {
			publish("$JS.API.CONSUMER.CREATE."+s+".>", "$JS.API.CONSUMER.DELETE."+s+".*", "$JS.API.CONSUMER.INFO."+s+".*", pull+s+".*")
		}
	case Worker:
		work()
	case Operator:
		see()
		publish(stopSubject)
	case Observer:
		see()
	}
	for _, list := range []*[]string{&p.Publish, &p.Subscribe} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return p
}

// For is all that the user of role r with that public nkey may do.
func For(r Role, public string) Permissions {
	p := Of(r)
	inbox := Inbox(public) + ".>"
	p.Subscribe = append([]string{inbox}, p.Subscribe...)
	if r != Coordinator { // whose JWT has no room for what it does not need
		p.Publish = append(p.Publish, inbox) // a trace goes to the user who asked for it
	}
	if r == Worker {
		p.Publish = append(p.Publish, Note("*", public))
	}
	return p
}

// noteSubjects are the subjects of all notes.
const noteSubjects = "gx1.note.*.*"

// Note is the subject of the note that the user with that public nkey keeps on
// a run. A worker publishes no other user's.
func Note(runID, public string) string { return "gx1.note." + runID + "." + public }

// Needs is the part of Of that a user of role r cannot do without. The rest came
// with a later version: a bus that was configured before goes without it.
func Needs(r Role) Permissions {
	later := func(s string) bool {
		return s == Connections || strings.Contains(s, notes) || strings.HasPrefix(s, "gx1.note.") || strings.HasPrefix(s, "gx1.wake.")
	}
	p := Of(r)
	return Permissions{Publish: slices.DeleteFunc(p.Publish, later), Subscribe: slices.DeleteFunc(p.Subscribe, later)}
}

// UserInfo is where a server tells a user of its permissions.
const UserInfo = "$SYS.REQ.USER.INFO"

// Connections is where servers tell a user who is connected in its account.
const Connections = "$SYS.REQ.ACCOUNT.PING.CONNZ"

// Lacks lists what the permissions got do not allow of p.
func (p Permissions) Lacks(got Allowed) Permissions {
	var lacks Permissions
	for _, s := range p.Publish {
		if !got.Publish.Allows(s) {
			lacks.Publish = append(lacks.Publish, s)
		}
	}
	for _, s := range p.Subscribe {
		if !got.Subscribe.Allows(s) {
			lacks.Subscribe = append(lacks.Subscribe, s)
		}
	}
	return lacks
}

// Allowed is what a server says that a user may do.
type Allowed struct {
	Publish   Rule `json:"publish"`
	Subscribe Rule `json:"subscribe"`
}

// Rule allows subjects. No rule allows all.
type Rule struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// Allows reports whether all that matches subject, which may be a pattern, is
// allowed.
func (r Rule) Allows(subject string) bool {
	allowed := len(r.Allow) == 0
	for _, a := range r.Allow {
		allowed = allowed || Covers(a, subject)
	}
	for _, d := range r.Deny {
		if collide(d, subject) {
			return false
		}
	}
	return allowed
}

// Covers reports whether every subject that matches the pattern inner matches
// outer.
func Covers(outer, inner string) bool {
	o, i := strings.Split(outer, "."), strings.Split(inner, ".")
	for k, token := range o {
		switch {
		case token == ">":
			return k < len(i)
		case k >= len(i) || i[k] == ">":
			return false
		case token != "*" && token != i[k]:
			return false
		}
	}
	return len(o) == len(i)
}

// collide reports whether some subject matches both patterns.
func collide(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for k := range min(len(x), len(y)) {
		switch {
		case x[k] == ">" || y[k] == ">":
			return true
		case x[k] != "*" && y[k] != "*" && x[k] != y[k]:
			return false
		}
	}
	return len(x) == len(y)
}

// read are the direct reads of a stream, which make no consumer.
func read(stream string) []string {
	return []string{directGet + stream, directGet + stream + ".>"}
}
