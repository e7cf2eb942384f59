package run

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// maxDepth bounds lists and maps within each other. Our own messages need
// four.
const maxDepth = 16

// CheckPayload says whether b is exactly one msgpack value of which every
// declared length is there and which is nested at most 16 deep. Whatever
// comes from the bus passes it before it is decoded: the library believes a
// declared length (a list of 2^32 sessions) and follows any depth, and
// neither a memory nor a stack that ran out can be recovered from.
func CheckPayload(b []byte) error {
	rest, err := skipValue(b, maxDepth)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes follow its end", len(rest))
	}
	return nil
}

// Unmarshal decodes the one msgpack value that is b, which came from the bus,
// into v. It never panics, and allocates at most a multiple of len(b).
func Unmarshal(b []byte, v any) (err error) {
	if err := CheckPayload(b); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	return msgpack.NewDecoder(bytes.NewReader(b)).Decode(v)
}

var errCut = errors.New("unexpected EOF: it ends before its declared length")

// skipValue returns what follows the first value of b. The codes are those of
// the msgpack specification.
func skipValue(b []byte, depth int) ([]byte, error) {
	if len(b) == 0 {
		return nil, errCut
	}
	c, b := b[0], b[1:]
	switch {
	case c <= 0x7f, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3: // small numbers, nil, false, true
		return b, nil
	case c <= 0x8f:
		return skipItems(b, 2*uint64(c&0x0f), depth)
	case c <= 0x9f:
		return skipItems(b, uint64(c&0x0f), depth)
	case c <= 0xbf:
		return skipBytes(b, uint64(c&0x1f))
	case c == 0xc1:
		return nil, errors.New("code 0xc1 is none")
	case c >= 0xca && c <= 0xd3: // float 32, 64, uint 8 to 64, int 8 to 64
		return skipBytes(b, [...]uint64{4, 8, 1, 2, 4, 8, 1, 2, 4, 8}[c-0xca])
	case c >= 0xd4 && c <= 0xd8: // extensions of 1 to 16 bytes, and their type
		return skipBytes(b, 1+1<<(c-0xd4))
	}
	// What is left has a length of 1, 2 or 4 bytes.
	var width int
	switch c {
	case 0xc4, 0xc7, 0xd9:
		width = 1
	case 0xc5, 0xc8, 0xda, 0xdc, 0xde:
		width = 2
	default: // 0xc6, 0xc9, 0xdb, 0xdd, 0xdf
		width = 4
	}
	if len(b) < width {
		return nil, errCut
	}
	var head [8]byte
	copy(head[8-width:], b)
	n := binary.BigEndian.Uint64(head[:])
	b = b[width:]
	switch {
	case c >= 0xde:
		return skipItems(b, 2*n, depth)
	case c >= 0xdc:
		return skipItems(b, n, depth)
	case c >= 0xc7 && c <= 0xc9:
		return skipBytes(b, n+1)
	}
	return skipBytes(b, n)
}

func skipBytes(b []byte, n uint64) ([]byte, error) {
	if n > uint64(len(b)) {
		return nil, errCut
	}
	return b[n:], nil
}

// skipItems passes over n values, each of which has at least one byte.
func skipItems(b []byte, n uint64, depth int) ([]byte, error) {
	if n > uint64(len(b)) {
		return nil, errCut
	}
	if depth == 0 {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	var err error
	for range n {
		if b, err = skipValue(b, depth-1); err != nil {
			return nil, err
		}
	}
	return b, nil
}
