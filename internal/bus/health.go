package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Health is what a client can see of a bus, for a report on it.
type Health struct {
	Server, Version, Cluster string
	RTT                      time.Duration
	// Ahead is how far the server's clock is ahead of this host's, within half
	// of RTT; known only where a stream is there.
	Ahead      time.Duration
	ClockKnown bool
	MaxPayload int64
	Servers    int // that the client has found
	Streams    []StreamHealth
	// StoreUsed and StoreMost are bytes of the account's files; 0: no limit.
	StoreUsed, StoreMost int64
	JetStream            bool // without it the rest is not known
	// Lacks are what keeps a run from beginning.
	Lacks []Lack
}

// StreamHealth is the state of one of our streams.
type StreamHealth struct {
	Name     string `json:"name"`
	Replicas int    `json:"replicas"`
	Leader   string `json:"leader"`
	// Away are replicas that do not answer, Behind those that lag.
	Away     []string `json:"away"`
	Behind   []string `json:"behind"`
	Messages uint64   `json:"messages"`
	Bytes    uint64   `json:"bytes"`
}

// Health looks at the bus. What the user may not see is left out.
func (b *Bus) Health(ctx context.Context) (Health, error) {
	h := Health{
		Server: b.nc.ConnectedServerName(), Version: b.ServerVersion(), Cluster: b.nc.ConnectedClusterName(),
		JetStream: true, MaxPayload: b.nc.MaxPayload(), Servers: distinctHosts(append(b.nc.Servers(), b.nc.DiscoveredServers()...)),
	}
	var err error
	if h.RTT, err = b.nc.RTT(); err != nil {
		return h, fmt.Errorf("asking the server: %w", err)
	}
	once, cancel := bounded(ctx)
	account, err := b.js.AccountInfo(once)
	cancel()
	if err == nil {
		h.StoreUsed, h.StoreMost = int64(account.Store), max(account.Limits.MaxStore, 0)
	} else if h.Lacks = noAccount(err); len(h.Lacks) > 0 {
		h.JetStream = false
		return h, nil
	} else {
		b.log.Debug("reading the account's limits failed", "error", err)
	}
	var missing []jetstream.StreamConfig
	for _, want := range wantedStreams(b.DefaultReplicas()) {
		once, cancel := bounded(ctx)
		sent := time.Now()
		s, err := b.js.Stream(once, want.Name)
		took := time.Since(sent)
		cancel()
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			missing = append(missing, want)
			continue
		}
		if err != nil {
			return h, fmt.Errorf("asking for stream %s: %w", want.Name, err)
		}
		info := s.CachedInfo()
		st := StreamHealth{Name: want.Name, Replicas: info.Config.Replicas, Messages: info.State.Msgs, Bytes: info.State.Bytes}
		if c := info.Cluster; c != nil {
			st.Leader = c.Leader
			for _, r := range c.Replicas {
				switch {
				case r.Offline:
					st.Away = append(st.Away, r.Name)
				case !r.Current:
					st.Behind = append(st.Behind, r.Name)
				}
			}
		}
		h.Streams = append(h.Streams, st)
		if !info.TimeStamp.IsZero() {
			h.Ahead, h.ClockKnown = info.TimeStamp.Sub(sent.Add(took/2)), true
		}
	}
	if account != nil {
		h.Lacks = lacks(account, missing)
	}
	return h, nil
}

// noAccount is what an account without JetStream lacks, by the server's answer;
// nil if it is no such answer.
func noAccount(err error) []Lack {
	if errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return []Lack{lackAccount}
	}
	if NobodyAnswers(err) {
		return []Lack{lackJetStream}
	}
	return nil
}
