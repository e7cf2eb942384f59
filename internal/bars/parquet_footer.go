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

// checkFooter refuses a footer whose lists or texts are longer than what follows.
func checkFooter(footer []byte) error {
	w := footerWalk{rest: footer}
	w.structure(0)
	return w.err
}

// footerWalk walks a text in Thrift's compact protocol. After an error nothing
// is read.
type footerWalk struct {
	rest []byte
	err  error
}

func (w *footerWalk) fail(why string) {
	if w.err == nil {
		w.err = errors.New("a footer " + why)
	}
	w.rest = nil
}

func (w *footerWalk) skip(n uint64) {
	if n > uint64(len(w.rest)) {
		w.fail("that ends before what it announces")
		return
	}
	w.rest = w.rest[n:]
}

// head is the next byte, 0 after an error.
func (w *footerWalk) head() byte {
	before := w.rest
	if w.skip(1); w.err != nil {
		return 0
	}
	return before[0]
}

func (w *footerWalk) varint() uint64 {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		n = len(w.rest) + 1
	}
	w.skip(uint64(n))
	return v
}

func (w *footerWalk) structure(depth int) {
	for head := w.head(); head != 0; head = w.head() {
		if head>>4 == 0 { // the field's number follows
			w.varint()
		}
		if kind := head & 15; kind > 2 { // a bool is in its head
			w.value(kind, depth)
		}
	}
}

func (w *footerWalk) value(kind byte, depth int) {
	if depth > maxFooterDepth {
		w.fail("of structs within structs without an end")
	}
	switch kind {
	case 1, 2, 3: // bools of a list, bytes
		w.skip(1)
	case 4, 5, 6: // integers
		w.varint()
	case 7: // double
		w.skip(8)
	case 8: // bytes
		w.skip(w.varint())
	case 9, 10: // list, set
		w.list(depth)
	case 12:
		w.structure(depth + 1)
	default:
		w.fail("with a value of an unknown type")
	}
}

func (w *footerWalk) list(depth int) {
	head := w.head()
	n := uint64(head >> 4)
	if n == 15 {
		n = w.varint()
	}
	if n > uint64(len(w.rest)) {
		w.skip(n)
	}
	for i := uint64(0); i < n && w.err == nil; i++ {
		w.value(head&15, depth+1)
	}
}
