package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// maxOwnTrades bounds the trades of one chunk that a command has left.
const maxOwnTrades = 64 << 20

// errNoOwn: no chunk has left trades, so there is no file.
var errNoOwn = errors.New("no chunk has left trades")

// joinOwn joins the trades that a command has made by itself, those of the
// first chunk first, into the trades file of the run: the header once, then
// the rows. Columns are matched by name: those of the first chunk that has rows
// come first, and further ones of other chunks after them (ownColumns). Rows
// of a chunk that has all of them in their order stay as they are. Chunks whose
// trades cannot be had are left out; that is logged, and the trades that they
// count are without rows. Nothing is selected, and each chunk's own counts
// stand.
func (s *Selector) joinOwn(ctx context.Context, chunks []perf.Chunk) (perf.Selection, error) {
	j := &ownJoin{Selector: s}
	err := errMoreColumns
	for errors.Is(err, errMoreColumns) { // twice at most: the first time has found all columns
		j.sel = perf.NewSelection(chunks)
		j.sel.Scope, j.sel.Final = perf.ScopeCommand, true
		for _, c := range chunks {
			j.sel.TotalPnlBps += c.Line.Footer().PnlBps
		}
		if s.NoFiles {
			err = j.write(ctx, chunks, io.Discard)
		} else {
			err = j.writeFile(ctx, chunks)
		}
	}
	switch {
	case err == nil || errors.Is(err, errNoOwn):
		return j.sel, nil
	case ctx.Err() != nil:
		return perf.Selection{}, fmt.Errorf("joining the trades of run %s: %w", s.Target.RunID, context.Cause(ctx))
	}
	s.Logger.Error("the trades file could not be written", "error", err)
	j.sel.Trades, j.sel.Final = perf.TradesFile{}, false
	for _, c := range chunks {
		j.sel.Trades.WithoutRows += c.Line.Footer().NTradesClosed
	}
	return j.sel, nil
}

// ownJoin is one joining under way.
type ownJoin struct {
	*Selector
	sel     perf.Selection
	columns ownColumns
}

// writeFile writes the trades file, aside, synced and renamed.
func (j *ownJoin) writeFile(ctx context.Context, chunks []perf.Chunk) error {
	sum, path := sha256.New(), j.Target.TradesCSV()
	err := j.Config.writeAll(ctx, j.Target, writtenFile{path, func(w io.Writer) error {
		return j.write(ctx, chunks, io.MultiWriter(w, sum))
	}})
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(j.Target.Dir, path)
	j.sel.Trades.File, j.sel.Trades.SHA256 = filepath.ToSlash(rel), hex.EncodeToString(sum.Sum(nil))
	return err
}

