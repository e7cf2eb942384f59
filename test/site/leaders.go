//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// askPatience is what a question to the cluster may take: without a leader
// nobody answers it, and it is asked again.
const askPatience = 2 * time.Second

// GiveLead has the server of a host lead all streams, and returns their names.
// They have to be there. It tries until ctx ends: others may be elected.
func (s *Site) GiveLead(ctx context.Context, host int) (streams []string, err error) {
	nc, err := nats.Connect(s.url(host), nats.SetCustomDialer(s.Wire.Hosts[host]))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.serverName(host), err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("using JetStream of %s: %w", s.serverName(host), err)
	}
	var last error
	err = until(ctx, "the server leads all streams", func() bool {
		once, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		var others []string
		if streams, others, last = led(once, js, s.serverName(host)); last != nil {
			return false
		}
		for _, name := range others {
			last = errors.Join(last, stepDown(once, nc, name, s.serverName(host)))
		}
		return last == nil && len(others) == 0
	})
	return streams, errors.Join(err, last)
}

// led lists all streams, and those that another server leads, or none.
func led(ctx context.Context, js jetstream.JetStream, server string) (all, others []string, err error) {
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		all = append(all, name)
	}
	if names.Err() != nil {
		return nil, nil, fmt.Errorf("listing streams: %w", names.Err())
	}
	slices.Sort(all)
	for _, name := range all {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return nil, nil, fmt.Errorf("looking for the leader of stream %s: %w", name, err)
		}
		if c := stream.CachedInfo().Cluster; c == nil || c.Leader != server {
			others = append(others, name)
		}
	}
	return all, others, nil
}

// stepDown has the leader of a stream make way for a server.
func stepDown(ctx context.Context, nc *nats.Conn, stream, server string) error {
	body := fmt.Sprintf(`{"placement":{"preferred":%q}}`, server)
	if _, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, []byte(body)); err != nil {
		return fmt.Errorf("moving the lead of stream %s to %s: %w", stream, server, err)
	}
	return nil
}
