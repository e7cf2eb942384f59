package progress

import (
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Live keeps one line up to date at the end of a terminal; elsewhere it draws
// nothing. Several goroutines may call its methods. They block while the terminal
// is held (Ctrl-S).
type Live struct {
	out   io.Writer
	color bool
	width func() (columns int, ok bool) // ok false: no terminal

	mu    sync.Mutex
	last  State
	shown int // columns of the line that stands there; 0: none
}

// NewLive returns a Live on f, which it does not close.
func NewLive(f *os.File, color bool) *Live {
	fd := int(f.Fd())
	tty := term.IsTerminal(fd)
	return &Live{out: f, color: color, width: func() (int, bool) {
		if !tty {
			return 0, false
		}
		width, _, err := term.GetSize(fd)
		return width, err == nil
	}}
}

// Draw shows s in place of what is shown.
func (l *Live) Draw(s State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = s
	l.write(l.clear() + l.line())
}

// Clear removes the line.
func (l *Live) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(l.clear())
}

// Write prints p, whole lines, above the live line. Off a terminal it writes
// p alone. So a log and a live line share a terminal.
func (l *Live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := l.shown > 0
	l.write(l.clear())
	n, err := l.out.Write(p)
	if again && err == nil {
		l.write(l.line())
	}
	return n, err
}

// clear returns what removes the line. A terminal that was made narrower has
// wrapped it, and the cursor is in the last of its rows.
func (l *Live) clear() string {
	if l.shown == 0 {
		return ""
	}
	up := 0
	if width, ok := l.width(); ok && width > 0 {
		up = (l.shown - 1) / width
	}
	l.shown = 0
	return strings.Repeat("\x1b[A", up) + "\r\x1b[J"
}

// line returns the line to show and its length. The last column stays free: behind
// it, terminals differ in where the cursor goes.
func (l *Live) line() string {
	width, ok := l.width()
	if !ok {
		return ""
	}
	l.shown = columns(Render(l.last, width-1, false))
	return Render(l.last, width-1, l.color)
}

// write prints s in one piece, so that nothing flickers.
func (l *Live) write(s string) {
	if s != "" {
		_, _ = io.WriteString(l.out, s)
	}
}
