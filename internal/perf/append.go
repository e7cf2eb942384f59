package perf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// Append appends the perf JSON of r and its chunks to dst: small fields
// indented for people, then chunks_statuses, then one chunk a line. No chunks
// means that there is no plan yet. It is an error if chunks does not hold
// every chunk once, in order.
func Append(dst []byte, r Report, chunks []Chunk) ([]byte, error) {
	return emit(dst, r, chunks, func(b []byte) ([]byte, error) { return b, nil })
}

// blockBytes is how much Encoder.Write collects for one write: enough to make
// few of them, little enough to stay in a processor's cache.
const blockBytes = 256 << 10

// Encoder writes what Append appends, in blocks: it copies encoded footers
// and computes little, so that writing the bytes to a disk takes longer than
// making them however many chunks there are. The zero Encoder is ready; one
// that is used again takes no new memory. It is for one goroutine at a time.
type Encoder struct{ block []byte }

// Write writes the perf JSON of r and its chunks to w.
func (e *Encoder) Write(w io.Writer, r Report, chunks []Chunk) error {
	b, err := emit(e.block[:0], r, chunks, func(b []byte) ([]byte, error) {
		if len(b) < blockBytes {
			return b, nil
		}
		_, err := w.Write(b)
		return b[:0], err
	})
	if err != nil {
		return err
	}
	e.block = b
	_, err = w.Write(b)
	return err
}

// emit appends the perf JSON to dst and hands it to spill at every chunk,
// which may take it away.
func emit(dst []byte, r Report, chunks []Chunk, spill func([]byte) ([]byte, error)) ([]byte, error) {
	if err := checkPlan(chunks); err != nil {
		return dst, fmt.Errorf("perf JSON of run %s: %w", r.RunID, err)
	}
	blank, err := newBlank(r.RunID)
	if err != nil {
		return dst, fmt.Errorf("perf JSON of run %s: %w", r.RunID, err)
	}
	r.Selection = HoldingOf(chunks, r.Selection)
	if dst, err = appendHead(dst, newHeader(r, count(r.Outcome, chunks, r.Selection))); err != nil {
		return dst, fmt.Errorf("perf JSON of run %s: %w", r.RunID, err)
	}
	dst = appendStatuses(dst, chunks)
	dst = append(dst, linesBegin...)
	first := int64(0)
	for i, c := range chunks {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, lineIndent...)
		if dst, err = appendChunk(dst, &blank, c, first, r.Selection); err != nil {
			return dst, fmt.Errorf("perf JSON of run %s: chunk %d: %w", r.RunID, i, err)
		}
		first += c.Planned
		if dst, err = spill(dst); err != nil {
			return dst, err
		}
	}
	if len(chunks) > 0 {
		return append(dst, linesEnd...), nil
	}
	return append(dst, "]\n}\n"...), nil
}

// Lines returns each chunk's place in chunks with its JSON object, as Append
// writes it, without a line end. The bytes are good until the next one.
func Lines(id run.ID, chunks []Chunk, sel Selection) (iter.Seq2[int, []byte], error) {
	sel = HoldingOf(chunks, sel)
	if err := checkPlan(chunks); err != nil {
		return nil, fmt.Errorf("chunks of run %s: %w", id, err)
	}
	blank, err := newBlank(id)
	if err != nil {
		return nil, fmt.Errorf("chunks of run %s: %w", id, err)
	}
	return func(yield func(int, []byte) bool) {
		var buf []byte
		first := int64(0)
		for i, c := range chunks {
			if buf, err = appendChunk(buf[:0], &blank, c, first, sel); err != nil {
				return // numbers and names always have a JSON
			}
			if !yield(i, buf) {
				return
			}
			first += c.Planned
		}
	}, nil
}

// appendHead appends the object v, indented, without its end.
func appendHead(dst []byte, v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n}\n"))...), nil
}

// appendStatuses appends the field chunks_statuses, a few to a line.
func appendStatuses(dst []byte, chunks []Chunk) []byte {
	const perLine = 8
	dst = append(dst, ",\n  \"chunks_statuses\": {"...)
	first := int64(0)
	for i, c := range chunks {
		if i > 0 {
			dst = append(dst, ',')
		}
		if i%perLine == 0 {
			dst = append(dst, "\n    "...)
		} else {
			dst = append(dst, ' ')
		}
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, int64(c.Idx), 10)
		dst = append(dst, `": "`...)
		dst = append(dst, c.settled(first).Status...)
		dst = append(dst, '"')
		first += c.Planned
	}
	if len(chunks) > 0 {
		dst = append(dst, "\n  "...)
	}
	return append(dst, '}')
}

// newBlank is the JSON of a footer that measured nothing. Encoding one for each
// chunk that has not started would take far longer than writing it.
func newBlank(id run.ID) (template, error) {
	return newTemplate(footer.Footer{RunID: string(id), Schema: footer.Schema}, valueEnd)
}

// appendChunk appends the object of a chunk that begins at bar first; blank is
// newBlank of the run.
func appendChunk(dst []byte, blank *template, c Chunk, first int64, sel Selection) ([]byte, error) {
	c = c.settled(first)
	l := c.Line.l
	if l == nil {
		return blank.append(dst, &c, first, nil)
	}
	if t, selected := sel.trades(c.Idx, l); selected {
		return l.appendSelected(dst, &c, &t)
	}
	if c.Status == l.usual && c.Error == "" && c.Trace == "" {
		return append(dst, l.json...), nil
	}
	return l.append(dst, &c, first, nil)
}
