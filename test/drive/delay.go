//go:build linux

package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Delay is a link that takes a while, each way, for whatever is sent over it.
type Delay struct {
	to    string // HOST:PORT
	delay time.Duration
	l     net.Listener
	owned sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once the link is closed
}

// StartDelay starts a link to the address to. It stands until Close.
func StartDelay(to string, delay time.Duration) (*Delay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a slow link to %s: %w", to, err)
	}
	d := &Delay{to: to, delay: delay, l: l, conns: map[net.Conn]bool{}}
	d.owned.Go(d.accept)
	return d, nil
}

// URL is the address of the link's near end.
func (d *Delay) URL() string { return "nats://" + d.l.Addr().String() }

// Close cuts the link and returns when nothing of it is left.
func (d *Delay) Close() error {
	err := d.l.Close()
	d.mu.Lock()
	for c := range d.conns {
		_ = c.Close() // it is cut
	}
	d.conns = nil
	d.mu.Unlock()
	d.owned.Wait()
	return err
}

func (d *Delay) accept() {
	for {
		near, err := d.l.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.DialTimeout("tcp", d.to, time.Second)
		if err != nil {
			_ = near.Close() // its user sees that nobody is there
			continue
		}
		if !d.enter(near, far) {
			return
		}
		d.owned.Go(func() { d.carry(near, far) })
		d.owned.Go(func() { d.carry(far, near) })
	}
}

// enter notes the ends of a connection, or closes them if the link is closed.
func (d *Delay) enter(ends ...net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range ends {
		if d.conns == nil {
			_ = c.Close()
			continue
		}
		d.conns[c] = true
	}
	return d.conns != nil
}

// piece is what was read at once, and when it is to arrive.
type piece struct {
	at   time.Time
	data []byte
}

// carry takes what is sent at from to the other end, each piece after the delay,
// until one of them closes. Both are closed then.
func (d *Delay) carry(from, to net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	way := make(chan piece, 1024) // what is on its way
	var sent sync.WaitGroup
	sent.Go(func() {
		defer cancel()
		for p := range way {
			time.Sleep(time.Until(p.at))
			if _, err := to.Write(p.data); err != nil {
				return
			}
		}
	})
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			select {
			case way <- piece{time.Now().Add(d.delay), bytes.Clone(b[:n])}:
			case <-ctx.Done():
				err = errors.Join(err, io.ErrClosedPipe)
			}
		}
		if err != nil {
			break
		}
	}
	close(way)
	sent.Wait()
	for _, c := range []net.Conn{from, to} {
		_ = c.Close() // the other direction ends by it
		d.mu.Lock()
		delete(d.conns, c)
		d.mu.Unlock()
	}
}
