package bars

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// rowReader gives the rows of a text.
type rowReader interface {
	// read returns the next row's cells, lent until the next call; io.EOF ends.
	read() ([]string, error)
	// line is that of the row that was read last; 0: the text has no lines.
	line() int
}

// text is a text whose columns are known.
type text struct {
	rows   rowReader
	header []string
	number numberReader
	first  []string // the first row, which is read already; nil: there is none
	line   int      // its line
	layout layout
	format string // what was found, for people
}

// csvRows reads separated columns.
type csvRows struct{ r *csv.Reader }

func (c csvRows) read() ([]string, error) { return c.r.Read() }
func (c csvRows) line() int               { line, _ := c.r.FieldPos(0); return line }

// sniffed is how much of a text is looked at before it is read.
const sniffed = 1 << 16

// openCSV finds out how a text of separated columns is to be read.
func openCSV(r io.Reader, f *form) (*text, error) {
	br, encoding := decoded(r)
	line := firstLine(br)
	t := &text{}
	separator, named := namedSeparator(line)
	if named {
		_, _ = br.ReadString('\n')
		line = firstLine(br)
	}
	switch {
	case f.separator != 0:
		separator = f.separator
	case !named:
		separator = separatorOf(line, f)
	}
	cr := csv.NewReader(br)
	cr.Comma = separator
	cr.ReuseRecord = true
	cr.FieldsPerRecord = -1 // counted by the reader of rows, where bar and line are known
	t.rows, t.number = csvRows{cr}, newNumberReader(f, separator)
	t.format = "CSV" + encoding
	if separator != ',' {
		t.format += ", separated by " + map[rune]string{'\t': "tabs", ';': "semicolons", '|': "bars"}[separator]
		if strings.HasSuffix(t.format, " by ") {
			t.format += fmt.Sprintf("%q", separator)
		}
	}
	if err := t.begin(f); err != nil {
		return nil, err
	}
	return t, nil
}

// begin reads the header, if there is one, and the first row.
func (t *text) begin(f *form) error {
	first, err := t.next()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("no header line: %w", ErrEmpty)
	}
	if err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	if isRow(first) {
		t.first, t.header = first, make([]string, len(first))
		for i := range t.header {
			t.header[i] = fmt.Sprintf("column %d", i+1)
		}
		var whose string
		t.layout, whose, err = positional(first, f)
		t.format += ", no header"
		if whose != "" {
			t.format += ", as " + whose
		}
		return err
	}
	t.header = first
	if t.first, err = t.next(); err == nil {
		err = t.skipTickers()
	}
	switch {
	case errors.Is(err, io.EOF):
		t.first = nil
	case err != nil:
		return fmt.Errorf("reading bar 1: %w", err)
	}
	t.layout, err = matchColumns(t.header, f, t.first)
	return err
}

// next reads a row to keep.
func (t *text) next() ([]string, error) {
	row, err := t.rows.read()
	if err != nil {
		return nil, err
	}
	t.line = t.rows.line()
	return slices.Clone(row), nil
}

// skipTickers reads the further lines of a header as yfinance writes it: the
// ticker of each column, and then the name of the index.
func (t *text) skipTickers() error {
	if squeezed(t.header[0]) != "price" || len(t.first) == 0 || squeezed(t.first[0]) != "ticker" {
		return nil
	}
	tickers := slices.Compact(slices.Clone(t.first[1:]))
	if len(tickers) != 1 {
		return fmt.Errorf("the columns are those of several instruments (%s; want one)", quoteList(tickers))
	}
	row, err := t.next()
	if err != nil {
		return err
	}
	if len(row) > 0 && strings.Join(row[1:], "") == "" {
		t.header[0] = row[0]
		if row, err = t.next(); err != nil {
			return err
		}
	} else {
		t.header[0] = "Date"
	}
	t.first = row
	return nil
}

// isRow tells whether the first line of a file is a row and no header.
func isRow(cells []string) bool {
	numbers := 0
	for _, cell := range cells {
		if looksLikeNumber(strings.TrimSpace(cell)) {
			numbers++
		}
	}
	if numbers < 4 {
		return false
	}
	h := newHeader(cells)
	for _, key := range []string{"open", "o", "bidopen", "close"} {
		if _, ok := h.loose[key]; ok {
			return false
		}
	}
	return true
}

