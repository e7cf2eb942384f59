package perf

import (
	"gx1replay/internal/run"
)

// commandJSON is the user's command in a file, its arguments without secrets.
// Without one there are argv and digests, which are empty.
type commandJSON struct {
	Argv    []string          `json:"argv"`
	Digests map[string]string `json:"digests"`
	// ArgvSHA256 is there if argv is not the true one.
	ArgvSHA256 string `json:"argv_sha256,omitzero"`

	Params      map[string]string          `json:"params,omitzero"`
	Files       map[string]run.CommandFile `json:"files,omitzero"`
	Emits       string                     `json:"emits,omitzero"`
	SliceFormat string                     `json:"slice_format,omitzero"`
	TSFormat    string                     `json:"ts_format,omitzero"`
	TailBars    *int64                     `json:"tail_bars,omitzero"`
	Flags       []string                   `json:"flags,omitzero"`
}

// newCommandJSON writes a command that could not be read back as none: it must
// not spoil the file.
func newCommandJSON(c run.Command) commandJSON {
	c = c.Redacted()
	if c.IsZero() || c.Validate() != nil {
		return commandJSON{Argv: []string{}, Digests: map[string]string{}}
	}
	j := commandJSON{Argv: c.Argv, Digests: orEmptyMap(c.Digests), ArgvSHA256: c.ArgvSHA256}
	j.Params, j.Files = orEmptyMap(c.Params), orEmptyMap(c.Files)
	j.Emits, j.SliceFormat, j.TSFormat, j.TailBars = c.Emits, c.SliceFormat, c.TSFormat, &c.TailBars
	j.Flags = c.Flags
	return j
}

func orEmptyMap[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// command is the way back. What is empty is nil.
func (j commandJSON) command() (run.Command, error) {
	if len(j.Argv) == 0 {
		return run.Command{}, nil
	}
	c := run.Command{Argv: j.Argv, ArgvSHA256: j.ArgvSHA256, Digests: j.Digests, Params: j.Params, Files: j.Files, Emits: j.Emits, SliceFormat: j.SliceFormat, TSFormat: j.TSFormat, Flags: j.Flags}
	if j.TailBars != nil {
		c.TailBars = *j.TailBars
	}
	return c, c.Validate()
}
