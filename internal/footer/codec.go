package footer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Schema is the version of the footer's names and meanings. Added fields do
// not raise it.
const Schema = 1

const (
	// MaxEncodedBytes bounds an encoded footer. Two of them, an attempt's own
	// and the best, fit into the 1 MiB that a NATS server takes by default.
	MaxEncodedBytes = 384 << 10
	// MaxCheckpoints bounds the checkpoints of one footer, about 25 bytes each.
	MaxCheckpoints = 8192
	maxArtifacts   = 4096
	maxNames       = 256
	maxDepth       = 16 // of unknown values that are skipped
)

// Normalize returns f as it may be written: a NaN or an infinity is 0 with
// the field's name in NonfiniteFields, texts are valid UTF-8, the traceback
// is at most MaxTraceLen characters (its end, which names the error), and
// nothing is nil.
func (f Footer) Normalize() Footer {
	bad := slices.Clone(f.NonfiniteFields)
	for _, r := range f.refs() {
		switch p := r.ptr.(type) {
		case *float64:
			if math.IsNaN(*p) || math.IsInf(*p, 0) {
				*p = 0
				bad = append(bad, r.name)
			}
			if *p == 0 {
				*p = 0 // -0 is written as 0
			}
		case *string:
			*p = strings.ToValidUTF8(*p, "\uFFFD")
		}
	}
	f.NonfiniteFields = sortedSet(bad)
	f.Unreported = sortedSet(f.Unreported)
	f.ErrorTraceback = lastRunes(f.ErrorTraceback, MaxTraceLen)
	if !jsonObject(f.Child) {
		f.Child = json.RawMessage("{}")
	}
	if f.SkipReasons == nil {
		f.SkipReasons = Counts{}
	}
	if f.DropReasons == nil {
		f.DropReasons = Counts{}
	}
	if f.Artifacts == nil {
		f.Artifacts = []Artifact{}
	}
	if f.Checkpoints == nil {
		f.Checkpoints = []Checkpoint{}
	}
	return f
}

func jsonObject(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && b[0] == '{' && json.Valid(b)
}

func sortedSet(names []string) []string {
	s := slices.Clone(names)
	slices.Sort(s)
	s = slices.Compact(s)
	if s == nil {
		s = []string{}
	}
	return s
}

// lastRunes returns the last n characters of s.
func lastRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	over := utf8.RuneCountInString(s) - n
	for i := range s {
		if over <= 0 {
			return s[i:]
		}
		over--
	}
	return s
}

// Encode returns f, normalized, as msgpack. The same footer always gives the
// same bytes.
func (f Footer) Encode() ([]byte, error) {
	b, err := msgpack.Marshal(f.Normalize())
	if err != nil {
		return nil, fmt.Errorf("encoding the footer of chunk %d: %w", f.ChunkIdx, err)
	}
	if len(b) > MaxEncodedBytes {
		return nil, fmt.Errorf("the footer of chunk %d has %d bytes (at most %d)", f.ChunkIdx, len(b), MaxEncodedBytes)
	}
	return b, nil
}

// AppendJSON appends f, normalized, to dst as one JSON object on one line,
// its fields in the order of the struct.
func (f Footer) AppendJSON(dst []byte) ([]byte, error) {
	b, err := json.Marshal(f.Normalize())
	if err != nil {
		return dst, fmt.Errorf("encoding the footer of chunk %d: %w", f.ChunkIdx, err)
	}
	return append(dst, b...), nil
}

// DecodeJSON reads what AppendJSON wrote.
func DecodeJSON(b []byte) (Footer, error) {
	if len(b) > 4*MaxEncodedBytes {
		return Footer{}, fmt.Errorf("footer has %d bytes of JSON (at most %d)", len(b), 4*MaxEncodedBytes)
	}
	var f Footer
	if err := json.Unmarshal(b, &f); err != nil {
		return Footer{}, fmt.Errorf("decoding a footer: %w", err)
	}
	return f.Normalize(), nil
}

