package run

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Incarnation tells a run from an earlier or later one of the same run_id: 32
// lower-case hex digits, drawn at random when the run is first planned. The
// empty one is that of runs planned by a version that had none; it is a value
// like another.
type Incarnation string

// NewIncarnation makes an incarnation of 16 random bytes.
func NewIncarnation(random [16]byte) Incarnation {
	return Incarnation(hex.EncodeToString(random[:]))
}

// Validate checks an incarnation that came from the bus or a file.
func (i Incarnation) Validate() error {
	if i == "" {
		return nil
	}
	if len(i) != 32 || strings.Trim(string(i), "0123456789abcdef") != "" {
		return fmt.Errorf("incarnation %.40q (want 32 hex digits, or none)", string(i))
	}
	return nil
}

// Dir names the directory of a run's incarnation below a work directory. No
// run_id holds a dot, so no two runs share a name.
func (i Incarnation) Dir(id ID) string {
	if i == "" {
		return string(id)
	}
	return string(id) + "." + string(i)
}

// Ref names a run and its incarnation: what every message of a run carries.
type Ref struct {
	ID          ID
	Incarnation Incarnation
}

// Ref is the run that m describes.
func (m Manifest) Ref() Ref { return Ref{m.RunID, m.Incarnation} }

// Inputs is the digest (hex) of what a run's incarnation replays: data, plan,
// policy, models, engine and command. The first manifest fixes it, and every
// later one has the same, whatever its session. The command's own identity is
// left out, since a run may learn it from the first claim: see KeepsInputs.
func (m Manifest) Inputs() string {
	h := sha256.New()
	d := m.Data
	fmt.Fprintf(h, "run %q %q\n", m.RunID, m.Incarnation)
	fmt.Fprintf(h, "data %q %d %d %d %q\n", d.SHA256, d.Bars, d.BarLength, d.SliceBars, d.Extra)
	if d.BeforeBars > 0 {
		fmt.Fprintf(h, "before %d\n", d.BeforeBars)
	}
	fmt.Fprintf(h, "plan %d %d %d\n", m.Plan.Bars, m.Plan.Chunks, m.Plan.ChunkBars)
	// The digest of the policy's meaning: a comment in its file may change.
	fmt.Fprintf(h, "policy %q %v\n", m.Policy.SHA256, m.PregateEnabled)
	fmt.Fprintf(h, "states %q\n", m.FeatureStates)
	for _, name := range slices.Sorted(maps.Keys(m.Models)) {
		fmt.Fprintf(h, "model %q %q\n", name, m.Models[name])
	}
	fmt.Fprintf(h, "engine %q %d %v\n", m.Engine, EngineOf(m.EngineVersion), m.Decisions)
	c := m.Command
	for _, name := range slices.Sorted(maps.Keys(c.Params)) {
		fmt.Fprintf(h, "param %q %q\n", name, c.Params[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Files)) {
		f := c.Files[name]
		fmt.Fprintf(h, "file %q %q %q %d\n", name, f.Name, f.SHA256, f.Bytes)
	}
	fmt.Fprintf(h, "command %q %q %q %d\n", c.Emits, c.SliceFormat, c.TSFormat, c.TailBars)
	return hex.EncodeToString(h.Sum(nil))
}

// KeepsInputs says whether next, a later manifest of m's incarnation, replays
// what m does; the error names the first thing that differs.
func (m Manifest) KeepsInputs(next Manifest) error {
	changed := func(what string, was, is any) error {
		return fmt.Errorf("%s changed from %.80q to %.80q (want what the run's first manifest has)", what, fmt.Sprint(was), fmt.Sprint(is))
	}
	if m.Identity != "" && m.Identity != next.Identity {
		return changed("the command's identity", m.Identity, next.Identity)
	}
	if m.Inputs() == next.Inputs() {
		return nil
	}
	for _, in := range []struct {
		what    string
		was, is any
	}{
		{"the incarnation", m.Incarnation, next.Incarnation},
		{"the data set", m.Data.SHA256, next.Data.SHA256},
		{"the warm-up before the period", m.Data.BeforeBars, next.Data.BeforeBars},
		{"the plan", m.Plan, next.Plan},
		{"the policy", m.Policy.SHA256, next.Policy.SHA256},
		{"the pregate", m.PregateEnabled, next.PregateEnabled},
		{"the object of feature states", m.FeatureStates, next.FeatureStates},
		{"the models", m.Models, next.Models},
		{"the engine's version", EngineOf(m.EngineVersion), EngineOf(next.EngineVersion)},
		{"the engine", m.Engine, next.Engine},
	} {
		if fmt.Sprint(in.was) != fmt.Sprint(in.is) {
			return changed(in.what, in.was, in.is)
		}
	}
	if list := m.Command.Differences(next.Command); len(list) > 0 {
		return fmt.Errorf("the command changed: %s (want what the run's first manifest has)", list[0])
	}
	return changed("the inputs", m.Inputs(), next.Inputs())
}
