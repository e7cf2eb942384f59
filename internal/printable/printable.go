// Package printable makes text that comes from elsewhere, a command or the bus,
// fit for a terminal and for a line of a report: it takes away what would move
// the cursor, colour or hide the rest, or turn its direction around.
package printable

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Is reports whether r shows itself and does nothing else: it is no control
// character (C0, DEL, C1), no separator of lines or paragraphs, and does not set
// the direction of text.
func Is(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= ' ' && r != 0x7f
	}
	return !unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// Line is text as one line: a blank stands in the place of what is not
// printable, ends of lines and tabs among it. What is not UTF-8 is shown as
// U+FFFD.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if !Is(r) {
			return ' '
		}
		return r
	}, text)
}

// Text is text of several lines. They end with \n, \r\n or \r, as progress bars
// do, and may hold tabs. What else is not printable is shown as its number,
// \u001b, as JSON writes it, so that JSON stays what it is. What is not UTF-8 is
// shown as U+FFFD.
func Text(text string) string {
	if !strings.ContainsFunc(text, unfit) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 16)
	for i, r := range text {
		switch {
		case r == '\r' && strings.HasPrefix(text[i+1:], "\n"):
		case r == '\r':
			b.WriteByte('\n')
		case unfit(r) && r != utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r) // a byte that is not UTF-8 becomes U+FFFD
		}
	}
	return b.String()
}

func unfit(r rune) bool { return !Is(r) && r != '\n' && r != '\t' || r == utf8.RuneError }

// Writer writes Text to another writer. Its methods may be called from several
// goroutines.
type Writer struct {
	to io.Writer

	mu   sync.Mutex
	part []byte // of a character, or a \r whose \n may follow
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Unwrap is the writer to which w writes, for what is known to be harmless.
func (w *Writer) Unwrap() io.Writer { return w.to }

// Write takes all of p. The beginning of a character at its end waits for the
// rest.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(w.part) + string(p)
	end := len(text)
	if strings.HasSuffix(text, "\r") {
		end--
	}
	for k := 1; k < utf8.UTFMax && k <= len(text); k++ {
		if c := text[len(text)-k]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(text[len(text)-k:]) {
				end = len(text) - k
			}
			break
		}
	}
	w.part = append(w.part[:0], text[end:]...)
	if end == 0 {
		return len(p), nil
	}
	if _, err := io.WriteString(w.to, Text(text[:end])); err != nil {
		return 0, err
	}
	return len(p), nil
}