// Decode reads a footer that came from the bus. It takes a non-finite number
// in any numeric field as 0 and notes the name; unknown fields are passed
// over; a wrong type, a null or a missing map is an error. Whether the footer
// fits the plan, Check says.
func Decode(b []byte) (f Footer, err error) {
	if len(b) > MaxEncodedBytes {
		return Footer{}, fmt.Errorf("footer has %d bytes (at most %d)", len(b), MaxEncodedBytes)
	}
	defer func() {
		if p := recover(); p != nil {
			f, err = Footer{}, fmt.Errorf("decoding a footer: malformed: %v", p)
		}
	}()
	r := bytes.NewReader(b)
	d := decoder{msgpack.NewDecoder(r)}
	if err := d.footer(&f); err != nil {
		return Footer{}, fmt.Errorf("decoding a footer: %w", err)
	}
	if r.Len() > 0 {
		return Footer{}, fmt.Errorf("decoding a footer: %d bytes follow its end", r.Len())
	}
	return f.Normalize(), nil
}

type decoder struct{ *msgpack.Decoder }

func (d decoder) footer(f *Footer) error {
	n, err := d.DecodeMapLen()
	if err != nil {
		return err
	}
	if n < 0 {
		return errors.New("it is null (want a map)")
	}
	refs := f.refs()
	next := 0 // fields mostly come in our own order
	for range n {
		name, err := d.DecodeString()
		if err != nil {
			return fmt.Errorf("a field's name: %w", err)
		}
		i := slices.IndexFunc(refs[next:], func(r ref) bool { return r.name == name })
		if i >= 0 {
			i += next
		} else {
			i = slices.IndexFunc(refs, func(r ref) bool { return r.name == name })
		}
		if i < 0 {
			if err := d.skip(maxDepth); err != nil {
				return fmt.Errorf("unknown field %.40q: %w", name, err)
			}
			continue
		}
		next = i + 1
		finite, err := d.value(refs[i].ptr)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		if !finite {
			f.NonfiniteFields = append(f.NonfiniteFields, name)
		}
	}
	return nil
}

// value decodes one field; finite is false for a number that is not.
func (d decoder) value(ptr any) (finite bool, err error) {
	switch p := ptr.(type) {
	case *int64:
		v, err := d.number()
		if err != nil {
			return true, err
		}
		if v.isFloat && (math.IsNaN(v.f) || math.IsInf(v.f, 0)) {
			return false, nil
		}
		*p, err = v.int64()
		return true, err
	case *uint64:
		v, err := d.number()
		if err != nil {
			return true, err
		}
		if v.isFloat && (math.IsNaN(v.f) || math.IsInf(v.f, 0)) {
			return false, nil
		}
		*p, err = v.uint64()
		return true, err
	case *float64:
		v, err := d.number()
		if err != nil {
			return true, err
		}
		*p = v.float64() // Normalize deals with what is not finite
		return true, nil
	case *string:
		*p, err = d.text()
	case *Status:
		var s string
		s, err = d.text()
		*p = Status(s)
	case *Phase:
		var s string
		s, err = d.text()
		*p = Phase(s)
	case *bool:
		*p, err = d.DecodeBool()
	case *json.RawMessage:
		*p, err = d.DecodeBytes()
	case *Counts:
		*p, err = d.counts()
	case *[]string:
		var names []string
		names, err = d.names()
		*p = append(*p, names...)
	case *[]Artifact:
		*p, err = d.artifacts()
	case *[]Checkpoint:
		*p, err = d.checkpoints()
	default:
		err = fmt.Errorf("no decoder for %T", ptr)
	}
	return true, err
}

// number is a msgpack number of any of its kinds.
type number struct {
	isFloat    bool
	isUnsigned bool
	f          float64
	i          int64
	u          uint64
}

func (d decoder) number() (number, error) {
	c, err := d.PeekCode()
	if err != nil {
		return number{}, err
	}
	switch c {
	case msgpcode.Float, msgpcode.Double:
		f, err := d.DecodeFloat64()
		return number{isFloat: true, f: f}, err
	case msgpcode.Uint64:
		u, err := d.DecodeUint64()
		return number{isUnsigned: true, u: u}, err
	case msgpcode.Nil:
		return number{}, errors.New("null is not a number")
	}
	i, err := d.DecodeInt64()
	return number{i: i}, err
}

func (n number) int64() (int64, error) {
	switch {
	case n.isFloat:
		if n.f != math.Trunc(n.f) || math.Abs(n.f) > 1<<53 {
			return 0, fmt.Errorf("%v is not an integer", n.f)
		}
		return int64(n.f), nil
	case n.isUnsigned:
		if n.u > math.MaxInt64 {
			return 0, fmt.Errorf("%d is out of range", n.u)
		}
		return int64(n.u), nil
	}
	return n.i, nil
}

