package perf

import (
	"bytes"
	"slices"
	"strconv"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// How Append lays the list of chunks out. No JSON string holds a raw line
// end, so none of these occurs within one.
const (
	linesBegin = ",\n  \"chunks\": ["
	lineIndent = "\n    "
	linesEnd   = "\n  ]\n}\n"
)

// decodeLines is decode for a file as Append lays it out: one chunk a line,
// most of which, in a run that was stopped early, are alike. With a million
// chunks it takes a tenth of the time. It reports false for any other file
// and for one in which anything is wrong; what, decode says.
func decodeLines(b []byte) (decoded, bool) {
	at := bytes.Index(b, []byte(linesBegin))
	if at < 0 || !bytes.HasSuffix(b[at:], []byte(linesEnd)) {
		return decoded{}, false
	}
	d, err := decodeAny(slices.Concat(b[:at], []byte(linesBegin+"]}")))
	if err != nil {
		return decoded{}, false
	}
	unmeasured, err := newUnmeasured(d.header.RunID)
	if err != nil {
		return decoded{}, false
	}
	body, ok := bytes.CutPrefix(b[at+len(linesBegin):len(b)-len(linesEnd)], []byte(lineIndent))
	if !ok {
		return decoded{}, false
	}
	// Most lines have a kilobyte; room for no more than that is made ahead.
	room := min(bytes.Count(body, []byte(","+lineIndent))+1, len(body)/512)
	d.footers, d.trades = make([]footer.Footer, 0, room), make([]ChunkTrades, 0, room)
	first := int64(0)
	for line := range bytes.SplitSeq(body, []byte(","+lineIndent)) {
		idx := len(d.footers)
		if idx == run.MaxChunks || len(line) == 0 {
			return decoded{}, false
		}
		f, known := unmeasured.read(line, idx, first)
		var t ChunkTrades
		if !known {
			if f, t, err = decodeChunk(line, idx); err != nil {
				return decoded{}, false
			}
		}
		d.footers, d.trades = append(d.footers, f), append(d.trades, t)
		first += f.PlannedBars
	}
	return d, true
}

// unmeasured reads the lines of chunks of which nothing was measured.
type unmeasured struct {
	blank template
	like  footer.Footer // what such a line decodes to
	buf   []byte
}

func newUnmeasured(id run.ID) (*unmeasured, error) {
	b, err := newBlank(id)
	if err != nil {
		return nil, err
	}
	line, err := appendChunk(nil, &b, Chunk{Status: footer.StatusMissing}, 0, Selection{})
	if err != nil {
		return nil, err
	}
	like, _, err := decodeChunk(line, 0)
	return &unmeasured{blank: b, like: like, buf: line}, err
}

// read returns the footer that the line of chunk idx decodes to if it is, to
// the byte, what appendChunk writes for a chunk without footer and without
// error that begins at bar first.
func (u *unmeasured) read(line []byte, idx int, first int64) (footer.Footer, bool) {
	status, ok := between(line, `"status":"`, '"')
	planned, ok2 := between(line, `"planned_bars":`, ',')
	n, err := strconv.ParseInt(string(planned), 10, 64)
	if !ok || !ok2 || err != nil || n < 0 {
		return footer.Footer{}, false
	}
	c := Chunk{Idx: idx, Planned: n, Status: footer.Status(status)}
	u.buf, err = appendChunk(u.buf[:0], &u.blank, c, first, Selection{})
	if err != nil || !bytes.Equal(u.buf, line) {
		return footer.Footer{}, false
	}
	f := u.like
	f.ChunkIdx, f.ChunkID, f.Status = int64(idx), strconv.Itoa(idx), c.Status
	f.PlannedBars, f.FirstBar, f.EndBar = n, first, first+n
	return f, true
}

// between returns what stands in b between the first mark and the next end.
func between(b []byte, mark string, end byte) ([]byte, bool) {
	at := bytes.Index(b, []byte(mark))
	if at < 0 {
		return nil, false
	}
	b = b[at+len(mark):]
	if at = bytes.IndexByte(b, end); at < 0 {
		return nil, false
	}
	return b[:at], true
}
