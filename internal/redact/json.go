package redact

import (
	"bytes"
	"encoding/json"
	"strings"
)

// JSON returns a JSON text without secrets: strings are redacted by their names,
// lists of strings as argument vectors. All else stays, in its order. What is no
// JSON is redacted as text.
func JSON(text []byte) []byte {
	if !json.Valid(text) {
		return []byte(Text(string(text)))
	}
	w := walker{in: text}
	w.value("")
	w.out.Write(w.in[w.at:])
	return w.out.Bytes()
}

type walker struct {
	in  []byte
	at  int
	out bytes.Buffer
}

func (w *walker) skip() {
	begin := w.at
	for w.at < len(w.in) && strings.IndexByte(" \t\r\n,:", w.in[w.at]) >= 0 {
		w.at++
	}
	w.out.Write(w.in[begin:w.at])
}

func (w *walker) copied(n int) {
	w.out.Write(w.in[w.at : w.at+n])
	w.at += n
}

func (w *walker) value(name string) {
	w.skip()
	switch w.in[w.at] {
	case '{':
		w.copied(1)
		for w.skip(); w.in[w.at] != '}'; w.skip() {
			key, raw := w.text()
			w.out.Write(raw)
			w.value(key)
		}
		w.copied(1)
	case '[':
		w.copied(1)
		last := "" // the text before, if it is a flag
		for w.skip(); w.in[w.at] != ']'; w.skip() {
			if w.in[w.at] != '"' {
				w.value(name)
				last = ""
				continue
			}
			s, raw := w.text()
			shown := Args([]string{last, s})[1]
			if !harmless(s) && secret(name, s) {
				shown = Removed
			}
			w.write(s, shown, raw)
			last = s
		}
		w.copied(1)
	case '"':
		s, raw := w.text()
		shown := Text(s)
		if !harmless(s) && secret(name, s) {
			shown = Removed
		}
		w.write(s, shown, raw)
	default:
		for w.at < len(w.in) && strings.IndexByte(" \t\r\n,]}", w.in[w.at]) < 0 {
			w.copied(1)
		}
	}
}

// text takes the string at this place and its JSON.
func (w *walker) text() (s string, raw []byte) {
	end := w.at + 1
	for ; w.in[end] != '"'; end++ {
		if w.in[end] == '\\' {
			end++
		}
	}
	raw = w.in[w.at : end+1]
	w.at = end + 1
	_ = json.Unmarshal(raw, &s) // it is valid
	return s, raw
}

func (w *walker) write(s, shown string, raw []byte) {
	if shown == s {
		w.out.Write(raw)
		return
	}
	b, _ := json.Marshal(shown) // of a text there is no error
	w.out.Write(b)
}
