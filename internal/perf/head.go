package perf

import (
	"encoding/json"
	"fmt"
	"io"

	"gx1replay/internal/run"
)

// ReadHead reads a perf JSON up to its chunks, which stand at its end: the file of
// a million chunks is read as fast as one of ten. What it returns has no Chunks, and
// the totals are those that the file names; only Verify looks whether they are right.
func ReadHead(r io.Reader) (File, error) {
	f, err := readHead(json.NewDecoder(r))
	if err != nil {
		return File{}, fmt.Errorf("reading the head of a perf JSON: %w", err)
	}
	return f, nil
}

func readHead(j *json.Decoder) (File, error) {
	var d decoded
	if err := open(j, '{'); err != nil {
		return File{}, err
	}
	small := map[string]json.RawMessage{}
	for j.More() {
		t, err := j.Token()
		if err != nil {
			return File{}, err
		}
		name, _ := t.(string) // a key is always a string
		if name == "chunks_statuses" || name == "chunks" {
			break
		}
		var raw json.RawMessage
		if err := j.Decode(&raw); err != nil {
			return File{}, fmt.Errorf("%.40q: %w", name, err)
		}
		if nulls(raw) > 0 {
			return File{}, fmt.Errorf("%.40q: null (want a value; nothing is ever null)", name)
		}
		small[name] = raw
	}
	for _, name := range requiredFields {
		if _, there := small[name]; !there && name != "chunks_statuses" && name != "chunks" {
			return File{}, fmt.Errorf("%q is missing before the chunks", name)
		}
	}
	b, err := json.Marshal(small)
	if err != nil {
		return File{}, err
	}
	if err := json.Unmarshal(b, &d.header); err != nil {
		return File{}, err
	}
	if d.header.Schema != Schema {
		return File{}, fmt.Errorf("schema %d (want %d): %w", d.header.Schema, Schema, ErrSchema)
	}
	if _, err := run.ParseID(string(d.header.RunID)); err != nil {
		return File{}, err
	}
	scope := d.header.Selection.Scope
	d.header.Selection.Scope = ScopeChunks // that of the chunks is not read
	f, err := d.file()
	f.Report.Selection = Selection{Scope: scope, Trades: d.header.Trades, Signals: d.header.Signals}
	return f, err
}
