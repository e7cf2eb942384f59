package selection

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// maxTable bounds the trades of one chunk that a command has left.
const maxTable = 64 << 20

// errNoTrades: no chunk has left trades, so there is no file.
var errNoTrades = errors.New("no chunk has trades")

// join joins the trades that a command has made by itself, those of the first
// chunk first, into the trades file of the run: the header once, then the rows.
// Columns are matched by name: those of the first chunk that has rows come first,
// and further ones of other chunks after them (columns). Rows of a chunk that has
// all of them in their order stay as they are. Chunks whose trades cannot be read
// are left out; that is logged, and the trades that they count are without rows.
// Nothing is selected, and each chunk's own counts stand.
type join struct {
	*Selector
	artifacts
	chunks  []perf.Chunk
	sel     perf.Selection
	columns columns
}

// joinTrades joins a command's own trades, and writes the files about them.
func (s *Selector) joinTrades(ctx context.Context, r perf.Report, chunks []perf.Chunk) (perf.Selection, error) {
	j := &join{Selector: s, artifacts: newArtifacts(ctx, s.Artifacts), chunks: chunks}
	err := errMoreColumns
	for errors.Is(err, errMoreColumns) { // the first time finds all columns
		err = j.tryWrite(ctx)
	}
	switch {
	case errors.Is(err, errNoTrades):
		return j.sel, nil
	case err == nil && s.NoFiles:
		return j.sel, nil
	case err == nil:
		if err := j.writeFigures(ctx, r); err != nil {
			s.Logger.Error("writing the files about the trades failed", "error", err)
		}
		return j.sel, nil
	case ctx.Err() != nil:
		return j.sel, fmt.Errorf("joining the trades: %w", context.Cause(ctx))
	}
	s.Logger.Error("writing the trades file failed", "error", err)
	j.sel.Trades, j.sel.Final = perf.TradesFile{}, false
	for _, c := range chunks {
		j.sel.Trades.WithoutRows += c.Line.Footer().NTradesClosed
	}
	return j.sel, nil
}

// tryWrite writes the trades file, if files are written, and names it.
func (j *join) tryWrite(ctx context.Context) error {
	j.sel = perf.NewSelection(j.chunks)
	j.sel.Scope, j.sel.Final = perf.ScopeCommand, true
	for _, c := range j.chunks {
		j.sel.TotalPnlBps += c.Line.Footer().PnlBps
	}
	if j.NoFiles {
		return j.write(ctx, io.Discard)
	}
	sum := sha256.New()
	err := j.writeFiles(ctx, file{path: j.Files.TradesCSV(), write: func(w io.Writer) error { return j.write(ctx, io.MultiWriter(w, sum)) }})
	if err == nil {
		j.sel.Trades.File, j.sel.Trades.SHA256 = named(j.Files, j.Files.TradesCSV(), sum)
	}
	return err
}

// write writes header and rows to w, and counts what is left out. If it comes
// to columns that the header, which is written, does not have, it looks for all
// of them and returns errMoreColumns.
func (j *join) write(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var rowless *table // the first one, whose header stands if there is no other
	begun, more := false, false
	for i, got := range readAhead(ctx, j.chunks, j.readTable) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		t, err := got.content, got.err
		if err != nil {
			j.sel.Final = false
		} else if t != nil && t.n > 0 {
			err = j.columns.add(t.header)
		}
		if err != nil {
			j.Logger.Warn("trades of a chunk left out", "chunk_idx", i, "error", err)
		}
		switch {
		case err != nil || t == nil:
			j.sel.Trades.WithoutRows += j.chunks[i].Line.Footer().NTradesClosed
			continue
		case t.n == 0:
			if rowless == nil {
				rowless = t
			}
			continue
		case !begun:
			begun = true
			header, err := j.columns.line(t)
			if err == nil {
				_, err = w.Write(header)
			}
			if err != nil {
				return err
			}
		}
		if more = more || j.columns.grown(); more {
			continue // to find the columns of all chunks
		}
		text, err := j.columns.place(t)
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
		return errNoTrades
	case !begun:
		_, err := w.Write(rowless.first)
		return err
	}
	return nil
}

// readTable finds the trades of chunk c; nil: its command left none.
func (j *join) readTable(ctx context.Context, c perf.Chunk) (*table, error) {
	if lists(c, trade.OwnTradesName) < 0 {
		return nil, nil
	}
	return find(ctx, j.artifacts, c, trade.OwnTradesName, decodeTable)
}

// table is a command's own trades as CSV.
type table struct {
	header []string
	first  []byte // the header's line
	rest   []byte // the rows, each with its end
	n      int64  // how many they are
}

// decodeTable holds parts, which came from elsewhere, against the artifact that
// a footer lists, and reads them.
func decodeTable(a footer.Artifact, parts [][]byte) (*table, error) {
	content := slices.Concat(parts...)
	if int64(len(content)) != a.Bytes || a.Bytes > maxTable {
		return nil, fmt.Errorf("the trades have %d bytes, the footer lists %d (at most %d)", len(content), a.Bytes, maxTable)
	}
	if sum := digest(content); sum != a.SHA256 {
		return nil, fmt.Errorf("the trades have SHA-256 %s, the footer lists %.80q", sum, a.SHA256)
	}
	return parseTable(content)
}

// parseTable reads a command's trades. What a spreadsheet would take for a
// formula in them is made harmless; all other rows stay byte for byte.
func parseTable(content []byte) (*table, error) {
	r := csv.NewReader(bytes.NewReader(content))
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the trades have no header: %w", err)
	}
	t := &table{header: slices.Clone(header)}
	at := r.InputOffset()
	if t.first, err = harmless(content[:at], header); err != nil {
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
		t.n++
		from := at
		at = r.InputOffset()
		if !slices.ContainsFunc(row, isFormula) {
			continue
		}
		text, err := harmless(content[from:at], row)
		if err != nil {
			return nil, err
		}
		t.rest = append(append(t.rest, content[same:from]...), text...)
		same = at
	}
	if t.rest == nil {
		t.rest = content[same:]
	} else {
		t.rest = append(t.rest, content[same:]...)
	}
	t.rest = ended(t.rest)
	return t, nil
}

func isFormula(cell string) bool { return trade.SpreadsheetCell(cell) != cell }

// harmless is the line of the cells in row, which is text as it came, for a
// spreadsheet.
func harmless(text []byte, row []string) ([]byte, error) {
	if !slices.ContainsFunc(row, isFormula) {
		return ended(text), nil
	}
	return csvLine(row)
}

// csvLine is a line of cells, none of which a spreadsheet takes for a formula.
func csvLine(cells []string) ([]byte, error) {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = trade.SpreadsheetCell(cell)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	err := w.Write(safe)
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

// CutTrades cuts the trades file of a run, in which a command's own trades were
// joined, into what each chunk left: the header, and as many bytes as its footer
// lists, if they have its digest. A chunk that is not there was left out, or has
// another header.
func CutTrades(files layout.Run, chunks []perf.Chunk) map[int][]byte {
	found := map[int][]byte{}
	b, err := safefile.Read(files.TradesCSV(), maxVerified)
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
