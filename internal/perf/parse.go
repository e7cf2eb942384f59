package perf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// MaxBytes bounds what Parse looks at: twice run.MaxChunks chunks of the
// usual 2 kB.
const MaxBytes int64 = 4 << 30

// ErrSchema: the file is a perf JSON of another schema than this program's.
var ErrSchema = errors.New("unknown schema")

// File is a perf JSON that was read.
type File struct {
	Report Report
	Totals Totals // as the file says; Verify says whether they are right
	Chunks []Chunk
}

// requiredFields are the fields of version 1 that a file must have. A field
// that is added later is not required, so that older files stay readable.
var requiredFields = [...]string{
	"run_id", "timestamp", "schema_version", "schema", "outcome", "export_mode", "export_partial", "export_seq",
	"coverage", "chunks_completed", "chunks_total", "total_wall_clock_sec", "total_bars", "total_model_calls",
	"total_trades", "total_pnl_bps", "trades_open", "pregate_enabled", "stop", "selection", "data", "policy",
	"env_info", "chunks_statuses", "chunks",
}

// Parse reads a perf JSON of this product. Fields that it does not know are
// passed over; a missing field, a wrong type or a null is an error that names
// the field. Whether the numbers fit each other, Verify says.
func Parse(b []byte) (File, error) {
	d, err := decode(b)
	if err != nil {
		return File{}, fmt.Errorf("reading a perf JSON: %w", err)
	}
	f, err := d.file()
	if err != nil {
		return File{}, fmt.Errorf("reading a perf JSON: %w", err)
	}
	return f, nil
}

// decoded is a perf JSON as it stands in the file.
type decoded struct {
	header   header
	statuses map[string]footer.Status
	footers  []footer.Footer // status, error and trace are the chunk's; trades those of its own signals
	trades   []ChunkTrades   // what the run's selection made of them
}

func (d decoded) file() (File, error) {
	r, err := d.header.report()
	if err != nil {
		return File{}, err
	}
	h := d.header
	f := File{Report: r, Chunks: make([]Chunk, len(d.footers)), Totals: Totals{
		Outcome: h.Outcome, TotalBars: h.TotalBars, TotalModelCalls: h.TotalModelCalls, TotalTrades: h.TotalTrades,
		TotalPnlBps: h.TotalPnlBps, NetPnlBps: h.NetPnlBps, TradesOpen: h.TradesOpen, ChunksCompleted: h.ChunksCompleted,
		ChunksTotal: h.ChunksTotal, Coverage: h.Coverage, Stretches: h.Selection.Stretches, Unreported: h.TotalsUnreported,
	}}
	for i, ft := range d.footers {
		c := Chunk{Idx: int(ft.ChunkIdx), Planned: ft.PlannedBars, Status: ft.Status, Error: ft.Error, Trace: ft.ErrorTraceback}
		if ft.Attempt != 0 {
			if c.Line, err = EncodeChunk(ft); err != nil {
				return File{}, fmt.Errorf("chunks[%d]: %w", i, err)
			}
		}
		f.Chunks[i] = c
	}
	if h.selected() {
		s := NewSelection(f.Chunks)
		s.Estimate = h.Estimate.Estimate
		s.Scope, s.Trades, s.Signals, s.Exact, s.TotalPnlBps, s.Chunks = h.Selection.Scope, h.Trades, h.Signals, h.BordersExact, h.TotalPnlBps, d.trades
		s.NetPnlBps = h.NetPnlBps
		s.Final = s.Scope == ScopeCommand || s.Scope == ScopeRun && r.Command.Emits == run.EmitsSignals
		f.Report.Selection = s
	}
	// These two stand in the chunks alone.
	counted := f.Report.Count(f.Chunks)
	f.Totals.Signals, f.Totals.Expired = counted.Signals, counted.Expired
	return f, nil
}

func decode(b []byte) (decoded, error) {
	if int64(len(b)) > MaxBytes {
		return decoded{}, fmt.Errorf("it has %d bytes (at most %d)", len(b), MaxBytes)
	}
	if d, ok := decodeLines(b); ok {
		return d, nil
	}
	d, err := decodeAny(b)
	if errors.Is(err, io.EOF) { // cut off between two values
		err = io.ErrUnexpectedEOF
	}
	return d, err
}

