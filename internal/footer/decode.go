package footer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"gx1replay/internal/run"
)

// Decode reads a footer that came from the bus. It takes a non-finite number
// anywhere as 0 and notes the field's name; unknown fields are passed over; a
// wrong type, a null, a field that stands twice or a missing map is an error.
// Whether the footer fits the plan, Check says.
func Decode(b []byte) (f Footer, err error) {
	if len(b) > MaxEncodedBytes {
		return Footer{}, fmt.Errorf("footer has %d bytes (at most %d)", len(b), MaxEncodedBytes)
	}
	if err := run.CheckPayload(b); err != nil {
		return Footer{}, fmt.Errorf("decoding a footer: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			f, err = Footer{}, fmt.Errorf("decoding a footer: malformed: %v", p)
		}
	}()
	d := decoder{msgpack.NewDecoder(bytes.NewReader(b))}
	if err := d.footer(&f); err != nil {
		return Footer{}, fmt.Errorf("decoding a footer: %w", err)
	}
	f = f.Normalize()
	if err := f.checkSizes(); err != nil {
		return Footer{}, fmt.Errorf("decoding a footer: %w", err)
	}
	return f, nil
}

type decoder struct{ *msgpack.Decoder }

// errNonfinite is a number that is NaN or infinite, where the caller goes on
// with 0.
var errNonfinite = errors.New("not a finite number")

func (d decoder) footer(f *Footer) error {
	n, err := d.DecodeMapLen()
	if err != nil {
		return err
	}
	if n < 0 {
		return errors.New("it is null (want a map)")
	}
	seen := make([]bool, len(fields))
	next := 0 // fields mostly come in our own order
	var nonfinite []string
	for range n {
		name, err := d.text()
		if err != nil {
			return fmt.Errorf("a field's name: %w", err)
		}
		i := next
		if i == len(fields) || fields[i].Name != name {
			i = slices.IndexFunc(fields, func(k Field) bool { return k.Name == name })
		}
		if i < 0 {
			if err := d.Skip(); err != nil {
				return fmt.Errorf("unknown field %.40q: %w", name, err)
			}
			continue
		}
		if seen[i] {
			return fmt.Errorf("field %s appears twice", name)
		}
		seen[i] = true
		next = i + 1
		field := &fields[i]
		if err := d.value(field.pointer(f, field.offset)); errors.Is(err, errNonfinite) {
			nonfinite = append(nonfinite, name)
		} else if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
	}
	f.NonfiniteFields = append(f.NonfiniteFields, nonfinite...)
	return nil
}

// value decodes one field. It returns errNonfinite, the field being read to
// its end, when a number in it was taken as 0.
func (d decoder) value(ptr any) (err error) {
	switch p := ptr.(type) {
	case *int64:
		*p, err = d.int64()
	case *uint64:
		*p, err = d.uint64()
	case *float64:
		*p, err = d.float64()
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
		if err = d.notNull("a truth value"); err == nil {
			*p, err = d.DecodeBool()
		}
	case *json.RawMessage:
		if err = d.notNull("a JSON text"); err == nil {
			*p, err = d.DecodeBytes()
		}
	case *Counts:
		*p, err = d.counts()
	case *[]string:
		*p, err = d.names()
	case *[]Artifact:
		*p, err = d.artifacts()
	case *[]Checkpoint:
		*p, err = d.checkpoints()
	default:
		err = fmt.Errorf("no decoder for %T", ptr)
	}
	return err
}

func (d decoder) notNull(want string) error {
	c, err := d.PeekCode()
	if err == nil && c == msgpcode.Nil {
		err = fmt.Errorf("null is not %s", want)
	}
	return err
}

// number is a msgpack number of any of its kinds.
type number struct {
	isFloat    bool
	isUnsigned bool
	f          float64
	i          int64
	u          uint64
}

// number reads a number; errNonfinite, and 0, if it is none that is finite.
func (d decoder) number() (number, error) {
	if err := d.notNull("a number"); err != nil {
		return number{}, err
	}
	c, err := d.PeekCode()
	if err != nil {
		return number{}, err
	}
	switch c {
	case msgpcode.Float, msgpcode.Double:
		f, err := d.DecodeFloat64()
		if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return number{}, errNonfinite
		}
		return number{isFloat: true, f: f}, err
	case msgpcode.Uint64:
		u, err := d.DecodeUint64()
		return number{isUnsigned: true, u: u}, err
	}
	i, err := d.DecodeInt64()
	return number{i: i}, err
}

