package bars

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// found is a column of a file that is none of a bar's.
type found struct {
	index int // in the file
	name  string
}

// skipped names the columns that are left out, each with the reason.
type skipped []string

// maxSkipped bounds the names that are kept: a file can have any number.
const maxSkipped = MaxExtraColumns

func (s *skipped) add(name, reason string) {
	switch {
	case len(*s) < maxSkipped:
		*s = append(*s, fmt.Sprintf("%s (%s)", shorten(name), reason))
	case len(*s) == maxSkipped:
		*s = append(*s, "and more")
	}
}

// extras finds in a header the columns that are kept beside the bars, in the
// file's order. A tick_volume that is taken as the volume is kept under its
// own name, too. Mid prices are among them, in lower case, unless they were
// taken as bids.
func (l *layout) extras(header []string, out *skipped) []found {
	used := make(map[int]bool, columnCount)
	for c, i := range l.index {
		used[i] = column(c) != colVolume || strings.EqualFold(l.name[c], colVolume.String())
	}
	if l.clock >= 0 {
		used[l.clock] = true
	}
	var list []found
	seen := make(map[string]bool, len(header))
	for i, name := range header {
		if used[i] {
			continue
		}
		if own := strings.ToLower(strings.TrimSpace(name)); midOf(own) >= 0 {
			name = own
		}
		switch reason := badName(name); {
		case name == "":
			out.add(name, fmt.Sprintf("column %d: no name", i+1))
		case reason != "":
			out.add(name, reason)
		case columnOf(strings.ToLower(strings.TrimSpace(name))) < columnCount:
			out.add(name, "named as a column of a bar, which is taken from another")
		case name == "__index_level_0__":
			out.add(name, "an index without a name")
		case seen[name]:
			out.add(name, "the second of this name")
		case len(list) == MaxExtraColumns:
			out.add(name, fmt.Sprintf("more than %d columns", MaxExtraColumns))
		default:
			seen[name] = true
			list = append(list, found{i, name})
		}
	}
	return list
}

// badText says why a text in a row, from 0, cannot be kept; empty: it can.
func badText(text string, row int) string {
	switch {
	case len(text) > MaxText:
		return fmt.Sprintf("row %d: a text of %d bytes, at most %d", row+1, len(text), MaxText)
	case !utf8.ValidString(text):
		return fmt.Sprintf("row %d: not UTF-8", row+1)
	}
	return ""
}
