package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong in a policy, and where.
type Error struct {
	File string // as it was named; `environment` for a variable
	Line int    // from 1; 0 where there is no line (a variable, a whole file)
	Col  int    // from 1, in characters
	Key  string // dotted path; empty for the document as a whole
	Msg  string // what stands there and what was wanted
}

// Error is `file:line:col: dotted.key: message`.
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Col)
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key)
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Errors is everything that is wrong with a policy: the policy file's errors
// position, then those of each include. Load and Parse return it as the error
// itself (errors.As finds it too) and never return an empty one.
type Errors []Error

// Error joins the errors, one a line (a message may have lines of its own).
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns e by file in order of first appearance in files, then by
// position; errors at one position keep their order.
func (e Errors) sorted(files []string) Errors {
	rank := func(file string) int {
		if i := slices.Index(files, file); i >= 0 {
			return i
		}
		return len(files)
	}
	slices.SortStableFunc(e, func(a, b Error) int {
		if c := rank(a.File) - rank(b.File); c != 0 {
			return c
		}
		if c := a.Line - b.Line; c != 0 {
			return c
		}
		return a.Col - b.Col
	})
	return e
}