// write writes header and rows to w, and counts what is left out. If it comes
// to columns that the header, which is written, does not have, it looks for all
// of them and returns errMoreColumns.
func (j *ownJoin) write(ctx context.Context, chunks []perf.Chunk, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var rowless *ownRows // the header of a table without rows, if there is no other
	begun, more := false, false
	for i, got := range readAhead(ctx, chunks, j.read) {
		if chunks[i].Line.IsZero() {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		rows, err := got.content, got.err
		switch {
		case err != nil:
			j.sel.Final = false
		case rows != nil && rows.n == 0:
			if rowless == nil {
				rowless = rows
			}
		case rows != nil:
			err = j.columns.add(rows.header)
		}
		if err != nil {
			j.Logger.Warn("the trades of a chunk are left out", "chunk_idx", i, "error", err)
		}
		if err != nil || rows == nil {
			j.sel.Trades.WithoutRows += chunks[i].Line.Footer().NTradesClosed
			continue
		}
		if rows.n == 0 {
			continue
		}
		if begun && j.columns.grown() {
			more = true
		}
		if more {
			continue // to find the columns of all chunks
		}
		if !begun {
			begun = true
			header, err := j.columns.line(rows)
			if err == nil {
				_, err = w.Write(header)
			}
			if err != nil {
				return err
			}
		}
		text, err := j.columns.place(rows)
		if err != nil {
			return fmt.Errorf("placing the trades of chunk %d: %w", i, err)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	switch err := context.Cause(ctx); {
	case err != nil:
		return err
	case more:
		return errMoreColumns
	case !begun && rowless == nil:
		return errNoOwn
	case !begun:
		_, err := w.Write(rowless.first)
		return err
	}
	return nil
}

// read finds the trades of chunk c; nil: its command left none.
func (j *ownJoin) read(ctx context.Context, c perf.Chunk) (*ownRows, error) {
	f := c.Line.Footer()
	if !slices.ContainsFunc(f.Artifacts, func(a footer.Artifact) bool { return a.Name == trade.OwnTradesName }) {
		return nil, nil
	}
	return readKept(ctx, j.Kept, f, trade.OwnTradesName, decodeOwn)
}

// ownRows are a command's own trades as CSV.
type ownRows struct {
	header []string
	first  []byte // the header's line
	rest   []byte // the rows, each with its end
	n      int64  // how many they are
}

// decodeOwn holds parts, which came from elsewhere, against the artifact that a
// footer lists, and reads them.
func decodeOwn(a footer.Artifact, parts [][]byte) (*ownRows, error) {
	content := slices.Concat(parts...)
	if int64(len(content)) != a.Bytes || a.Bytes > maxOwnTrades {
		return nil, fmt.Errorf("the trades have %d bytes, the footer lists %d (at most %d)", len(content), a.Bytes, maxOwnTrades)
	}
	if sum := digest(content); sum != a.SHA256 {
		return nil, fmt.Errorf("the trades have SHA-256 %s, the footer lists %.80q", sum, a.SHA256)
	}
	return parseOwn(content)
}

// parseOwn reads a command's trades. What a spreadsheet would take for a formula
// in them is made harmless; all other rows stay byte for byte.
func parseOwn(content []byte) (*ownRows, error) {
	r := csv.NewReader(bytes.NewReader(content))
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the trades have no header: %w", err)
	}
	rows := &ownRows{header: slices.Clone(header)}
	at := r.InputOffset()
	if rows.first, err = harmless(content[:at], header); err != nil {
		return nil, err
	}
	r.ReuseRecord = true
	same := at // from here on rows are not copied yet
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the trades: %w", err)
		}
		rows.n++
		from := at
		at = r.InputOffset()
		if !slices.ContainsFunc(row, isFormula) {
			continue
		}
		text, err := harmless(content[from:at], row)
		if err != nil {
			return nil, err
		}
		rows.rest = append(append(rows.rest, content[same:from]...), text...)
		same = at
	}
	if rows.rest == nil {
		rows.rest = content[same:]
	} else {
		rows.rest = append(rows.rest, content[same:]...)
	}
	rows.rest = ended(rows.rest)
	return rows, nil
}

func isFormula(cell string) bool { return trade.SpreadsheetCell(cell) != cell }

// harmless is the line of the cells in row, which is text as it came, for a
// spreadsheet.
func harmless(text []byte, row []string) ([]byte, error) {
	if !slices.ContainsFunc(row, isFormula) {
		return ended(text), nil
	}
	row = slices.Clone(row)
	for i := range row {
		row[i] = trade.SpreadsheetCell(row[i])
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	err := w.Write(row)
	w.Flush()
	return b.Bytes(), errors.Join(err, w.Error())
}

// ended is b with the end of its last line.
func ended(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] != '\n' {
		return append(slices.Clone(b), '\n')
	}
	return b
}

// OwnTrades cuts the trades file of a run, in which a command's own trades were
// joined, into what each chunk left: the header, and as many bytes as its footer
// lists, if they have its digest. A chunk that is not there was left out, or has
// another header.
func OwnTrades(t Target, chunks []perf.Chunk) map[int][]byte {
	found := map[int][]byte{}
	b, err := safefile.Read(t.TradesCSV(), maxVerified)
	if err != nil {
		return found
	}
	r := csv.NewReader(bytes.NewReader(b))
	if _, err := r.Read(); err != nil {
		return found
	}
	header, rest := b[:r.InputOffset()], b[r.InputOffset():]
	for i, c := range chunks {
		for _, a := range c.Line.Footer().Artifacts {
			n := a.Bytes - int64(len(header))
			if a.Name != trade.OwnTradesName || n < 0 || n > int64(len(rest)) {
				continue
			}
			if own := slices.Concat(header, rest[:n]); digest(own) == a.SHA256 {
				found[i], rest = own, rest[n:]
			}
		}
	}
	return found
}
