//go:build linux

package netns

import (
	"net"
	"testing"
)

// What is dialled from a host is what that host sees.
func TestDial(t *testing.T) {
	if why := Missing(); why != "" {
		t.Skip("no hosts can be made here: " + why)
	}
	w, err := NewWire(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	address := net.JoinHostPort(w.Hosts[0].Addr, "7")
	l, err := in(w.Hosts[0].Name, func() (net.Listener, error) { return net.Listen("tcp4", address) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := w.Hosts[1].Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.LocalAddr().(*net.TCPAddr).IP.String(); got != w.Hosts[1].Addr {
		t.Errorf("dialled from %s (want the second host's %s)", got, w.Hosts[1].Addr)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
