package perf

import (
	"fmt"
	"strings"
)

// Difference is a value that is not what follows from the rest.
type Difference struct {
	File  string `json:"file"` // path; empty: the perf JSON
	Field string `json:"field"`
	Value string `json:"value"`
	Want  string `json:"expected"`
}

func (d Difference) String() string {
	text := fmt.Sprintf("%s is %s (expected %s)", d.Field, d.Value, d.Want)
	if d.File != "" {
		return d.File + ": " + text
	}
	return text
}

// maxDifferences bounds a list of differences: where more is wrong, more says
// nothing.
const maxDifferences = 1000

// Differences are all that was found. As an error they are one line, which
// shows the first ones.
type Differences []Difference

// Add adds the difference of a field. Values are shown as fmt prints them.
func (d *Differences) Add(field string, got, want any) {
	if len(*d) < maxDifferences {
		*d = append(*d, Difference{Field: field, Value: fmt.Sprint(got), Want: fmt.Sprint(want)})
	}
}

// In returns d with the differences in the file at path.
func (d Differences) In(path string) Differences {
	for i := range d {
		d[i].File = path
	}
	return d
}

// Err is d as an error; nil if it is empty.
func (d Differences) Err() error {
	if len(d) == 0 {
		return nil
	}
	return d
}

func (d Differences) Error() string {
	const shown = 3
	var parts []string
	for _, one := range d[:min(len(d), shown)] {
		parts = append(parts, one.String())
	}
	if more := len(d) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}
