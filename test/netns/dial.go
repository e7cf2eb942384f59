//go:build linux

package netns

import (
	"net"
	"time"
)

// dialPatience is what a connection may take; a link that is cut answers
// nothing.
const dialPatience = 5 * time.Second

// Dial connects to an IPv4 address as it is seen from the host; a socket stays
// in the namespace in which it was made.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return in(h.Name, func() (net.Conn, error) {
		// Without a second family of addresses to try, the socket is made on this thread.
		d := net.Dialer{Timeout: dialPatience, FallbackDelay: -1}
		return d.Dial(network, address)
	})
}