func (d decoder) int64() (int64, error) {
	n, err := d.number()
	switch {
	case err != nil:
		return 0, err
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

func (d decoder) uint64() (uint64, error) {
	n, err := d.number()
	switch {
	case err != nil:
		return 0, err
	case n.isUnsigned:
		return n.u, nil
	case n.isFloat && (n.f != math.Trunc(n.f) || math.Abs(n.f) > 1<<53):
		return 0, fmt.Errorf("%v is not an integer", n.f)
	case n.isFloat:
		n.i = int64(n.f)
	}
	if n.i < 0 {
		return 0, fmt.Errorf("%d is negative", n.i)
	}
	return uint64(n.i), nil
}

func (d decoder) float64() (float64, error) {
	n, err := d.number()
	switch {
	case err != nil:
		return 0, err
	case n.isFloat:
		return n.f, nil
	case n.isUnsigned:
		return float64(n.u), nil
	}
	return float64(n.i), nil
}

func (d decoder) text() (string, error) {
	c, err := d.PeekCode()
	if err != nil {
		return "", err
	}
	if c == msgpcode.Nil {
		return "", errors.New("null is not a text")
	}
	if !msgpcode.IsString(c) {
		return "", fmt.Errorf("code %#x is not a text", c)
	}
	return d.DecodeString()
}

// length reads the head of a list or map, given its library reader.
func length(read func() (int, error), most int) (int, error) {
	n, err := read()
	if err != nil {
		return 0, err
	}
	if n < 0 || n > most {
		return 0, fmt.Errorf("%d entries (want 0 to %d)", n, most)
	}
	return n, nil
}

func (d decoder) counts() (Counts, error) {
	n, err := length(d.DecodeMapLen, MaxReasons)
	if err != nil {
		return nil, err
	}
	c := make(Counts, n)
	var nonfinite error
	for range n {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, twice := c[name]; twice {
			return nil, fmt.Errorf("name %.40q appears twice", name)
		}
		if c[name], err = d.int64(); errors.Is(err, errNonfinite) {
			nonfinite = err
		} else if err != nil {
			return nil, fmt.Errorf("%.40q: %w", name, err)
		}
	}
	return c, nonfinite
}

func (d decoder) names() ([]string, error) {
	n, err := length(d.DecodeArrayLen, maxNames)
	if err != nil {
		return nil, err
	}
	names := make([]string, n)
	for i := range names {
		if names[i], err = d.text(); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (d decoder) artifacts() ([]Artifact, error) {
	n, err := length(d.DecodeArrayLen, maxArtifacts)
	if err != nil {
		return nil, err
	}
	var list []Artifact
	var nonfinite error
	for i := range n {
		a, err := d.artifact()
		if errors.Is(err, errNonfinite) {
			nonfinite = err
		} else if err != nil {
			return nil, fmt.Errorf("artifact %d: %w", i, err)
		}
		list = append(list, a)
	}
	return list, nonfinite
}

func (d decoder) artifact() (Artifact, error) {
	n, err := length(d.DecodeMapLen, math.MaxInt32)
	if err != nil {
		return Artifact{}, err
	}
	var a Artifact
	var nonfinite error
	for range n {
		name, err := d.text()
		if err != nil {
			return Artifact{}, err
		}
		switch name {
		case "name":
			a.Name, err = d.text()
		case "bytes":
			a.Bytes, err = d.int64()
		case "sha256":
			a.SHA256, err = d.text()
		case "parts":
			var parts int64
			parts, err = d.int64()
			a.Parts = int(parts)
		default:
			err = d.Skip()
		}
		if errors.Is(err, errNonfinite) {
			nonfinite = err
		} else if err != nil {
			return Artifact{}, fmt.Errorf("%.40s: %w", name, err)
		}
	}
	return a, nonfinite
}

func (d decoder) checkpoints() ([]Checkpoint, error) {
	n, err := length(d.DecodeArrayLen, MaxCheckpoints)
	if err != nil {
		return nil, err
	}
	var list []Checkpoint
	var nonfinite error
	for i := range n {
		k, err := d.DecodeArrayLen()
		if err == nil && k != checkpointColumns && k != earlierColumns {
			err = fmt.Errorf("%d numbers (want %d)", k, checkpointColumns)
		}
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", i, err)
		}
		var c Checkpoint
		for j := range c[:k] {
			if c[j], err = d.int64(); errors.Is(err, errNonfinite) {
				nonfinite = err
			} else if err != nil {
				return nil, fmt.Errorf("checkpoint %d: %w", i, err)
			}
		}
		list = append(list, c)
	}
	return list, nonfinite
}
