package footer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// AppendJSON appends f, normalized, to dst as one JSON object on one line,
// its fields in the order of the struct.
func (f Footer) AppendJSON(dst []byte) ([]byte, error) {
	b, _, err := f.appendJSON(dst, nil)
	if err != nil {
		return dst, err
	}
	return b, nil
}

// Hole is where the value of a field stands in a footer's JSON.
type Hole struct {
	Field    string
	From, To int
}

// JSON is what AppendJSON appends, with the places of the values of the named
// fields, in the order in which they stand there.
func (f Footer) JSON(names ...string) ([]byte, []Hole, error) {
	return f.appendJSON(nil, names)
}

func (f Footer) appendJSON(dst []byte, names []string) ([]byte, []Hole, error) {
	f = f.Normalize()
	dst = slices.Grow(dst, 2<<10)
	holes := make([]Hole, 0, len(names))
	dst = append(dst, '{')
	for d, p := range f.all() {
		dst = append(dst, d.key...)
		from := len(dst)
		var err error
		if dst, err = appendValue(dst, p); err != nil {
			return nil, nil, fmt.Errorf("encoding the footer of chunk %d: %s: %w", f.ChunkIdx, d.Name, err)
		}
		if slices.Contains(names, d.Name) {
			holes = append(holes, Hole{d.Name, from, len(dst)})
		}
		dst = append(dst, ',')
	}
	dst[len(dst)-1] = '}'
	return dst, holes, nil
}

// appendValue appends what p points at as encoding/json writes it. That takes
// its time for each value, so what most fields hold does not pass through it.
func appendValue(dst []byte, p any) ([]byte, error) {
	switch p := p.(type) {
	case *int64:
		return strconv.AppendInt(dst, *p, 10), nil
	case *float64:
		if x := math.Abs(*p); x == 0 || x >= 1e-6 && x < 1e21 { // no exponent
			return strconv.AppendFloat(dst, *p, 'f', -1, 64), nil
		}
	case *string:
		return appendText(dst, *p)
	case *Status:
		return appendText(dst, string(*p))
	case *Phase:
		return appendText(dst, string(*p))
	case *Counts:
		return p.appendJSON(dst)
	case *[]string:
		return appendList(dst, *p, appendText)
	case *[]Checkpoint:
		return appendList(dst, *p, appendCheckpoint)
	}
	return marshal(dst, p)
}

// appendList appends a list that is not nil, which none is after Normalize.
func appendList[T any](dst []byte, list []T, one func([]byte, T) ([]byte, error)) ([]byte, error) {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = one(dst, v); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// UnmarshalJSON reads a row of this version or of earlier ones.
func (c *Checkpoint) UnmarshalJSON(b []byte) error {
	row := make([]int64, 0, checkpointColumns)
	if err := json.Unmarshal(b, &row); err != nil {
		return err
	}
	if n := len(row); n != checkpointColumns && n != earlierColumns {
		return fmt.Errorf("a checkpoint has %d numbers (want %d)", n, checkpointColumns)
	}
	*c = Checkpoint{}
	copy(c[:], row)
	return nil
}

func appendCheckpoint(dst []byte, c Checkpoint) ([]byte, error) {
	return appendList(dst, c[:], func(dst []byte, n int64) ([]byte, error) { return strconv.AppendInt(dst, n, 10), nil })
}

// appendText appends s in quotes.
func appendText(dst []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return marshal(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"'), nil
}

// appendJSON appends c, which is not nil after Normalize, with its names in
// order.
func (c Counts) appendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, '{')
	for i, name := range c.names() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendText(dst, name); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		dst = strconv.AppendInt(dst, c[name], 10)
	}
	return append(dst, '}'), nil
}

func marshal(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
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
	if string(bytes.TrimSpace(b)) == "null" {
		return Footer{}, errors.New("decoding a footer: it is null (want an object)")
	}
	return f.Normalize(), nil
}
