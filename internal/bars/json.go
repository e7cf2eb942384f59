package bars

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// isJSON tells a text that begins with a list of lists or objects, or with an
// object.
func isJSON(head []byte, _ string) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), " \t\r\n")
	return len(head) > 0 && (head[0] == '[' || head[0] == '{')
}

// jsonRows reads a list of rows, each a list of values or an object, or objects
// one after the other.
type jsonRows struct {
	dec    *json.Decoder
	inList bool
	names  []string // of the objects' keys; nil: the rows are lists
	at     map[string]int
	row    []string
	rows   int
	queued []string // the first row, which was read for its names
}

// maxJSONCells bounds a row: a file can claim any number of values.
const maxJSONCells = MaxExtraColumns + int(columnCount)

func readJSON(_ source, r io.Reader, opt ReadOptions, f *form) (Set, error) {
	br, _ := decoded(r)
	dec := json.NewDecoder(br)
	dec.UseNumber()
	rows := &jsonRows{dec: dec}
	if head, _ := br.Peek(sniffed); len(bytes.TrimLeft(head, " \t\r\n")) > 0 && bytes.TrimLeft(head, " \t\r\n")[0] == '[' {
		if _, err := dec.Token(); err != nil {
			return Set{}, fmt.Errorf("reading JSON: %w", err)
		}
		rows.inList = true
	}
	t := &text{rows: rows, format: "JSON", number: numberReader{mark: '.'}}
	first, err := rows.read()
	if errors.Is(err, io.EOF) {
		return Set{}, ErrEmpty
	}
	if err != nil {
		return Set{}, fmt.Errorf("reading bar 1: %w", err)
	}
	first = slices.Clone(first)
	if rows.names == nil {
		if rows.queued = first; !isRow(first) {
			return Set{}, fmt.Errorf("row 1: %s (want time, open, high, low, close and a volume, or objects with names)", quoteList(first))
		}
		rows.rows--
		if err := t.begin(f); err != nil {
			return Set{}, err
		}
		return readText(t, opt, f)
	}
	t.format, t.header, t.first = "JSON, a list of objects", rows.names, first
	if !rows.inList {
		t.format = "JSON, one object per row"
	}
	if t.layout, err = matchColumns(t.header, f, first); err != nil {
		return Set{}, err
	}
	return readText(t, opt, f)
}

func (j *jsonRows) line() int { return 0 }

func (j *jsonRows) read() ([]string, error) {
	if j.queued != nil {
		row := j.queued
		j.queued = nil
		j.rows++
		return row, nil
	}
	if !j.dec.More() {
		if j.inList {
			if _, err := j.dec.Token(); err != nil { // the list's end
				return nil, unexpected(err)
			}
			j.inList = false
			if _, err := j.dec.Token(); !errors.Is(err, io.EOF) {
				return nil, errors.New("something follows the list of rows")
			}
		}
		return nil, io.EOF
	}
	token, err := j.dec.Token()
	if err != nil {
		return nil, unexpected(err)
	}
	j.rows++
	switch token {
	case json.Delim('['):
		if j.names != nil {
			return nil, errors.New("a list among objects")
		}
		return j.readList()
	case json.Delim('{'):
		if j.rows > 1 && j.names == nil {
			return nil, errors.New("an object among lists")
		}
		return j.readObject()
	}
	return nil, fmt.Errorf("%v (want rows as lists or objects)", token)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (j *jsonRows) readList() ([]string, error) {
	j.row = j.row[:0]
	for j.dec.More() {
		cell, err := j.value()
		if err != nil {
			return nil, err
		}
		if j.row = append(j.row, cell); len(j.row) > maxJSONCells {
			return nil, fmt.Errorf("more than %d values in a row", maxJSONCells)
		}
	}
	_, err := j.dec.Token()
	return j.row, unexpected(err)
}

// readObject reads an object's values in the order of the first one's keys. All
// have the same keys.
func (j *jsonRows) readObject() ([]string, error) {
	first := j.names == nil
	if first {
		j.names, j.at = []string{}, map[string]int{}
	}
	j.row = slices.Grow(j.row[:0], len(j.names))[:len(j.names)]
	seen := make([]bool, len(j.names))
	n := 0
	for j.dec.More() {
		token, err := j.dec.Token()
		if err != nil {
			return nil, unexpected(err)
		}
		key, _ := token.(string)
		cell, err := j.value()
		if err != nil {
			return nil, err
		}
		i, known := j.at[key]
		switch {
		case first && known, !first && known && seen[i]:
			return nil, fmt.Errorf("key %s appears twice", shorten(key))
		case first:
			j.at[key] = len(j.names)
			j.names = append(j.names, key)
			j.row = append(j.row, cell)
			if len(j.names) > maxJSONCells {
				return nil, fmt.Errorf("more than %d values in a row", maxJSONCells)
			}
		case !known:
			return nil, fmt.Errorf("key %s is not in the first object (want the same keys in each)", shorten(key))
		default:
			j.row[i], seen[i] = cell, true
		}
		n++
	}
	if n < len(j.names) {
		return nil, fmt.Errorf("%d keys (want %d as in the first object)", n, len(j.names))
	}
	_, err := j.dec.Token()
	return j.row, unexpected(err)
}

// value reads a number, a text, a truth or a null as the text that a CSV has.
func (j *jsonRows) value() (string, error) {
	token, err := j.dec.Token()
	if err != nil {
		return "", unexpected(err)
	}
	switch v := token.(type) {
	case json.Number:
		return v.String(), nil
	case string:
		return v, nil
	case bool:
		if v {
			return "True", nil
		}
		return "False", nil
	case nil:
		return "", nil
	}
	return "", errors.New("a list or an object in a row (want numbers and texts)")
}
