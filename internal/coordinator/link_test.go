package coordinator

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing/synctest"
	"time"
)

// link is a worker's connection, which a test can stall, cut and destroy.
type link struct {
	world *world

	mu      sync.Mutex
	stalled bool
	dead    bool
	touched bool
	conns   []*stallable
	// sending, if not nil, is called with what goes out, before it does; what
	// it waits for holds up all that comes behind.
	sending func([]byte)
}

func (l *link) everBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.touched
}

// InProcessConn makes the client's next connection. A stalled link makes
// none: the client holds a lock in the handshake, and nobody waits durably
// for a lock.
func (l *link) InProcessConn() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead || l.stalled {
		return nil, errors.New("the link is down")
	}
	srv := l.world.running()
	if srv == nil {
		return nil, errors.New("the server is down")
	}
	c, err := srv.InProcessConn()
	if err != nil {
		return nil, err
	}
	s := &stallable{Conn: c, out: newPipe(), in: newPipe(), sending: l.sending}
	go s.pump()
	go s.drain()
	l.conns = append(l.conns, s)
	return s, nil
}

// cut closes the connection at this moment; the client may connect again.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched = true
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

// stall lets nothing through until restore.
func (l *link) stall() {
	synctest.Wait() // no handshake is under way
	l.set(true)
}

func (l *link) restore() { l.set(false) }

func (l *link) set(stalled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = stalled
	l.touched = l.touched || stalled
	for _, c := range l.conns {
		c.in.hold(stalled)
		c.out.hold(stalled)
	}
}

func (l *link) destroy() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	l.restore()
	l.cut()
}

// stallable is a connection with a buffer either way, as a network has, so
// that neither side blocks while it is stalled.
type stallable struct {
	net.Conn
	out, in *pipe
	sending func([]byte)
	mu      sync.Mutex
	until   time.Time // the read deadline
}

// linkBuffer is a little more than what is mostly on its way at once: there
// are two for each of many connections.
const linkBuffer = 4 << 10

// drain writes what the client wrote; pump reads what it will read.
func (s *stallable) drain() {
	buf := make([]byte, linkBuffer)
	for {
		n, err := s.out.read(buf, time.Time{})
		if err == nil {
			if s.sending != nil {
				s.sending(buf[:n])
			}
			_, err = s.Conn.Write(buf[:n])
		}
		if err != nil {
			s.Close()
			return
		}
	}
}

func (s *stallable) pump() {
	buf := make([]byte, linkBuffer)
	for {
		n, err := s.Conn.Read(buf)
		s.in.write(buf[:n])
		if err != nil {
			s.Close()
			return
		}
	}
}

func (s *stallable) Write(p []byte) (int, error) { return s.out.write(p) }

func (s *stallable) Read(p []byte) (int, error) {
	s.mu.Lock()
	until := s.until
	s.mu.Unlock()
	return s.in.read(p, until)
}

func (s *stallable) Close() error {
	s.out.close()
	s.in.close()
	return s.Conn.Close()
}

func (s *stallable) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }
func (s *stallable) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = t
	return nil
}
func (*stallable) SetWriteDeadline(time.Time) error { return nil }

// pipe is an unbounded buffer that can be held shut.
type pipe struct {
	mu     sync.Mutex
	buf    []byte
	held   bool
	closed bool
	wake   chan struct{}
}

func newPipe() *pipe { return &pipe{wake: make(chan struct{})} }

func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.wake)
	p.wake = make(chan struct{})
}

func (p *pipe) hold(held bool) { p.change(func() { p.held = held }) }
func (p *pipe) close()         { p.change(func() { p.closed = true }) }

func (p *pipe) write(b []byte) (int, error) {
	err := error(nil)
	p.change(func() {
		if p.closed {
			err = net.ErrClosed
			return
		}
		p.buf = append(p.buf, b...)
	})
	return len(b), err
}

func (p *pipe) read(b []byte, until time.Time) (int, error) {
	var expired <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		expired = t.C
	}
	for {
		p.mu.Lock()
		if len(p.buf) > 0 && !p.held {
			n := copy(b, p.buf)
			p.buf = p.buf[:copy(p.buf, p.buf[n:])]
			p.mu.Unlock()
			return n, nil
		}
		if p.closed {
			p.mu.Unlock()
			return 0, net.ErrClosed
		}
		wake := p.wake
		p.mu.Unlock()
		select {
		case <-wake:
		case <-expired:
			return 0, os.ErrDeadlineExceeded
		}
	}
}
