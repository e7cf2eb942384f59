package execengine

import "gx1replay/internal/footer"

// Report is what a command has said of itself, in one of the forms of
// progress, or in its footer. Counters are cumulative.
type Report struct {
	// Footer has what was given, under the footer's names; all else is zero.
	Footer footer.Footer
	// Given are the names of the footer's fields that were given as finite
	// numbers or as text.
	Given map[string]bool
	// Nonfinite are numbers that were given as NaN or infinite: not reported.
	Nonfinite []string
	Phase     footer.Phase // empty: not given
	Status    string       // as the command says it; empty: not given
	ChunkID   string
	Final     bool
	// Raw is the object as it was given, made valid JSON (what is no finite
	// number is null); nil where there was none.
	Raw []byte
}
