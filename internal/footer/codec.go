package footer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// Schema is the version of the footer's names and meanings. Added fields do
// not raise it.
const Schema = 1

const (
	// MaxEncodedBytes bounds an encoded footer. Two of them, an attempt's own
	// and the best, fit into the 1 MiB that a NATS server takes by default.
	MaxEncodedBytes = 384 << 10
	// MaxCheckpoints bounds the checkpoints of one footer, 64 bytes each.
	MaxCheckpoints = 4096
	maxArtifacts   = 4096
	maxNames       = 256
)

// Normalize returns f as it may be written: a NaN or an infinity is 0 with
// the field's name in NonfiniteFields, texts are valid UTF-8, the error is at
// most MaxTraceLen characters (its beginning), the traceback too (its end,
// which names the error), and nothing is nil.
func (f Footer) Normalize() Footer {
	bad := slices.Clone(f.NonfiniteFields)
	for d, p := range f.all() {
		switch p := p.(type) {
		case *float64:
			if math.IsNaN(*p) || math.IsInf(*p, 0) {
				*p = 0
				bad = append(bad, d.Name)
			}
			if *p == 0 {
				*p = 0 // -0 is written as 0
			}
		case *string:
			*p = valid(*p)
		case *Status:
			*p = Status(valid(string(*p)))
		case *Phase:
			*p = Phase(valid(string(*p)))
		case *Counts:
			*p = p.valid()
		}
	}
	f.NonfiniteFields = sortedSet(bad)
	f.Unreported = sortedSet(f.Unreported)
	f.Error = firstRunes(f.Error, MaxTraceLen)
	f.ErrorTraceback = LastRunes(f.ErrorTraceback, MaxTraceLen)
	if !jsonObject(f.Child) {
		f.Child = json.RawMessage("{}")
	}
	artifacts := make([]Artifact, len(f.Artifacts))
	for i, a := range f.Artifacts {
		a.Name, a.SHA256 = valid(a.Name), valid(a.SHA256)
		artifacts[i] = a
	}
	f.Artifacts = artifacts
	if f.Checkpoints == nil {
		f.Checkpoints = []Checkpoint{}
	}
	return f
}

// valid is s with each run of bytes that is no UTF-8 replaced.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// valid is c with valid names, never nil. Counts whose names become one are
// added, so that their sum stays.
func (c Counts) valid() Counts {
	out := make(Counts, len(c))
	for name, n := range c {
		out[valid(name)] += n
	}
	return out
}

// jsonObject reports whether b is a JSON object in UTF-8, which json.Valid
// does not look at inside of texts.
func jsonObject(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && b[0] == '{' && utf8.Valid(b) && json.Valid(b)
}

func sortedSet(names []string) []string {
	s := slices.Clone(names)
	for i := range s {
		s[i] = valid(s[i])
	}
	slices.Sort(s)
	s = slices.Compact(s)
	if s == nil {
		s = []string{}
	}
	return s
}

// firstRunes returns the first n characters of s.
func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// LastRunes returns the last n characters of s: a traceback ends with what
// went wrong.
func LastRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	at := len(s)
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return s[at:]
}

// Encode returns f, normalized, as msgpack. The same footer always gives the
// same bytes. What Decode would refuse as too large is an error here.
func (f Footer) Encode() ([]byte, error) {
	f = f.Normalize()
	if err := f.checkSizes(); err != nil {
		return nil, fmt.Errorf("encoding the footer of chunk %d: %w", f.ChunkIdx, err)
	}
	b, err := f.pack()
	if err != nil {
		return nil, fmt.Errorf("encoding the footer of chunk %d: %w", f.ChunkIdx, err)
	}
	if len(b) > MaxEncodedBytes {
		return nil, fmt.Errorf("the footer of chunk %d has %d bytes (at most %d)", f.ChunkIdx, len(b), MaxEncodedBytes)
	}
	return b, nil
}

// pack is f as msgpack, its fields by their names in files. Integers and
// floats have their full width.
func (f Footer) pack() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(2 << 10)
	e := msgpack.GetEncoder()
	defer msgpack.PutEncoder(e)
	e.Reset(&b)
	e.SetCustomStructTag("json") // of an Artifact
	if err := e.EncodeMapLen(len(fields)); err != nil {
		return nil, err
	}
	for d, p := range f.all() {
		if err := e.EncodeString(d.Name); err != nil {
			return nil, err
		}
		if err := packValue(e, p); err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, err)
		}
	}
	return b.Bytes(), nil
}

// packValue writes what p points at. The types that most fields have are
// written without the reflection of Encode.
func packValue(e *msgpack.Encoder, p any) error {
	switch p := p.(type) {
	case *int64:
		return e.EncodeInt64(*p)
	case *float64:
		return e.EncodeFloat64(*p)
	case *string:
		return e.EncodeString(*p)
	case *Status:
		return e.EncodeString(string(*p))
	case *Phase:
		return e.EncodeString(string(*p))
	case *Counts:
		return p.EncodeMsgpack(e)
	case *[]Checkpoint:
		return packCheckpoints(e, *p)
	}
	return e.Encode(p)
}

func packCheckpoints(e *msgpack.Encoder, list []Checkpoint) error {
	if err := e.EncodeArrayLen(len(list)); err != nil {
		return err
	}
	for _, c := range list {
		if err := e.EncodeArrayLen(len(c)); err != nil {
			return err
		}
		for _, n := range c {
			if err := e.EncodeInt64(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSizes holds the bounds on what is accepted from the bus.
func (f Footer) checkSizes() error {
	for d, p := range f.all() {
		size, most := 0, 0
		switch p := p.(type) {
		case *Counts:
			size, most = len(*p), MaxReasons
			for name := range *p {
				if len(name) > MaxReasonLen {
					return fmt.Errorf("reason %.20q… has %d bytes (at most %d)", name, len(name), MaxReasonLen)
				}
			}
		case *[]string:
			size, most = len(*p), maxNames
		case *[]Artifact:
			size, most = len(*p), maxArtifacts
		case *[]Checkpoint:
			size, most = len(*p), MaxCheckpoints
		}
		if size > most {
			return fmt.Errorf("%s has %d entries (at most %d)", d.Name, size, most)
		}
	}
	return nil
}

// EncodeMsgpack writes the names in order, so that equal counts give equal
// bytes.
func (c Counts) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeMapLen(len(c)); err != nil {
		return err
	}
	for _, name := range c.names() {
		if err := e.EncodeString(name); err != nil {
			return err
		}
		if err := e.EncodeInt(c[name]); err != nil {
			return err
		}
	}
	return nil
}

// names are the names in c in order.
func (c Counts) names() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
