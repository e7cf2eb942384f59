package trade

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/footer"
	"gx1replay/internal/printable"
)

func reasons(prefix string, counts footer.Counts) [][]string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		rows = append(rows, []string{prefix + escape(name), whole(counts[name])})
	}
	return rows
}

// table writes cells that are escaped already; all columns but the first are
// set to the right.
func table(b *strings.Builder, head []string, rows [][]string) {
	if len(rows) == 0 {
		b.WriteString("None.\n\n")
		return
	}
	fmt.Fprintf(b, "| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-1))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
	b.WriteByte('\n')
}

// whole is n in groups of three digits.
func whole(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b []byte
	for i := range len(digits) {
		if left := len(digits) - i; i > 0 && digits[i-1] != '-' && left%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, digits[i])
	}
	return string(b)
}

func bps(x float64) string {
	t := strconv.FormatFloat(x, 'f', 2, 64)
	if t == "-0.00" {
		t = "0.00"
	}
	return t + " bps"
}

func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" }

// escape makes Markdown show s as it is, on one line. It puts a backslash
// before every character that can begin something in CommonMark or a table,
// but _ within words, which begins nothing there and is in most of our names.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case !printable.Is(r):
			r = ' '
		case r == '_' && i > 0 && i < len(s)-1 && wordByte(s[i-1]) && wordByte(s[i+1]):
		case strings.ContainsRune("\\`*_{}[]<>()#!|&~$", r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// linkTarget is a file's name as a link holds it: all but plain characters
// are percent-encoded.
func linkTarget(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; wordByte(c) || c == '-' || c == '.' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
