package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// maxUBJSONDepth is how deep values may nest; XGBoost's files have nine
// levels.
const maxUBJSONDepth = 32

// isUBJSON tells Universal Binary JSON from JSON: after the first brace, a
// length's type stands where JSON has a quote or a blank.
func isUBJSON(file []byte) bool {
	if len(file) < 2 || file[0] != '{' {
		return false
	}
	switch file[1] {
	case 'i', 'U', 'I', 'l', 'L':
		return true
	}
	return false
}

// ubjsonToJSON writes a Universal Binary JSON document (draft 12, as XGBoost
// writes it: no counted objects, no high-precision numbers) as JSON. Numbers
// keep their value exactly. The result is less than eight times as long.
func ubjsonToJSON(file []byte) ([]byte, error) {
	u := &ubjson{rest: file, out: make([]byte, 0, 2*len(file))}
	if err := u.value(u.byte(), 0); err != nil {
		return nil, fmt.Errorf("byte %d: %w", len(file)-len(u.rest), err)
	}
	if len(u.rest) > 0 {
		return nil, fmt.Errorf("byte %d: %d more bytes follow the document", len(file)-len(u.rest), len(u.rest))
	}
	return u.out, nil
}

// ubjson is a document on its way to JSON.
type ubjson struct {
	rest []byte
	out  []byte
}

var errUBJSONEnd = errors.New("the file ends within a value")

// byte takes one byte; at the end of the file it is 0, which is no type.
func (u *ubjson) byte() byte {
	if len(u.rest) == 0 {
		return 0
	}
	b := u.rest[0]
	u.rest = u.rest[1:]
	return b
}

func (u *ubjson) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.rest) {
		return nil, errUBJSONEnd
	}
	b := u.rest[:n]
	u.rest = u.rest[n:]
	return b, nil
}

func (u *ubjson) value(kind byte, depth int) error {
	if depth > maxUBJSONDepth {
		return fmt.Errorf("values nest deeper than %d", maxUBJSONDepth)
	}
	switch kind {
	case '{':
		return u.object(depth)
	case '[':
		return u.array(depth)
	case 'S':
		return u.string()
	case 'T':
		u.out = append(u.out, "true"...)
	case 'F':
		u.out = append(u.out, "false"...)
	case 'Z':
		u.out = append(u.out, "null"...)
	case 'd':
		b, err := u.take(4)
		if err != nil {
			return err
		}
		return u.float(float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32)
	case 'D':
		b, err := u.take(8)
		if err != nil {
			return err
		}
		return u.float(math.Float64frombits(binary.BigEndian.Uint64(b)), 64)
	default:
		n, err := u.integer(kind)
		if err != nil {
			return err
		}
		u.out = strconv.AppendInt(u.out, n, 10)
	}
	return nil
}

func (u *ubjson) float(v float64, bits int) error {
	if !finite(v) {
		return fmt.Errorf("%v is not a number (want a finite one)", v)
	}
	u.out = strconv.AppendFloat(u.out, v, 'g', -1, bits)
	return nil
}

func (u *ubjson) integer(kind byte) (int64, error) {
	size := 0
	switch kind {
	case 'i', 'U':
		size = 1
	case 'I':
		size = 2
	case 'l':
		size = 4
	case 'L':
		size = 8
	case 0:
		return 0, errUBJSONEnd
	default:
		return 0, fmt.Errorf("type %q is not known (want a UBJSON type)", kind)
	}
	b, err := u.take(size)
	if err != nil {
		return 0, err
	}
	switch kind {
	case 'i':
		return int64(int8(b[0])), nil
	case 'U':
		return int64(b[0]), nil
	case 'I':
		return int64(int16(binary.BigEndian.Uint16(b))), nil
	case 'l':
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// length reads a type and a length that what is left of the file can have:
// each element takes a byte at least.
func (u *ubjson) length() (int, error) {
	n, err := u.integer(u.byte())
	if err != nil {
		return 0, err
	}
	if n < 0 || n > int64(len(u.rest)) {
		return 0, fmt.Errorf("a length of %d, with %d bytes left", n, len(u.rest))
	}
	return int(n), nil
}

func (u *ubjson) string() error {
	n, err := u.length()
	if err != nil {
		return err
	}
	b, err := u.take(n)
	if err != nil {
		return err
	}
	u.out = append(u.out, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			u.out = append(u.out, '\\', c)
		case c < ' ':
			u.out = fmt.Appendf(u.out, "\\u%04x", c)
		default:
			u.out = append(u.out, c)
		}
	}
	u.out = append(u.out, '"')
	return nil
}

func (u *ubjson) object(depth int) error {
	u.out = append(u.out, '{')
	for first := true; ; first = false {
		switch {
		case len(u.rest) == 0:
			return errUBJSONEnd
		case u.rest[0] == '}':
			u.byte()
			u.out = append(u.out, '}')
			return nil
		case !first:
			u.out = append(u.out, ',')
		}
		if err := u.string(); err != nil {
			return err
		}
		u.out = append(u.out, ':')
		if err := u.value(u.byte(), depth+1); err != nil {
			return err
		}
	}
}

// array reads [ … ], [ # count …, or [ $ type # count …: the last two have no
// closing bracket.
func (u *ubjson) array(depth int) error {
	var kind byte
	if len(u.rest) > 0 && u.rest[0] == '$' {
		u.byte()
		kind = u.byte()
		switch kind {
		case 'i', 'U', 'I', 'l', 'L', 'd', 'D':
		default: // values without bytes of their own could be counted without bound
			return fmt.Errorf("an array of type %q (want numbers)", kind)
		}
		if len(u.rest) == 0 || u.rest[0] != '#' {
			return errors.New("an array with a type and no count")
		}
	}
	count := -1
	if len(u.rest) > 0 && u.rest[0] == '#' {
		u.byte()
		var err error
		if count, err = u.length(); err != nil {
			return err
		}
	}
	u.out = append(u.out, '[')
	for i := 0; i != count; i++ {
		if len(u.rest) == 0 {
			return errUBJSONEnd
		}
		if count < 0 && u.rest[0] == ']' {
			u.byte()
			break
		}
		if i > 0 {
			u.out = append(u.out, ',')
		}
		k := kind
		if k == 0 {
			k = u.byte()
		}
		if err := u.value(k, depth+1); err != nil {
			return err
		}
	}
	u.out = append(u.out, ']')
	return nil
}
