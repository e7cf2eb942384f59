package execengine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

func mustLog(t *testing.T, head, tail int64) (*Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l, err := CreateLog(path, head, tail)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// closedLog is what a log of all holds in the end, by its description.
func closedLog(all string, head, tail int) string {
	left := len(all) - head - tail
	if left <= 0 {
		return all
	}
	line := fmt.Sprintf("[… %d bytes are left out here …]\n", left)
	if head > 0 && all[head-1] != '\n' {
		line = "\n" + line
	}
	return all[:head] + line + all[len(all)-tail:]
}

func TestLog(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 99, 100, 101, 5000, 300_000} {
		for _, c := range [][2]int{{0, 0}, {0, 100}, {100, 0}, {60, 40}, {70_000, 30}, {10, 90_000}} {
			head, tail := c[0], c[1]
			var all []byte
			l, path := mustLog(t, int64(head), int64(tail))
			for len(all) < size {
				line := fmt.Appendf(nil, "line %d %s\n", len(all), strings.Repeat("x", r.IntN(80)))
				if r.IntN(50) == 0 {
					line = bytes.Repeat(line, 1000)
				}
				line = line[:min(len(line), size-len(all))]
				if n, err := l.Write(line); n != len(line) || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
				all = append(all, line...)
				most := int64(head + tail + max(tail, logSlack) + 64)
				if info, err := os.Stat(path); err != nil || info.Size() > most {
					t.Fatalf("the file has %v bytes (at most %d): %v", info.Size(), most, err)
				}
				if len(l.last) > 2*tail+1 {
					t.Fatalf("%d bytes are held for a tail of %d", len(l.last), tail)
				}
			}
			// A process that is killed leaves what came last.
			if end := all[max(0, len(all)-tail):]; !strings.HasSuffix(contents(t, path), string(end)) {
				t.Errorf("%d bytes, head %d, tail %d: the end is not in the file before Close", size, head, tail)
			}
			for range 2 {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := contents(t, path), closedLog(string(all), head, tail); got != want {
				t.Errorf("%d bytes, head %d, tail %d: %d bytes, want %d:\n%.300q\n%.300q", size, head, tail, len(got), len(want), got, want)
			}
		}
	}
}

// A disk that is full is the log's trouble, not the writer's.
func TestLog_Full(t *testing.T) {
	l, path := mustLog(t, 10, 10)
	fmt.Fprint(l, "0123456789abcdefghij")
	// Stands for a full disk: the file takes no more writes for a while.
	good := l.f
	full, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l.f = full
	for range 3 {
		if n, err := fmt.Fprint(l, "lost\n"); n != 5 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if !errors.Is(l.err, syscall.EBADF) {
		t.Errorf("error %v", l.err)
	}
	if got := l.Tail(100); got != "lost\nlost" {
		t.Errorf("tail %q", got)
	}
	l.f = good
	if err := l.Close(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("error %v", err)
	}
	full.Close()
	if got, want := contents(t, path), "0123456789\n[… 15 bytes are left out here …]\nlost\nlost\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}

	l, err = CreateLog(filepath.Join(path, "none"), 10, 10)
	if err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	fmt.Fprint(l, "last words")
	if l.Tail(5) != "words" || l.err != err || l.Close() != err {
		t.Errorf("tail %q, %v", l.Tail(5), l.err)
	}
}

func TestLog_Tail(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 10, ""},
		{"one\ntwo\n", 100, "one\ntwo"},
		{"one\r\ntwo\r\n", 100, "one\ntwo"},
		{"one\ntwo\n", 7, "one\ntwo"},
		{"one\ntwo\n", 6, "two"},
		{"one\ntwo", 3, "two"},
		{"one\ntwo", 2, "wo"},
		{"one\ntwo", 0, ""},
		{"one\n\ntwo\n\n\n", 100, "one\n\ntwo"},
		{"10%\r20%\r30%\nerror\n", 100, "30%\nerror"},
		{"10%\r20%\r", 100, "20%"},
		{"æøå\næøå\n", 7, "æøå\næøå"},
		{"æøå\næøå\n", 5, "æøå"},
		{"a\xffb\n", 100, "a\uFFFDb"},
		{"first\n" + strings.Repeat("x", 58) + "\nlast\n", 100, "last"}, // its first line is not whole
	} {
		l, _ := mustLog(t, 10, 60)
		fmt.Fprint(l, c.text)
		if got := l.Tail(c.n); got != c.want {
			t.Errorf("%q, %d characters: %q, want %q", c.text, c.n, got, c.want)
		}
		l.Close()
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte("one\r\ntwo\nø\xff three\rfour\n"), 3, 5, 7)
	f.Fuzz(func(t *testing.T, text []byte, head, tail, n int) {
		if head < 0 || tail < 0 || n < 0 || head > 4096 || tail > 4096 || n > 4096 {
			t.Skip()
		}
		l, path := mustLog(t, int64(head), int64(tail))
		half := len(text) / 2
		l.Write(text[:half])
		l.Write(text[half:])
		got := l.Tail(n)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > n {
			t.Fatalf("the last %d characters: %q", n, got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := contents(t, path), closedLog(string(text), head, tail); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}
