package access

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Account is a NATS account of the bus.
type Account string

// The accounts. Only Main has JetStream. Each of the others imports from Main
// what its role needs, so that the server never publishes an answer into Main
// on behalf of a user who may not publish there: it maps each answer back into
// the account of the user who asked.
const (
	Main      Account = "GX1"
	Workers   Account = "GX1_WORKERS"
	Operators Account = "GX1_OPERATORS"
	Observers Account = "GX1_OBSERVERS"
	// Strangers is the account of clients without credentials, where those may
	// publish stops. It imports nothing: the coordinator takes the stops there.
	Strangers Account = "GX1_STRANGERS"
)

// Accounts are those of the roles, Main first.
func Accounts() []Account { return []Account{Main, Workers, Operators, Observers} }

// AccountOf is the account of the users of role r.
func AccountOf(r Role) Account { return roles[r].account }

// Kind is what an export offers, as a server's configuration names it.
type Kind string

// The kinds.
const (
	// Service takes messages and requests from the importing account. Answers go
	// back to that account and nowhere else.
	Service Kind = "service"
	// Stream delivers what is published in the main account. It does not deliver
	// what the server took in by a Service.
	Stream Kind = "stream"
)

// Import is what an account uses of the main account, under the same subject: with
// a mapped one the server could publish answers into the main account.
type Import struct {
	Kind    Kind
	Subject string
}

// Export is what the main account offers.
type Export struct {
	Kind    Kind
	Subject string
	// Accounts may import it, and no other.
	Accounts []Account
	// Many: a request has several answers (response_type stream).
	Many bool
	// Threshold is how long the server waits for the answers of a service before
	// it forgets a request; 0 for a stream.
	Threshold time.Duration
}

// Bounds of what a server remembers of requests that came by an import.
const (
	// answerThreshold is well above the patience of clients. The server's default
	// would let a user fill four times the memory with unanswered requests.
	answerThreshold = 30 * time.Second
	// stopThreshold is well above the time that a stop takes to be stored.
	stopThreshold = 10 * time.Second
)

const (
	accountInfo = "$JS.API.INFO"
	stopSubject = "gx1.stop.*"
	directGet   = "$JS.API.DIRECT.GET."
	streamInfo  = "$JS.API.STREAM.INFO."
	nameList    = "$JS.API.CONSUMER.NAMES."
	pull        = "$JS.API.CONSUMER.MSG.NEXT."
)

// Imports are what account a uses of the main account, made from the table.
// Main imports nothing.
func Imports(a Account) []Import {
	var list []Import
	add := func(k Kind, subject string) {
		if i := (Import{k, subject}); !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	for _, r := range Roles() {
		if AccountOf(r) != a || a == Main {
			continue
		}
		p := For(r, "*") // * stands for each user's public key
		api := false
		for _, s := range p.Publish {
			if s == UserInfo || strings.HasPrefix(s, Inbox("")) {
				continue // every account has the server's own, and its inboxes
			}
			add(Service, coarse(s))
			api = api || strings.HasPrefix(s, "$JS.API.")
		}
		if api {
			// Without it the server gives the account a JetStream API of its own,
			// which answers each request first, with an error.
			add(Service, accountInfo)
		}
		for _, s := range Of(r).Subscribe {
			add(Stream, s)
		}
	}
	slices.SortFunc(list, compareImports)
	return list
}

// Exports are what the main account offers to those accounts.
func Exports(accounts ...Account) []Export {
	var list []Export
	for _, a := range accounts {
		for _, i := range Imports(a) {
			k := slices.IndexFunc(list, func(e Export) bool { return e.Kind == i.Kind && e.Subject == i.Subject })
			if k < 0 {
				k = len(list)
				list = append(list, newExport(i))
			}
			list[k].Accounts = append(list[k].Accounts, a)
		}
	}
	slices.SortFunc(list, func(x, y Export) int {
		return compareImports(Import{x.Kind, x.Subject}, Import{y.Kind, y.Subject})
	})
	return list
}

func newExport(i Import) Export {
	e := Export{Kind: i.Kind, Subject: i.Subject}
	if i.Kind != Service {
		return e
	}
	e.Threshold = answerThreshold
	if i.Subject == stopSubject {
		e.Threshold = stopThreshold
	}
	e.Many = i.Subject == directGet+"*" || strings.HasPrefix(i.Subject, pull)
	return e
}

// coarse is the service that a subject belongs to: requests that name a stream
// share one. Permissions of users stay exact.
func coarse(subject string) string {
	for _, prefix := range []string{streamInfo, nameList, directGet} {
		rest, ok := strings.CutPrefix(subject, prefix)
		switch {
		case !ok:
		case strings.HasSuffix(rest, ".>"):
			return prefix + "*.>"
		default:
			return prefix + "*"
		}
	}
	return subject
}

func compareImports(x, y Import) int {
	return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Subject, y.Subject))
}

// OfStranger is what a client without credentials may do where strangers may
// stop runs: publish a stop, and receive the answer to it.
func OfStranger() Permissions {
	return Permissions{Publish: []string{stopSubject}, Subscribe: []string{"_INBOX.>"}}
}
