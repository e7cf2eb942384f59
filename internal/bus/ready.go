package bus

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gx1replay/internal/access"
)

// clusterReplicas is how many copies the streams have on a cluster that has
// room for them.
const clusterReplicas = 3

// DefaultReplicas is how many copies new streams have: three on a cluster of
// three or more servers, else one.
func (b *Bus) DefaultReplicas() int {
	if b.nc.ConnectedClusterName() != "" && distinctHosts(append(b.nc.Servers(), b.nc.DiscoveredServers()...)) >= clusterReplicas {
		return clusterReplicas
	}
	return 1
}

// distinctHosts counts servers by their host and port; several addresses of
// one count as several.
func distinctHosts(urls []string) int {
	var hosts []string
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil && !slices.Contains(hosts, u.Host) {
			hosts = append(hosts, u.Host)
		}
	}
	return len(hosts)
}

// UnsuitableError reports that the bus cannot be used as it is. It was not changed.
type UnsuitableError struct{ Reason string }

func (e *UnsuitableError) Error() string { return e.Reason }

// Ready makes what is missing on an external bus, with so many replicas (0:
// DefaultReplicas), and checks what is there. It returns how many replicas the
// streams have been asked to have, and the differences that do no harm; others,
// and a server that is too old, are an *UnsuitableError.
func (b *Bus) Ready(ctx context.Context, replicas int) (int, []Difference, error) {
	if err := b.CheckServer(); err != nil {
		return 0, nil, &UnsuitableError{err.Error()}
	}
	if err := b.Require(ctx, access.Coordinator); err != nil {
		return 0, nil, err
	}
	asked := replicas
	if replicas == 0 {
		replicas = b.DefaultReplicas()
	}
	if err := b.MakeStreams(ctx, replicas); err != nil {
		if tooFewServers(err) && !Transient(err) {
			return 0, nil, &UnsuitableError{fmt.Sprintf("%v: the bus cannot keep %d replicas of a stream now (--replicas)", err, replicas)}
		}
		return 0, nil, err
	}
	list, err := b.CheckStreams(ctx, asked)
	if err != nil {
		return 0, nil, err
	}
	var harmless []Difference
	var breaking []string
	for _, d := range list {
		if d.Harmless {
			harmless = append(harmless, d)
		} else {
			breaking = append(breaking, d.String())
		}
	}
	if len(breaking) > 0 {
		return 0, nil, &UnsuitableError{"streams of the bus have other settings than expected and were left unchanged; change or remove them, or use another account:\n  " +
			strings.Join(breaking, "\n  ")}
	}
	return replicas, harmless, nil
}
