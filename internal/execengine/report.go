package execengine

import (
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/redact"
)

// Report is what a command has said of itself, in one of the forms of
// progress, or in its footer. Counters are cumulative.
type Report struct {
	// Footer has what was given, under the footer's names; all else is zero.
	Footer footer.Footer
	// Given are the names of the footer's fields that were given as finite
	// numbers or as text. Phase, status, chunk_id and final are not among them.
	Given map[string]bool
	// Nonfinite are numbers that were given as NaN or infinite: not reported.
	Nonfinite []string
	Phase     footer.Phase // empty: not given
	Status    string       // as the command says it, at most maxStatus bytes; empty: not given
	ChunkID   string
	Final     bool
	// Total is what the bars of a progress report count to, padding of the
	// command's own included; 0: not given.
	Total int64
	// Raw is the object as it was given, made valid JSON (what is no finite
	// number is null); nil where there was none, or it is too large.
	Raw []byte
}

// reported are the fields of a footer that are taken of a command's report:
// what it alone can know. Run, chunk and times come from the plan, identity
// from the worker.
var reported = footer.Fields(func(d footer.Field) bool { return d.Reported })

// fieldOf is the one of that name.
func fieldOf(name string) (footer.Field, bool) {
	i := slices.IndexFunc(reported, func(d footer.Field) bool { return d.Name == name })
	if i < 0 {
		return footer.Field{}, false
	}
	return reported[i], true
}

// redacted is r without secrets: what a command reports is kept and printed.
func (r Report) redacted() Report {
	for _, text := range []*string{&r.Footer.Error, &r.Footer.ErrorTraceback} {
		*text = redact.Text(*text)
	}
	if r.Raw == nil {
		return r
	}
	if r.Raw = redact.JSON(r.Raw); len(r.Raw) > maxRawBytes {
		r.Raw = nil
	}
	return r
}

// Merge takes what a later report gives; what it does not give stays, also
// what it gives as no finite number. It changes r's own map.
func (r *Report) Merge(later Report) {
	if r.Given == nil {
		r.Given = map[string]bool{}
	}
	for _, d := range reported {
		if later.Given[d.Name] {
			r.Given[d.Name] = true
			d.Copy(&r.Footer, &later.Footer)
		}
	}
	r.Nonfinite = mergeNames(r.Nonfinite, later.Nonfinite, later.Given)
	if later.Phase != "" {
		r.Phase = later.Phase
	}
	if later.Status != "" {
		r.Status = later.Status
	}
	if later.ChunkID != "" {
		r.ChunkID = later.ChunkID
	}
	r.Final = r.Final || later.Final
	if later.Total != 0 || later.Given["bars_processed"] {
		r.Total = later.Total // it belongs to its bars
	}
	if later.Raw != nil {
		r.Raw = later.Raw
	}
}

// mergeNames is the sorted union of earlier names that are not given now, and
// later ones. Reports mostly have none.
func mergeNames(earlier, later []string, given map[string]bool) []string {
	if len(earlier) == 0 && len(later) == 0 {
		return nil
	}
	var out []string
	for _, name := range earlier {
		if !given[name] {
			out = append(out, name)
		}
	}
	out = append(out, later...)
	slices.Sort(out)
	return slices.Compact(out)
}
