package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
)

// Rights is who a connection is to its server, and what it may do there.
type Rights struct {
	User    string         `json:"user"`
	Account string         `json:"account"`
	Allowed access.Allowed `json:"permissions"`
}

// Rights asks the server. An error may also mean that the user is not allowed
// to know.
func (b *Bus) Rights(ctx context.Context) (Rights, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	msg, err := b.nc.RequestWithContext(ctx, access.UserInfo, nil)
	if err != nil {
		return Rights{}, fmt.Errorf("asking for this user's rights: %w", err)
	}
	var answer struct {
		Data *Rights `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return Rights{}, fmt.Errorf("asking for this user's rights: %w", err)
	}
	if answer.Data == nil {
		return Rights{}, fmt.Errorf("asking for this user's rights: the server answers %.200q", msg.Data)
	}
	return *answer.Data, nil
}

// Require refuses, before anything is tried, a user that lacks rights of role:
// what the server refuses it does not answer. It is an *UnsuitableError. Where the
// server does not report it, what is lacking shows later.
func (b *Bus) Require(ctx context.Context, role access.Role) error {
	r, err := b.Rights(ctx)
	if err != nil {
		if b.deaf() {
			prefix := b.nc.Opts.InboxPrefix
			return &UnsuitableError{fmt.Sprintf("this NATS user gets no answers: it may not subscribe to %s.> (docs/security.md)", prefix[:strings.LastIndexByte(prefix, '.')])}
		}
		b.log.Debug("the server does not report this user's rights", "error", err)
		return ctx.Err()
	}
	return r.require(role)
}

// allowed reports whether this user may publish to subject. The server is asked
// once; if it does not report a user's rights, the user is taken for allowed.
func (b *Bus) allowed(ctx context.Context, subject string) bool {
	b.mu.Lock()
	r := b.rights
	b.mu.Unlock()
	if r == nil {
		got, err := b.Rights(ctx)
		if err != nil {
			return true
		}
		r = &got
		b.mu.Lock()
		b.rights = r
		b.mu.Unlock()
	}
	return r.Allowed.Publish.Allows(subject)
}

// deaf reports whether the server keeps this user's answers from it.
func (b *Bus) deaf() bool {
	err := b.nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `Subscription to "`+b.nc.Opts.InboxPrefix)
}

func (r Rights) require(role access.Role) error {
	lacks := access.Needs(role).Lacks(r.Allowed)
	var what []string
	for _, s := range lacks.Publish {
		what = append(what, "publish to "+s)
	}
	for _, s := range lacks.Subscribe {
		what = append(what, "subscribe to "+s)
	}
	if len(what) == 0 {
		return nil
	}
	const most = 3
	text := strings.Join(what[:min(most, len(what))], ", ")
	if more := len(what) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return &UnsuitableError{fmt.Sprintf("NATS user %s lacks the role %s: it may not %s (use the key or context of a role that may: docs/security.md)", r.User, role, text)}
}
