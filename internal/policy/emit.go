package policy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// content writes n, a map with keys, as a YAML document in block style. Reading it again, as
// YAML 1.1 or 1.2, gives the same values.
func (n *node) content() []byte {
	var b strings.Builder
	if n.tagged {
		b.WriteString(n.tag + "\n")
	}
	n.emit(&b, 0)
	return []byte(b.String())
}

// emit writes a map or list whose lines are indented by indent, each ended.
func (n *node) emit(b *strings.Builder, indent int) {
	pad := strings.Repeat("  ", indent)
	for _, p := range n.pairs {
		b.WriteString(pad)
		b.WriteString(p.key.inline())
		b.WriteString(":")
		p.val.emitAfter(b, indent)
	}
	for _, it := range n.items {
		b.WriteString(pad)
		b.WriteString("-")
		it.emitAfter(b, indent)
	}
}

// emitAfter writes a value behind the `:` or `-` that it belongs to.
func (n *node) emitAfter(b *strings.Builder, indent int) {
	if n.kind == scalar || len(n.pairs)+len(n.items) == 0 {
		b.WriteString(" " + n.inline() + "\n")
		return
	}
	if n.tagged {
		b.WriteString(" " + n.tag)
	}
	b.WriteString("\n")
	n.emit(b, indent+1)
}

// safeWord is a text that means itself with or without quotes.
var safeWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// inline is a scalar or an empty map or list on one line.
func (n *node) inline() string {
	prefix := ""
	if n.tagged {
		prefix = n.tag + " "
	}
	switch {
	case n.kind == mapping:
		return prefix + "{}"
	case n.kind == list:
		return prefix + "[]"
	case n.tagged:
		return prefix + quote(n.text)
	case n.tag == "!!null":
		return "null"
	case n.tag != "!!str":
		return n.text
	case n.plain && legacy(n.text), safeWord.MatchString(n.text) && !legacy(n.text):
		return n.text
	}
	return quote(n.text)
}

// quote writes a text in YAML's double quotes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
