package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
)

// RolesShareAnAccount is what a sign of SharedAccount means.
const RolesShareAnAccount = "roles of this bus share one account, so workers, operators and observers can do more than their permissions say"

// SharedAccount looks for signs that users of several roles are in the account
// of the streams. There the server publishes its answers to any subject that a
// client names, so the permissions of roles can be circumvented. It returns the
// sign that it found; "" means that it found none, or may not look.
//
// A coordinator sees its own account. Other users see whether their requests
// leave theirs.
func (b *Bus) SharedAccount(ctx context.Context) (sign string, err error) {
	r, err := b.Rights(ctx)
	if err != nil {
		return "", err
	}
	if len(r.Allowed.Publish.Allow) == 0 {
		return "", nil // roles are not separated
	}
	role, ok := r.role()
	if !ok {
		return "", nil
	}
	if lacks := access.Of(role).Lacks(r.Allowed); len(lacks.Publish)+len(lacks.Subscribe) > 0 {
		return fmt.Sprintf("the user %s has the rights that an earlier version gave to role %s, which knew one account only", r.User, role), nil
	}
	if role == access.Coordinator {
		return b.othersHere(ctx, r)
	}
	return b.staysHere(ctx, r)
}

// role is the first role that the user can act as.
func (r Rights) role() (access.Role, bool) {
	for _, role := range access.Roles() {
		if lacks := access.Needs(role).Lacks(r.Allowed); len(lacks.Publish)+len(lacks.Subscribe) == 0 {
			return role, true
		}
	}
	return "", false
}

// Names of connections, by which a coordinator recognizes what others are.
const (
	nameWorker   = "gx1 worker "
	nameOperator = "gx1 operator"
	nameObserver = "gx1 observer"
)

// othersHere looks for processes of other users and roles in the account of a
// coordinator, on the connected server.
func (b *Bus) othersHere(ctx context.Context, r Rights) (string, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	msg, err := b.nc.RequestWithContext(ctx, access.Connections, []byte(`{"auth":true}`))
	if err != nil {
		return "", fmt.Errorf("asking who is connected: %w", plain(err))
	}
	var answer struct {
		Data struct {
			Connections []struct {
				Name string `json:"name"`
				User string `json:"authorized_user"`
			} `json:"connections"`
		} `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return "", fmt.Errorf("asking who is connected: %w", err)
	}
	for _, c := range answer.Data.Connections {
		other := strings.HasPrefix(c.Name, nameWorker) || c.Name == nameOperator || c.Name == nameObserver
		if other && c.User != r.User {
			return fmt.Sprintf("%.100q of the user %.100q is in the coordinator's account %s", c.Name, c.User, r.Account), nil
		}
	}
	return "", nil
}

// staysHere has the server trace a read, which is not carried out: with an
// account for each role it goes through an import of the user's account.
func (b *Bus) staysHere(ctx context.Context, r Rights) (string, error) {
	const read = "$JS.API.DIRECT.GET." + StreamStop
	inbox := b.nc.NewInbox()
	if !r.Allowed.Publish.Allows(inbox) {
		return "", nil // as with an inbox_prefix of its own
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return "", fmt.Errorf("tracing a read: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	m := nats.NewMsg(read)
	m.Header.Set("Nats-Trace-Dest", inbox)
	m.Header.Set("Nats-Trace-Only", "true")
	if err := b.nc.PublishMsg(m); err != nil {
		return "", fmt.Errorf("tracing a read: %w", plain(err))
	}
	msg, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("tracing a read: %w", err)
	}
	var trace struct {
		Events []struct {
			Type string `json:"type"`
		} `json:"events"`
	}
	if err := json.Unmarshal(msg.Data, &trace); err != nil {
		return "", fmt.Errorf("tracing a read: %w", err)
	}
	const serviceImport = "si"
	for _, e := range trace.Events {
		if e.Type == serviceImport {
			return "", nil
		}
	}
	if len(trace.Events) == 0 {
		return "", fmt.Errorf("tracing a read: the server answers %.200q", msg.Data)
	}
	return fmt.Sprintf("the user %s is in the account of the streams (%s)", r.User, r.Account), nil
}
