// Package loglimit bounds log lines that others can cause.
package loglimit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// Window is the time over which lines are counted.
	Window = 10 * time.Second
	// Burst is how many lines of one message are written in a window. Some are
	// of use, as each may name something else; a thousand are not.
	Burst = 10
	// maxMessages bounds the messages that are counted separately.
	maxMessages = 256
)

// Limiter writes the first Burst lines of a message in each Window and counts
// the rest. The first line after that says how many were left out, in the
// attribute suppressed; so does Close. Its methods may be called from any
// goroutine.
type Limiter struct {
	log *slog.Logger

	mu     sync.Mutex
	counts map[line]*count
}

type line struct {
	level slog.Level
	msg   string
}

type count struct {
	since      time.Time
	written    int
	suppressed int
}

// New makes a Limiter that writes to log.
func New(log *slog.Logger) *Limiter { return &Limiter{log: log, counts: map[line]*count{}} }

// Info writes a line if it is not one too many.
func (l *Limiter) Info(msg string, args ...any) { l.Log(slog.LevelInfo, msg, msg, args...) }

// Warn writes a line if it is not one too many.
func (l *Limiter) Warn(msg string, args ...any) { l.Log(slog.LevelWarn, msg, msg, args...) }

// Log writes a line if it is not one too many of those with the same level and
// kind.
func (l *Limiter) Log(level slog.Level, kind, msg string, args ...any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	suppressed, write := l.admit(line{level, kind})
	if !write {
		return
	}
	if suppressed > 0 {
		args = append(args[:len(args):len(args)], "suppressed", suppressed)
	}
	l.log.Log(context.Background(), level, msg, args...)
}

func (l *Limiter) admit(k line) (suppressed int, write bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[k]
	if c == nil && len(l.counts) >= maxMessages {
		k = line{level: k.level}
		c = l.counts[k]
	}
	now := time.Now()
	if c == nil {
		c = &count{since: now}
		l.counts[k] = c
	}
	if now.Sub(c.since) >= Window {
		c.since, c.written = now, 0
	}
	if c.written >= Burst {
		c.suppressed++
		return 0, false
	}
	c.written++
	suppressed, c.suppressed = c.suppressed, 0
	return suppressed, true
}

// Close says how many lines were left out since the last that was written. A
// Limiter may be used after it.
func (l *Limiter) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, c := range l.counts {
		if c.suppressed > 0 {
			l.log.Log(context.Background(), k.level, "lines were left out of the log", "message", k.msg, "suppressed", c.suppressed)
			c.suppressed = 0
		}
	}
}
