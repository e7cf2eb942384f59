package bars

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// source is a file to be read.
type source struct {
	file io.ReadSeeker // also an io.ReaderAt where it is no pipe
	size int64
	name string
}

// fileFormat is a form of files with bars.
type fileFormat struct {
	name string
	// is tells a file by its first bytes.
	is   func(head []byte, name string) bool
	read func(s source, text io.Reader, opt ReadOptions, f *form) (Set, error)
	// write writes one, where the extension ext asks for it; nil: none is written.
	ext   string
	write func(io.Writer, []Bar) error
}

// formats are all that are known, in the order in which they are asked.
func formats() []fileFormat {
	return []fileFormat{
		{name: "parquet", is: isParquet, read: readParquetSource, ext: ".parquet", write: WriteParquet},
		{name: "feather", is: isFeather, read: refuseFeather},
		{name: "JSON", is: isJSON, read: readJSON},
		{name: "CSV", is: func([]byte, string) bool { return true }, read: readCSVSource, ext: ".csv", write: WriteCSV},
	}
}

// readFormat reads a file by the format that its content has.
func readFormat(s source, opt ReadOptions, f *form) (Set, error) {
	text, compression, err := decompressed(s.file)
	if err != nil {
		return Set{}, err
	}
	head, _ := text.Peek(sniffed)
	if compression != "" {
		s.size = -1
	}
	for _, known := range formats() {
		if !known.is(head, s.name) {
			continue
		}
		set, err := known.read(s, text, opt, f)
		if err == nil && compression != "" {
			set.Read.Format += ", compressed by " + compression
		}
		return set, err
	}
	return Set{}, fmt.Errorf("its content is of no known format")
}

// compressions are the ways in which a text may be compressed, by first bytes.
func compressions() []struct {
	name, magic string
	open        func(io.Reader) (io.Reader, error)
} {
	return []struct {
		name, magic string
		open        func(io.Reader) (io.Reader, error)
	}{
		{"gzip", "\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"zstd", "\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) {
			d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxZstdWindow))
			if err != nil {
				return nil, err
			}
			return d, nil
		}},
		{"bzip2", "BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	}
}

// maxZstdWindow bounds the memory that a compressed text may ask for: what the
// zstd command itself writes at its highest levels.
const maxZstdWindow = 256 << 20

// decompressed is the text of a file.
func decompressed(r io.Reader) (*bufio.Reader, string, error) {
	br := bufio.NewReaderSize(r, 1<<18)
	head, err := br.Peek(4)
	if err != nil && err != io.EOF {
		return nil, "", withoutPath(err)
	}
	for _, c := range compressions() {
		if !bytes.HasPrefix(head, []byte(c.magic)) {
			continue
		}
		plain, err := c.open(br)
		if err != nil {
			return nil, "", fmt.Errorf("opening a file compressed by %s: %w", c.name, err)
		}
		return bufio.NewReaderSize(plain, 1<<18), c.name, nil
	}
	return br, "", nil
}

func isParquet(head []byte, name string) bool {
	return bytes.HasPrefix(head, []byte("PAR1")) || strings.EqualFold(filepath.Ext(name), ".parquet")
}

func isFeather(head []byte, _ string) bool {
	return bytes.HasPrefix(head, []byte("ARROW1")) || bytes.HasPrefix(head, []byte("FEA1"))
}

// refuseFeather names the way around: a library that reads Arrow's files costs
// 3 MB and six modules, for what one line of pandas does.
func refuseFeather(source, io.Reader, ReadOptions, *form) (Set, error) {
	return Set{}, errors.New("a feather file (Arrow IPC) cannot be read (want parquet: " +
		`python3 -c "import pandas; pandas.read_feather('IN.feather').to_parquet('OUT.parquet')")`)
}

// readerAt is the file itself, which formats need that are not read from the
// front.
func (s source) readerAt() (io.ReaderAt, error) {
	r, ok := s.file.(io.ReaderAt)
	if !ok || s.size < 0 {
		return nil, fmt.Errorf("a file of this format cannot be read as a stream (want it in a file, not compressed)")
	}
	return r, nil
}

func readParquetSource(s source, _ io.Reader, opt ReadOptions, f *form) (Set, error) {
	r, err := s.readerAt()
	if err != nil {
		return Set{}, err
	}
	return decodeParquet(r, s.size, opt, f)
}

func readCSVSource(_ source, text io.Reader, opt ReadOptions, f *form) (Set, error) {
	t, err := openCSV(text, f)
	if err != nil {
		return Set{}, err
	}
	return readText(t, opt, f)
}