func (n number) uint64() (uint64, error) {
	if n.isUnsigned {
		return n.u, nil
	}
	i, err := n.int64()
	if err != nil {
		return 0, err
	}
	if i < 0 {
		return 0, fmt.Errorf("%d is negative", i)
	}
	return uint64(i), nil
}

func (n number) float64() float64 {
	switch {
	case n.isFloat:
		return n.f
	case n.isUnsigned:
		return float64(n.u)
	}
	return float64(n.i)
}

func (d decoder) text() (string, error) {
	c, err := d.PeekCode()
	if err != nil {
		return "", err
	}
	if c == msgpcode.Nil {
		return "", errors.New("null is not a text")
	}
	return d.DecodeString()
}

func (d decoder) counts() (Counts, error) {
	n, err := d.DecodeMapLen()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > MaxReasons {
		return nil, fmt.Errorf("%d entries (want 0 to %d)", n, MaxReasons)
	}
	c := make(Counts, n)
	for range n {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if len(name) > MaxReasonLen {
			return nil, fmt.Errorf("name %.20q… has %d bytes (at most %d)", name, len(name), MaxReasonLen)
		}
		v, err := d.number()
		if err != nil {
			return nil, err
		}
		if c[strings.ToValidUTF8(name, "\uFFFD")], err = v.int64(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// length reads the head of a list.
func (d decoder) length(most int) (int, error) {
	n, err := d.DecodeArrayLen()
	if err != nil {
		return 0, err
	}
	if n < 0 || n > most {
		return 0, fmt.Errorf("a list of %d (want 0 to %d)", n, most)
	}
	return n, nil
}

func (d decoder) names() ([]string, error) {
	n, err := d.length(maxNames)
	if err != nil {
		return nil, err
	}
	var names []string
	for range n {
		s, err := d.text()
		if err != nil {
			return nil, err
		}
		names = append(names, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return names, nil
}

func (d decoder) artifacts() ([]Artifact, error) {
	n, err := d.length(maxArtifacts)
	if err != nil {
		return nil, err
	}
	var list []Artifact
	for range n {
		if c, err := d.PeekCode(); err != nil {
			return nil, err
		} else if c == msgpcode.Nil {
			return nil, errors.New("null is not an artifact")
		}
		var a Artifact
		if err := d.Decoder.Decode(&a); err != nil {
			return nil, err
		}
		a.Name = strings.ToValidUTF8(a.Name, "\uFFFD")
		list = append(list, a)
	}
	return list, nil
}

func (d decoder) checkpoints() ([]Checkpoint, error) {
	n, err := d.length(MaxCheckpoints)
	if err != nil {
		return nil, err
	}
	var list []Checkpoint
	for range n {
		k, err := d.length(len(Checkpoint{}))
		if err != nil {
			return nil, err
		}
		if k != len(Checkpoint{}) {
			return nil, fmt.Errorf("a checkpoint of %d numbers (want %d)", k, len(Checkpoint{}))
		}
		var c Checkpoint
		for i := range c {
			v, err := d.number()
			if err != nil {
				return nil, err
			}
			if c[i], err = v.int64(); err != nil {
				return nil, err
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// skip passes over one value. The library's own Skip recurses as deep as the
// input says.
func (d decoder) skip(depth int) error {
	if depth == 0 {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	c, err := d.PeekCode()
	if err != nil {
		return err
	}
	n := 0
	switch {
	case msgpcode.IsFixedArray(c), c == msgpcode.Array16, c == msgpcode.Array32:
		n, err = d.DecodeArrayLen()
	case msgpcode.IsFixedMap(c), c == msgpcode.Map16, c == msgpcode.Map32:
		n, err = d.DecodeMapLen()
		n *= 2
	default:
		return d.Skip()
	}
	for i := 0; i < n && err == nil; i++ {
		err = d.skip(depth - 1)
	}
	return err
}

// EncodeMsgpack writes the names in order, so that equal counts give equal
// bytes.
func (c Counts) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeMapLen(len(c)); err != nil {
		return err
	}
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := e.EncodeString(name); err != nil {
			return err
		}
		if err := e.EncodeInt(c[name]); err != nil {
			return err
		}
	}
	return nil
}
