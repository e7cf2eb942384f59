//go:build linux

package netns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Wire joins hosts as a hub does: what one sends reaches all others. It is
// carried frame by frame between the hosts' TAP devices, so that it is in the
// test's hands what arrives, and when.
type Wire struct {
	Hosts []*Host
	over  chan struct{} // closed by Close
	owned sync.WaitGroup
}

// Host is a network namespace with one device on the wire.
type Host struct {
	Name string // of the namespace
	Addr string // its IPv4 address

	tap *os.File
	out chan frame // what it is to receive

	mu    sync.Mutex
	cut   bool
	loss  float64
	delay time.Duration
	rng   *rand.Rand
}

type frame struct {
	due  time.Time
	data []byte
}

const (
	// namePrefix begins the names of all hosts: gx1-PID-RANDOM-NUMBER.
	namePrefix = "gx1-"
	// frameSize is an Ethernet frame's, with its header.
	frameSize = 1514 + 4
	// queued bounds what is on its way to one host; a wire loses what is more.
	queued = 4096
)

// NewWire makes n hosts with the addresses 10.77.0.1 and on. What is lost
// follows from seed. Hosts that a process left which ended without Close are
// removed first.
func NewWire(n int, seed uint64) (*Wire, error) {
	if err := sweep(); err != nil {
		return nil, err
	}
	w := &Wire{over: make(chan struct{})}
	// The names are the whole machine's; the process in them is for sweep.
	name := fmt.Sprintf("%s%d-%08x", namePrefix, os.Getpid(), rand.Uint32())
	for i := range n {
		h := &Host{
			Name: fmt.Sprintf("%s-%d", name, i+1), Addr: fmt.Sprintf("10.77.0.%d", i+1), out: make(chan frame, queued),
			rng: rand.New(rand.NewPCG(seed, uint64(i))),
		}
		if err := ip("netns", "add", h.Name); err != nil {
			return nil, errors.Join(err, w.Close())
		}
		w.Hosts = append(w.Hosts, h)
		var err error
		if h.tap, err = in(h.Name, openTap); err != nil {
			return nil, errors.Join(err, w.Close())
		}
		for _, args := range []string{"link set lo up", "addr add " + h.Addr + "/24 dev wire", "link set wire mtu 1500 up"} {
			if err := ip(append([]string{"-n", h.Name}, strings.Fields(args)...)...); err != nil {
				return nil, errors.Join(err, w.Close())
			}
		}
	}
	for _, h := range w.Hosts {
		w.owned.Go(func() { w.carry(h) })
		w.owned.Go(func() { w.deliver(h) })
	}
	return w, nil
}

// Missing says what is not here that hosts are made of; empty: nothing.
func Missing() string {
	if os.Getuid() != 0 {
		return "it takes root"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "iproute2 is not there"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return err.Error()
	}
	return ""
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// carry takes what h sends to all others, until its device is closed.
func (w *Wire) carry(h *Host) {
	buf := make([]byte, frameSize)
	for {
		n, err := h.tap.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			continue // as while the device is not up yet
		}
		for _, other := range w.Hosts {
			if other == h {
				continue
			}
			if delay, lost := h.passes(other); !lost {
				select {
				case other.out <- frame{time.Now().Add(delay), append([]byte(nil), buf[:n]...)}:
				default:
				}
			}
		}
	}
}

// passes decides on one frame from h to another: both ends of the wire have
// their say.
func (h *Host) passes(to *Host) (delay time.Duration, lost bool) {
	for _, end := range []*Host{h, to} {
		end.mu.Lock()
		lost = lost || end.cut || end.loss > 0 && end.rng.Float64() < end.loss
		delay += end.delay
		end.mu.Unlock()
	}
	return delay, lost
}

// deliver gives h what is due, when it is due.
func (w *Wire) deliver(h *Host) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-w.over:
			return
		case f := <-h.out:
			t.Reset(time.Until(f.due))
			select {
			case <-w.over:
				return
			case <-t.C:
			}
			_, _ = h.tap.Write(f.data) // a host that is gone receives nothing
		}
	}
}

// Cut cuts the host's end of the wire, or mends it.
func (h *Host) Cut(cut bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = cut
}

// Bad has the host's end lose that share of all frames, either way, and delay
// the others by so much.
func (h *Host) Bad(loss float64, delay time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loss, h.delay = loss, delay
}

// Close removes the hosts. What runs in them has to have ended.
func (w *Wire) Close() error {
	close(w.over)
	var all error
	for _, h := range w.Hosts {
		if h.tap != nil {
			all = errors.Join(all, h.tap.Close())
		}
		all = errors.Join(all, ip("netns", "delete", h.Name))
	}
	w.owned.Wait()
	return all
}
