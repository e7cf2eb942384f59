package loglimit

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gx1replay/test/virtual"
)

func logger(buf *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// A flood writes a burst in each window, and every line that it left out is
// counted once.
func TestAFloodIsCounted(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		l := New(logger(&buf))
		const n, every = 400_000, 100 * time.Microsecond // 40 s
		for k := range n {
			l.Warn("too many", "k", k)
			time.Sleep(every)
		}
		l.Info("something else")
		l.Close()
		l.Close() // says nothing twice
		lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
		if want := 4*Burst + 2; len(lines) != want {
			t.Fatalf("%d lines (want %d):\n%s", len(lines), want, buf.String())
		}
		written, suppressed := 0, 0
		for _, text := range lines {
			if strings.Contains(text, `msg="too many"`) {
				written++
			}
			if _, tail, ok := strings.Cut(text, "suppressed="); ok {
				var k int
				if _, err := fmt.Sscan(tail, &k); err != nil {
					t.Fatal(err)
				}
				suppressed += k
			}
		}
		if written+suppressed != n {
			t.Errorf("%d written and %d suppressed (want %d in all)", written, suppressed, n)
		}
	})
}

func TestAQuietLogIsLeftAsItIs(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		l := New(logger(&buf))
		for range 100 {
			l.Warn("now and then", "a", 1)
			time.Sleep(Window / Burst)
		}
		l.Close()
		if got := strings.Count(buf.String(), "level=WARN msg=\"now and then\" a=1\n"); got != 100 || strings.Contains(buf.String(), "suppressed") {
			t.Errorf("%d lines (want 100, none suppressed):\n%s", got, buf.String())
		}
	})
}

// What differs from line to line fills no memory.
func TestMessagesAreBounded(t *testing.T) {
	var buf bytes.Buffer
	l := New(logger(&buf))
	for k := range 10_000 {
		l.Log(slog.LevelWarn, fmt.Sprint(k), "line")
	}
	if len(l.counts) > maxMessages+1 {
		t.Errorf("%d messages are remembered (want at most %d)", len(l.counts), maxMessages+1)
	}
	if got := strings.Count(buf.String(), "msg=line"); got > maxMessages+Burst {
		t.Errorf("%d lines (want at most %d)", got, maxMessages+Burst)
	}
}
