package embedded

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"gx1replay/internal/loglimit"
)

// fatalText takes the first fatal message of the server, whose stock logger would
// end the process.
type fatalText chan string

// logAdapter takes the server's log. Warnings and errors are limited: anybody who
// reaches the port can cause them.
type logAdapter struct {
	log   *slog.Logger
	lines *loglimit.Limiter
	fatal fatalText
	// broken, if not nil, is called with the message about a file that cannot be
	// written. It must not block.
	broken func(string)
}

func (l logAdapter) Noticef(f string, v ...any) { l.log.Debug(fmt.Sprintf(f, v...)) }
func (l logAdapter) Warnf(f string, v ...any)   { l.limited(slog.LevelWarn, f, v) }
func (l logAdapter) Errorf(f string, v ...any) {
	if l.broken != nil && !ofClient(f) && strings.Contains(strings.ToLower(f), writeError) {
		l.broken(fmt.Sprintf(f, v...))
	}
	l.limited(slog.LevelError, f, v)
}
func (l logAdapter) Debugf(f string, v ...any) { l.log.Debug(fmt.Sprintf(f, v...)) }
func (l logAdapter) Tracef(f string, v ...any) { l.log.Debug(fmt.Sprintf(f, v...)) }
func (l logAdapter) Fatalf(f string, v ...any) {
	text := fmt.Sprintf(f, v...)
	l.log.Error(text)
	select {
	case l.fatal <- text:
	default:
	}
}

// writeError is in the message about a stream that cannot be written: the server
// stores nothing more there and answers no publisher.
const writeError = "critical write error"

func (l logAdapter) limited(level slog.Level, f string, v []any) {
	l.lines.Log(level, kind(f), fmt.Sprintf(f, v...))
}

// clientID stands in each format of a line about a client, behind its address.
const clientID = " - cid:"

// ofClient reports whether the format is of a message about a client. The names
// that the client and its library give themselves are in it.
func ofClient(f string) bool { return strings.Contains(f, clientID) }

// kind is a format without what differs between clients: before it stand address,
// number, quoted names and quoted user, behind it perhaps quoted what the client
// sent.
func kind(f string) string {
	_, text, ok := strings.Cut(f, clientID)
	if !ok {
		return f
	}
	_, text, _ = strings.Cut(text, " - ")
	for {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			break
		}
		text = strings.TrimPrefix(text[len(quoted):], " - ")
	}
	text, _, _ = strings.Cut(text, `"`)
	return clientID + text
}
