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
	d := decoder{Decoder: msgpack.NewDecoder(bytes.NewReader(b))}
	if err := d.footer(&f); err != nil {
		return Footer{}, fmt.Errorf("decoding a footer: %w", err)
	}
	f = f.Normalize()
	if err := f.checkSizes(); err != nil {
		return Footer{}, fmt.Errorf("decoding a footer: %w", err)
	}
	return f, nil
}

type decoder struct {
	*msgpack.Decoder
	nonfinite bool // a number of the field under way is NaN or infinite, and taken as 0
}

func (d *decoder) footer(f *Footer) error {
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
		d.nonfinite = false
		if err := d.value(field.pointer(f, field.offset)); err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		if d.nonfinite {
			nonfinite = append(nonfinite, name)
		}
	}
	f.NonfiniteFields = append(f.NonfiniteFields, nonfinite...)
	return nil
}

func (d *decoder) value(ptr any) (err error) {
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
		return d.value((*string)(p))
	case *Phase:
		return d.value((*string)(p))
	case *bool:
		if _, err = d.code("a truth value"); err == nil {
			*p, err = d.DecodeBool()
		}
	case *json.RawMessage:
		if _, err = d.code("a JSON text"); err == nil {
			*p, err = d.DecodeBytes()
		}
	case *Counts:
		*p, err = d.counts()
	case *[]string:
		*p, err = list(d, "name", maxNames, (*decoder).text)
	case *[]Artifact:
		*p, err = list(d, "artifact", maxArtifacts, (*decoder).artifact)
	case *[]Checkpoint:
		*p, err = list(d, "checkpoint", MaxCheckpoints, (*decoder).checkpoint)
	default:
		err = fmt.Errorf("no decoder for %T", ptr)
	}
	return err
}

// code is the code of the next value, which must not be null.
func (d *decoder) code(want string) (byte, error) {
	c, err := d.PeekCode()
	if err == nil && c == msgpcode.Nil {
		err = fmt.Errorf("null is not %s", want)
	}
	return c, err
}

// float64 reads a number of any msgpack type.
func (d *decoder) float64() (float64, error) {
	c, err := d.code("a number")
	switch {
	case err != nil:
		return 0, err
	case c == msgpcode.Uint64:
		u, err := d.DecodeUint64()
		return float64(u), err
	}
	f, err := d.DecodeFloat64()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f, d.nonfinite = 0, true
	}
	return f, err
}

func (d *decoder) int64() (int64, error) {
	c, err := d.code("a number")
	switch {
	case err != nil:
		return 0, err
	case c == msgpcode.Float, c == msgpcode.Double:
		f, err := d.float64()
		if err == nil && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
			err = fmt.Errorf("%v is not an integer", f)
		}
		return int64(f), err
	case c == msgpcode.Uint64:
		u, err := d.DecodeUint64()
		if u > math.MaxInt64 {
			err = fmt.Errorf("%d is out of range", u)
		}
		return int64(u), err
	}
	return d.DecodeInt64()
}

func (d *decoder) uint64() (uint64, error) {
	if c, err := d.code("a number"); err == nil && c == msgpcode.Uint64 {
		return d.DecodeUint64()
	}
	n, err := d.int64()
	if n < 0 {
		err = fmt.Errorf("%d is negative", n)
	}
	return uint64(n), err
}

func (d *decoder) text() (string, error) {
	c, err := d.code("a text")
	if err != nil {
		return "", err
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

func (d *decoder) counts() (Counts, error) {
	n, err := length(d.DecodeMapLen, MaxReasons)
	if err != nil {
		return nil, err
	}
	c := make(Counts, n)
	for range n {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, twice := c[name]; twice {
			return nil, fmt.Errorf("name %.40q appears twice", name)
		}
		if c[name], err = d.int64(); err != nil {
			return nil, fmt.Errorf("%.40q: %w", name, err)
		}
	}
	return c, nil
}

// list reads a list of at most most entries.
func list[T any](d *decoder, what string, most int, one func(*decoder) (T, error)) ([]T, error) {
	n, err := length(d.DecodeArrayLen, most)
	if err != nil {
		return nil, err
	}
	var out []T
	for i := range n {
		v, err := one(d)
		if err != nil {
			return nil, fmt.Errorf("%s %d: %w", what, i, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func (d *decoder) artifact() (a Artifact, err error) {
	n, err := length(d.DecodeMapLen, math.MaxInt32)
	if err != nil {
		return a, err
	}
	for range n {
		name, err := d.text()
		if err != nil {
			return a, err
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
		if err != nil {
			return a, fmt.Errorf("%.40s: %w", name, err)
		}
	}
	return a, nil
}

func (d *decoder) checkpoint() (c Checkpoint, err error) {
	n, err := d.DecodeArrayLen()
	if err == nil && n != checkpointColumns && n != earlierColumns {
		err = fmt.Errorf("%d numbers (want %d)", n, checkpointColumns)
	}
	for i := 0; i < n && err == nil; i++ {
		c[i], err = d.int64()
	}
	return c, err
}