// looksLikeNumber is true for digits with at most one point or comma, a sign
// and an exponent.
func looksLikeNumber(s string) bool {
	digits, marks := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' || c == ',':
			marks++
		case (c == '-' || c == '+') && (i == 0 || s[i-1] == 'e' || s[i-1] == 'E'):
		case (c == 'e' || c == 'E') && digits > 0:
		default:
			return false
		}
	}
	return digits > 0 && marks <= 1
}

// firstLine is the first line of a text that is not blank, or what can be seen
// of it. Nothing is read.
func firstLine(br *bufio.Reader) string {
	head, _ := br.Peek(sniffed)
	line, _, _ := strings.Cut(strings.TrimLeft(string(head), "\r\n"), "\n")
	return strings.TrimSuffix(line, "\r")
}

// namedSeparator is the separator that a first line as Excel reads it names.
func namedSeparator(line string) (rune, bool) {
	s, ok := strings.CutPrefix(line, "sep=")
	r, size := utf8.DecodeRuneInString(s)
	return r, ok && size > 0 && size == len(s) && r != utf8.RuneError
}

// separatorOf says what separates the columns of a text with that first line:
// a comma if it is then a header that is known, else a tab, semicolon or bar
// that is there four times.
func separatorOf(line string, f *form) rune {
	cr := csv.NewReader(strings.NewReader(line))
	if cells, err := cr.Read(); err == nil && len(cells) > 1 && !isRow(cells) {
		if _, err := matchColumns(cells, f, nil); err == nil {
			return ','
		}
	}
	for _, separator := range "\t;|" {
		if strings.Count(line, string(separator)) >= 4 {
			return separator
		}
	}
	return ','
}

// decoded is the text as UTF-8 without a byte order mark, and what its encoding
// is called if it was another.
func decoded(r io.Reader) (*bufio.Reader, string) {
	br, ok := r.(*bufio.Reader)
	if !ok || br.Size() < sniffed {
		br = bufio.NewReaderSize(r, 1<<18)
	}
	head, _ := br.Peek(4)
	utf16Text := func(mark int, bigEndian bool) (*bufio.Reader, string) {
		_, _ = br.Discard(mark)
		return bufio.NewReaderSize(&utf16Reader{r: br, bigEndian: bigEndian}, 1<<18), " in UTF-16"
	}
	switch {
	case len(head) >= 3 && head[0] == 0xEF && head[1] == 0xBB && head[2] == 0xBF:
		_, _ = br.Discard(3)
	case len(head) >= 2 && head[0] == 0xFF && head[1] == 0xFE:
		return utf16Text(2, false)
	case len(head) >= 2 && head[0] == 0xFE && head[1] == 0xFF:
		return utf16Text(2, true)
	case len(head) == 4 && head[0] != 0 && head[1] == 0 && head[2] != 0 && head[3] == 0:
		return utf16Text(0, false)
	case len(head) == 4 && head[0] == 0 && head[1] != 0 && head[2] == 0 && head[3] != 0:
		return utf16Text(0, true)
	}
	return br, ""
}

// utf16Reader reads UTF-16 as UTF-8. What is no character is an error.
type utf16Reader struct {
	r         *bufio.Reader
	bigEndian bool
	read      int64
	out       []byte // not yet given
	err       error  // that ended the reading
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for u.err == nil && len(u.out) < len(p) {
		var r rune
		if r, u.err = u.next(); u.err == nil {
			u.out = utf8.AppendRune(u.out, r)
		}
	}
	n := copy(p, u.out)
	u.out = append(u.out[:0], u.out[n:]...)
	if n == 0 && len(p) > 0 {
		return 0, u.err
	}
	return n, nil
}

func (u *utf16Reader) next() (rune, error) {
	unit, err := u.unit()
	if err != nil || !utf16.IsSurrogate(unit) {
		return unit, err
	}
	low, err := u.unit()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, err
	}
	r := utf16.DecodeRune(unit, low)
	if r == utf8.RuneError {
		return 0, fmt.Errorf("byte %d of a text in UTF-16 is part of no character", u.read-4)
	}
	return r, nil
}

func (u *utf16Reader) unit() (rune, error) {
	var b [2]byte
	n, err := io.ReadFull(u.r, b[:])
	u.read += int64(n)
	if err != nil {
		return 0, err
	}
	if u.bigEndian {
		return rune(b[0])<<8 | rune(b[1]), nil
	}
	return rune(b[1])<<8 | rune(b[0]), nil
}