// decodeAny is decode for a file however it is laid out. It reads one chunk
// after the other, so that a large file is not held twice.
func decodeAny(b []byte) (decoded, error) {
	var d decoded
	small := map[string]json.RawMessage{}
	seen := map[string]bool{}
	j := json.NewDecoder(bytes.NewReader(b))
	if err := open(j, '{'); err != nil {
		return decoded{}, err
	}
	for j.More() {
		t, err := j.Token()
		if err != nil {
			return decoded{}, err
		}
		name, _ := t.(string) // a key is always a string
		if seen[name] {
			return decoded{}, fmt.Errorf("%.40q appears twice", name)
		}
		seen[name] = true
		if name == "chunks" {
			if err := d.decodeChunks(j); err != nil {
				return decoded{}, err
			}
			continue
		}
		var raw json.RawMessage
		if err := j.Decode(&raw); err != nil {
			return decoded{}, fmt.Errorf("%.40q: %w", name, err)
		}
		if nulls(raw) > 0 {
			return decoded{}, fmt.Errorf("%.40q: null (want a value; nothing is ever null)", name)
		}
		small[name] = raw
	}
	if _, err := j.Token(); err != nil { // the end of the object
		return decoded{}, err
	}
	if _, err := j.Token(); err != io.EOF {
		return decoded{}, errors.New("something follows its end")
	}
	return d, d.fields(small, seen)
}

// fields fills d from the fields but chunks.
func (d *decoded) fields(small map[string]json.RawMessage, seen map[string]bool) error {
	for _, name := range requiredFields {
		if !seen[name] {
			return fmt.Errorf("%q is missing", name)
		}
	}
	if err := json.Unmarshal(small["schema"], &d.header.Schema); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if d.header.Schema != Schema {
		return fmt.Errorf("schema %d (want %d): %w", d.header.Schema, Schema, ErrSchema)
	}
	if err := json.Unmarshal(small["chunks_statuses"], &d.statuses); err != nil {
		return fmt.Errorf("chunks_statuses: %w", err)
	}
	delete(small, "chunks_statuses")
	b, err := json.Marshal(small)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &d.header); err != nil {
		return err
	}
	if _, err := run.ParseID(string(d.header.RunID)); err != nil {
		return err
	}
	return nil
}

func (d *decoded) decodeChunks(j *json.Decoder) error {
	if err := open(j, '['); err != nil {
		return fmt.Errorf("chunks: %w", err)
	}
	for j.More() {
		n := len(d.footers)
		if n == run.MaxChunks {
			return fmt.Errorf("chunks: more than %d", run.MaxChunks)
		}
		var raw json.RawMessage
		if err := j.Decode(&raw); err != nil {
			return fmt.Errorf("chunks[%d]: %w", n, err)
		}
		f, t, err := decodeChunk(raw, n)
		if err != nil {
			return fmt.Errorf("chunks[%d]: %w", n, err)
		}
		d.footers, d.trades = append(d.footers, f), append(d.trades, t)
	}
	_, err := j.Token() // the end of the list
	return err
}

func decodeChunk(raw json.RawMessage, idx int) (footer.Footer, ChunkTrades, error) {
	if raw[0] != '{' {
		return footer.Footer{}, ChunkTrades{}, errors.New("not an object")
	}
	f, t, err := DecodeLine(raw)
	if err != nil {
		return footer.Footer{}, ChunkTrades{}, err
	}
	if nulls(raw) != nulls(f.Child) { // the command's own footer may hold some
		return footer.Footer{}, ChunkTrades{}, errors.New("a field is null (want a value; nothing is ever null)")
	}
	return f, t, checkDecoded(f, idx)
}

// checkDecoded says whether f, the chunk idx of a file, is one at all.
func checkDecoded(f footer.Footer, idx int) error {
	if f.ChunkIdx != int64(idx) {
		return fmt.Errorf("chunk_idx %d (want %d: every chunk once, in order)", f.ChunkIdx, idx)
	}
	if f.Attempt < 0 {
		return fmt.Errorf("attempt %d is negative", f.Attempt)
	}
	if f.PlannedBars < 0 || f.BarsProcessed < 0 || f.BarsProcessed > f.PlannedBars {
		return fmt.Errorf("bars_processed %d of planned_bars %d (want 0 or more, and no more than planned)", f.BarsProcessed, f.PlannedBars)
	}
	switch f.Status {
	case footer.StatusOK, footer.StatusStopped, footer.StatusFailed, footer.StatusUnresponsive, footer.StatusMissing, footer.StatusParseError:
		return nil
	}
	return fmt.Errorf("status %.40q is not one of a chunk", string(f.Status))
}

func open(j *json.Decoder, want json.Delim) error {
	t, err := j.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("it begins with %.40v (want %v)", t, want)
	}
	return nil
}

// nulls counts the nulls in b, which is valid JSON: outside of strings only
// null begins with an n.
func nulls(b []byte) int {
	count, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case inString && b[i] == '\\':
			i++
		case b[i] == '"':
			inString = !inString
		case !inString && b[i] == 'n':
			count++
		}
	}
	return count
}
