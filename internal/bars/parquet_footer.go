package bars

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// OpenParquet opens a parquet file of size bytes that is not believed: a footer
// that would take more memory than its bytes is an error. Whoever reads pages of
// it still recovers from panics of the decoder.
func OpenParquet(r io.ReaderAt, size int64, options ...parquet.FileOption) (*parquet.File, error) {
	if err := checkFrame(r, size); err != nil {
		return nil, err
	}
	options = append(options, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	f, err := parquet.OpenFile(r, size, options...)
	if err != nil {
		return nil, fmt.Errorf("opening a parquet file: %w", err)
	}
	return f, nil
}

// The decoder of a parquet file's footer makes room for as many elements as a
// list claims to have. A spoilt length would take all memory, which nothing can
// recover from, so the footer is walked first: an element takes a byte at least.

// maxFooterDepth bounds the nesting; the format's own is less than ten.
const maxFooterDepth = 32

var errFooter = errors.New("a footer that ends before what it announces")

// checkFooter refuses a footer whose lists or texts are longer than what follows.
func checkFooter(footer []byte) error {
	_, err := skipStruct(footer, 0)
	return err
}

// skipStruct returns what follows a struct in Thrift's compact protocol.
func skipStruct(b []byte, depth int) ([]byte, error) {
	if depth > maxFooterDepth {
		return nil, errors.New("a footer of structs within structs without an end")
	}
	for {
		if len(b) == 0 {
			return nil, errFooter
		}
		head := b[0]
		b = b[1:]
		if head == 0 {
			return b, nil
		}
		var err error
		if head>>4 == 0 { // the field's number follows
			if _, b, err = varint(b); err != nil {
				return nil, err
			}
		}
		if kind := head & 15; kind > 2 { // a bool is in its head
			if b, err = skipValue(b, kind, depth); err != nil {
				return nil, err
			}
		}
	}
}

// skipValue returns what follows a value.
func skipValue(b []byte, kind byte, depth int) ([]byte, error) {
	switch kind {
	case 1, 2, 3: // bools of a list, bytes
		return skipBytes(b, 1)
	case 4, 5, 6: // integers
		_, b, err := varint(b)
		return b, err
	case 7: // double
		return skipBytes(b, 8)
	case 8: // bytes
		n, b, err := varint(b)
		if err != nil {
			return nil, err
		}
		return skipBytes(b, n)
	case 9, 10: // list, set
		return skipList(b, depth)
	case 12:
		return skipStruct(b, depth+1)
	}
	return nil, errors.New("a footer with a value of an unknown type")
}

func skipList(b []byte, depth int) ([]byte, error) {
	if len(b) == 0 {
		return nil, errFooter
	}
	kind, n := b[0]&15, uint64(b[0]>>4)
	b = b[1:]
	if n == 15 {
		var err error
		if n, b, err = varint(b); err != nil {
			return nil, err
		}
	}
	if n > uint64(len(b)) {
		return nil, errFooter
	}
	for range n {
		var err error
		if b, err = skipValue(b, kind, depth+1); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func skipBytes(b []byte, n uint64) ([]byte, error) {
	if n > uint64(len(b)) {
		return nil, errFooter
	}
	return b[n:], nil
}

func varint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errFooter
	}
	return v, b[n:], nil
}
