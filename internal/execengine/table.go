package execengine

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"gx1replay/internal/safefile"
)

const (
	// tableBytes and tableBytesBar bound a table of a command: with extra
	// columns a row of a hundred numbers has as many bytes.
	tableBytes    = 64 << 20
	tableBytesBar = 1 << 10
	// maxTableColumns bounds a header.
	maxTableColumns = 4096
)

// tableColumn is a column that a table is read for.
type tableColumn struct {
	names    []string // the first is what it should be called
	optional bool
}

// Names of an index that pandas was not given one for.
const (
	csvIndex     = ""
	parquetIndex = "__index_level_0__"
)

// tableFile is a table that a command has left.
type tableFile struct {
	name    string // of the file
	content []byte
	// partial: the command was ended, and what it wrote last may be torn.
	partial bool
}

// place is a row of a table, for errors.
type place struct {
	file string
	unit string // line or row
	n    int64  // from 1
}

// bad is the error of a value.
func (p place) bad(column string, value any, want string) error {
	return fmt.Errorf("%s %s %d: %s is %s (want %s)", p.file, p.unit, p.n, column, shorten(fmt.Sprint(value)), want)
}

// shorten quotes at most 60 bytes of a piece of a file.
func shorten(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q…", s[:60])
	}
	return fmt.Sprintf("%q", s)
}

// findTable finds the table stem.csv or stem.parquet in dir. With partial none
// is no error: nil. Both are one.
func findTable(dir *safefile.Dir, stem string, limit int64, partial bool) (*tableFile, error) {
	var found *tableFile
	for _, ext := range []string{".csv", ".parquet"} {
		t, err := readTable(dir, stem+ext, limit, partial)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found != nil {
			return nil, fmt.Errorf("%s holds both %s and %s (want one of them)", dir.Path(""), found.name, t.name)
		}
		found = t
	}
	if found == nil && !partial {
		return nil, fmt.Errorf("%s holds neither %s.csv nor %s.parquet (--exec-emits %s wants one)", dir.Path(""), stem, stem, stem)
	}
	return found, nil
}

// readTable reads the table name in dir, a plain file of at most limit bytes.
func readTable(dir *safefile.Dir, name string, limit int64, partial bool) (*tableFile, error) {
	content, err := dir.Read(name, limit)
	if err != nil {
		return nil, err
	}
	return &tableFile{name: name, content: content, partial: partial}, nil
}

func (t *tableFile) isParquet() bool { return strings.HasSuffix(t.name, ".parquet") }

// text is the content of a CSV file without a byte order mark, and, if it may
// be torn, without a last line that has no end.
func (t *tableFile) text() []byte {
	text := bytes.TrimPrefix(t.content, []byte("\uFEFF"))
	if t.partial {
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	return text
}

// read calls each with every row: its place and the values of columns. What is
// no table, and a column that is missing, is an error. A table without rows,
// also an empty file and a frame without columns, says nothing: its header is
// not looked at.
func (t *tableFile) read(columns []tableColumn, each func(p place, row []cell) error) error {
	if t.isParquet() {
		return t.readParquet(func(header []string) ([]int, error) { return t.match(header, parquetIndex, columns) }, each)
	}
	cr := csv.NewReader(bytes.NewReader(t.text()))
	cr.ReuseRecord = true
	header, err := cr.Read()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return t.broken(err)
	}
	header = slices.Clone(header)
	at, errHeader := t.match(header, csvIndex, columns)
	row := make([]cell, len(columns))
	for {
		record, err := cr.Read()
		if err == io.EOF {
			return nil
		}
		if errHeader != nil {
			return errHeader
		}
		if err != nil {
			return t.broken(err)
		}
		for i, k := range at {
			if row[i] = (cell{}); k >= 0 {
				row[i] = textCell(record[k])
			}
		}
		line, _ := cr.FieldPos(0)
		if err := each(place{t.name, "line", int64(line)}, row); err != nil {
			return err
		}
	}
}

// broken is an error of the CSV form, which names the line.
func (t *tableFile) broken(err error) error { return fmt.Errorf("reading %s: %w", t.name, err) }

// match finds columns in a header; -1 stands for an optional one that is not
// there. index is the name of an index that has none.
func (t *tableFile) match(header []string, index string, columns []tableColumn) ([]int, error) {
	if len(header) > maxTableColumns {
		return nil, fmt.Errorf("%s has %d columns (want at most %d)", t.name, len(header), maxTableColumns)
	}
	at := make([]int, len(columns))
	var missing []string
	for i, c := range columns {
		at[i] = -1
		for _, name := range c.names {
			for k, h := range header {
				h = strings.ToLower(strings.TrimSpace(h))
				if h != name || name == csvIndex && (k > 0 || index != csvIndex) {
					continue
				}
				if at[i] >= 0 {
					return nil, fmt.Errorf("%s has column %s twice, as %s and as %s (want it once)", t.name, c.names[0], shorten(header[at[i]]), shorten(header[k]))
				}
				at[i] = k
			}
		}
		if at[i] < 0 && !c.optional {
			missing = append(missing, c.names[0])
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s has no column %s (it has %s)", t.name, strings.Join(missing, ", "), shorten(strings.Join(header, ",")))
	}
	return at, nil
}
