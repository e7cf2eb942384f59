package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// screen is as much of a terminal as Live uses: it wraps, it reflows when its
// width changes, and it knows \r, \n, cursor up and clear to the end. A row
// that was wrapped goes on in the next.
type screen struct {
	t        *testing.T
	width    int
	rows     []string
	wrapped  []bool
	row, col int
}

func newScreen(t *testing.T, width int) *screen {
	return &screen{t: t, width: width, rows: []string{""}, wrapped: []bool{false}}
}

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b[A"):
			s.row, text = max(s.row-1, 0), text[3:]
			continue
		case strings.HasPrefix(text, "\x1b[J"):
			s.rows = s.rows[:s.row+1]
			s.wrapped = s.wrapped[:s.row+1]
			s.rows[s.row], s.wrapped[s.row] = string([]rune(s.rows[s.row])[:s.col]), false
			text = text[3:]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\x1b':
			s.t.Fatalf("unknown sequence in %q", p)
		case '\r':
			s.col = 0
		case '\n':
			s.next(false)
			s.col = 0
		default:
			if s.col == s.width {
				s.next(true)
			}
			row := []rune(s.rows[s.row])
			s.rows[s.row] = string(append(row[:s.col:s.col], append([]rune{r}, row[min(s.col+1, len(row)):]...)...))
			s.col++
		}
	}
	return len(p), nil
}

func (s *screen) next(wrapped bool) {
	s.wrapped[s.row] = wrapped
	s.row, s.col = s.row+1, 0
	if s.row == len(s.rows) {
		s.rows, s.wrapped = append(s.rows, ""), append(s.wrapped, false)
	}
}

// resize lays everything out anew, the cursor behind the last character, as
// it always is with Live.
func (s *screen) resize(width int) {
	var text strings.Builder
	for i, row := range s.rows {
		text.WriteString(row)
		if !s.wrapped[i] && i < len(s.rows)-1 {
			text.WriteByte('\n')
		}
	}
	fresh := newScreen(s.t, width)
	io.WriteString(fresh, text.String())
	*s = *fresh
}

func (s *screen) String() string { return strings.Join(s.rows, "\n") }

func newLive(s *screen) *Live {
	return &Live{out: s, width: func() (int, bool) { return s.width, true }}
}

func TestLiveKeepsOneLineWhateverTheWidth(t *testing.T) {
	s := newScreen(t, 200)
	l := newLive(s)
	fmt.Fprintln(s, "before")
	for _, width := range []int{200, 40, 7, 120, 3, 2, 80, 20, 200, 1, 60} {
		s.resize(width)
		l.Draw(underWay)
		line := Render(underWay, width-1, false)
		s.resize(1000)
		if want := "before\n" + line; s.String() != want {
			t.Fatalf("width %d: the screen shows\n%s\nwant\n%s", width, s, want)
		}
		s.resize(width)
	}
	s.resize(30) // shrinks between two draws
	l.Clear()
	s.resize(1000)
	if want := "before\n"; s.String() != want {
		t.Errorf("after Clear the screen shows\n%s\nwant\n%s", s, want)
	}
	before := s.String()
	l.Clear()
	if s.String() != before {
		t.Error("a second Clear changes the screen")
	}
}

func TestLiveLetsLogLinesPass(t *testing.T) {
	s := newScreen(t, 50)
	l := newLive(s)
	fmt.Fprintln(l, "one")
	l.Draw(underWay)
	fmt.Fprintln(l, "two")
	fmt.Fprintln(l, "three")
	if want := "one\ntwo\nthree\n" + Render(underWay, 49, false); s.String() != want {
		t.Errorf("the screen shows\n%s\nwant\n%s", s, want)
	}
	l.Clear()
	fmt.Fprintln(l, "four")
	if want := "one\ntwo\nthree\nfour\n"; s.String() != want {
		t.Errorf("the screen shows\n%s\nwant\n%s", s, want)
	}
}

func TestLiveColorTakesNoColumns(t *testing.T) {
	var out bytes.Buffer
	l := &Live{out: &out, color: true, width: func() (int, bool) { return 60, true }}
	l.Draw(underWay)
	if l.shown != columns(Render(underWay, 59, false)) {
		t.Errorf("the line is held to have %d columns", l.shown)
	}
	if out.String() != Render(underWay, 59, true) {
		t.Errorf("drawn: %q", out.String())
	}
}

func TestLiveOffATerminalDrawsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := NewLive(f, true)
	l.Draw(underWay)
	fmt.Fprintln(l, "a log line")
	l.Draw(underWay)
	l.Clear()
	if b, err := os.ReadFile(path); err != nil || string(b) != "a log line\n" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

func TestLiveReturnsTheWritersError(t *testing.T) {
	l := &Live{out: brokenWriter{io.ErrClosedPipe}, width: func() (int, bool) { return 80, true }}
	l.Draw(underWay)
	if _, err := l.Write([]byte("x\n")); err != io.ErrClosedPipe {
		t.Errorf("Write: %v", err)
	}
}
