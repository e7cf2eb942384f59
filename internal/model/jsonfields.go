package model

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// shape is what may stand in a place of a JSON document. The nil shape is
// anything; one without keys is a list or a value, of whose elements item is the
// shape.
type shape struct {
	keys map[string]*shape // of an object: the closed list of its keys
	item *shape            // of each element of a list
}

// fields makes the shape of an object in which these keys hold anything.
func fields(names ...string) *shape {
	s := &shape{keys: map[string]*shape{}}
	for _, name := range names {
		s.keys[name] = nil
	}
	return s
}

// with is s with one more key.
func (s *shape) with(key string, of *shape) *shape {
	s.keys[key] = of
	return s
}

// unknownField is a key of a document that its shape does not list, or lists
// once and the document holds twice.
type unknownField struct {
	path  string
	twice bool
}

// checkFields compares each key of a document with the closed list of its
// place. Keys are compared as they are written: encoding/json takes "Trees" for
// "trees" and the last of two, and a library does neither. The document must be
// valid JSON.
func checkFields(doc []byte, s *shape) *unknownField {
	w := fieldWalk{rest: doc}
	return w.value(s)
}

// maxShownKey is how many bytes of a key an error names.
const maxShownKey = 80

// fieldWalk walks through a valid document once and allocates no value.
type fieldWalk struct {
	rest []byte
	path []byte
}

// value takes one value.
func (w *fieldWalk) value(s *shape) *unknownField {
	w.blanks()
	switch {
	case len(w.rest) == 0:
	case s != nil && s.keys != nil && w.rest[0] == '{':
		return w.object(s)
	case s != nil && s.item != nil && w.rest[0] == '[':
		return w.list(s)
	default:
		w.skip()
	}
	return nil
}

// skip takes one value, whatever is in it.
func (w *fieldWalk) skip() {
	for depth := 0; len(w.rest) > 0; {
		switch w.rest[0] {
		case '"':
			w.text()
		case '{', '[':
			depth++
			w.take(1)
		case '}', ']':
			depth--
			w.take(1)
		default:
			end := bytes.IndexAny(w.rest, `"{}[]`)
			if depth == 0 {
				end = bytes.IndexAny(w.rest, ",]} \t\r\n")
			}
			if end < 0 {
				end = len(w.rest)
			}
			w.take(end)
		}
		if depth == 0 {
			return
		}
	}
}

func (w *fieldWalk) object(s *shape) *unknownField {
	seen := make(map[string]bool, len(s.keys))
	parent := len(w.path)
	for w.open(); len(w.rest) > 0 && w.rest[0] != '}'; w.comma() {
		key := string(w.text())
		if parent > 0 {
			w.path = append(w.path, '.')
		}
		w.path = append(w.path, key[:min(len(key), maxShownKey)]...)
		of, known := s.keys[key]
		if !known || seen[key] {
			return &unknownField{string(w.path), known}
		}
		seen[key] = true
		w.blanks()
		w.take(1) // the colon
		if u := w.value(of); u != nil {
			return u
		}
		w.path = w.path[:parent]
	}
	w.take(1)
	return nil
}

func (w *fieldWalk) list(s *shape) *unknownField {
	parent := len(w.path)
	i := 0
	for w.open(); len(w.rest) > 0 && w.rest[0] != ']'; w.comma() {
		w.path = append(strconv.AppendInt(append(w.path, '['), int64(i), 10), ']')
		if u := w.value(s.item); u != nil {
			return u
		}
		w.path = w.path[:parent]
		i++
	}
	w.take(1)
	return nil
}

// open takes the first byte of an object or list.
func (w *fieldWalk) open() {
	w.take(1)
	w.blanks()
}

// comma takes what stands between two elements.
func (w *fieldWalk) comma() {
	w.blanks()
	if len(w.rest) > 0 && w.rest[0] == ',' {
		w.open()
	}
}

// text takes a string and returns what stands between its quotes.
func (w *fieldWalk) text() []byte {
	for i := 1; i < len(w.rest); i++ {
		switch w.rest[i] {
		case '\\':
			i++
		case '"':
			t := w.rest[1:i]
			w.take(i + 1)
			return t
		}
	}
	w.rest = nil
	return nil
}

func (w *fieldWalk) take(n int) { w.rest = w.rest[min(n, len(w.rest)):] }

func (w *fieldWalk) blanks() { w.rest = bytes.TrimLeft(w.rest, " \t\r\n") }

// error names the field, and the newest version whose fields are known.
func (u *unknownField) error(name, library, newest string) error {
	if u.twice {
		return fieldError(name, u.path, "appears twice (want it once)")
	}
	return fieldError(name, u.path, "is an unknown field, which may change predictions (want the fields of %s up to %s alone)", library, newest)
}

// errNewer is the base of an error about a file of a later version.
var errNewer = errors.New("is newer than the newest known version")

// newerVersion is the error of a file of a version that is not known yet.
func newerVersion(name, version, newest string) error {
	return fmt.Errorf("%s: version: %.40s %w, %s (--accept-newer-model reads it like that one; unknown fields stay errors)", name, version, errNewer, newest)
}
