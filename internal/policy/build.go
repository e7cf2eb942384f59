package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// What one document may cost. The original's policies have a few hundred
// lines; the bounds keep a hostile file from filling the memory.
const (
	// MaxBytes is the largest policy file, include, and merged document.
	MaxBytes = 1 << 20
	// maxNodes counts keys and values after aliases are expanded.
	maxNodes = 100_000
	// maxDepth is how deep maps and lists may nest.
	maxDepth = 64
	// maxKey is the longest key in characters: YAML allows 1024 bytes on one
	// line, and a character may need ten when it is escaped.
	maxKey = 100
)

// parseTree reads the one document of content, whose root must be a map. All
// errors that can be told are appended to errs; without a tree it returns nil.
func parseTree(file string, content []byte, errs *Errors) *node {
	fail := func(line, col int, format string, args ...any) *node {
		*errs = append(*errs, Error{File: file, Line: line, Col: col, Msg: fmt.Sprintf(format, args...)})
		return nil
	}
	if len(content) > MaxBytes {
		return fail(0, 0, "has %d bytes (want at most %d)", len(content), MaxBytes)
	}
	if line, col, ok := badUTF8(content); ok {
		return fail(line, col, "byte is not UTF-8 (want a text file in UTF-8)")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		return fail(0, 0, "reading YAML: %v", err)
	}
	var doc, second yaml.Node
	err = loader.Load(&doc)
	if errors.Is(err, io.EOF) {
		return fail(1, 1, "is empty (want a map of keys)")
	}
	if err != nil {
		return syntaxError(file, err, errs)
	}
	if len(doc.Content) != 1 {
		return fail(1, 1, "is empty (want a map of keys)")
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return fail(second.Line, second.Column, "a second document begins here (want one)")
	case !errors.Is(err, io.EOF):
		return syntaxError(file, err, errs)
	}
	b := builder{file: file, errs: errs}
	root := b.build(doc.Content[0], "", 0)
	switch {
	case root == nil:
		return nil
	case root.absent():
		return fail(root.line, root.col, "is empty (want a map of keys)")
	case root.kind != mapping:
		return fail(root.line, root.col, "is %s (want a map of keys)", root.kind)
	}
	return root
}

// syntaxError says what the YAML library said, with the column that its text
// leaves out.
func syntaxError(file string, err error, errs *Errors) *node {
	e := Error{File: file, Msg: err.Error()}
	var le *yaml.LoadError
	if errors.As(err, &le) {
		e.Line, e.Col, e.Msg = le.Mark.Line, le.Mark.Column, "is not YAML: "+le.Message
	}
	*errs = append(*errs, e)
	return nil
}

// badUTF8 finds the first byte that is not UTF-8.
func badUTF8(b []byte) (line, col int, found bool) {
	line, col = 1, 1
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, col, true
		case r == '\n':
			line, col = line+1, 1
		default:
			col++
		}
		b = b[size:]
	}
	return 0, 0, false
}

// builder turns the library's nodes into ours.
type builder struct {
	file  string
	errs  *Errors
	nodes int
	full  bool // maxNodes was reached and said
	open  []*yaml.Node
}

func (b *builder) fail(y *yaml.Node, path, format string, args ...any) {
	*b.errs = append(*b.errs, Error{File: b.file, Line: y.Line, Col: y.Column, Key: path, Msg: fmt.Sprintf(format, args...)})
}

// build returns nil where it has said an error that leaves no value.
func (b *builder) build(y *yaml.Node, path string, depth int) *node {
	if b.nodes++; b.nodes > maxNodes {
		if !b.full {
			b.full = true
			b.fail(y, path, "the document has more than %d keys and values, aliases expanded", maxNodes)
		}
		return nil
	}
	if depth > maxDepth {
		b.fail(y, path, "nests deeper than %d levels", maxDepth)
		return nil
	}
	n := &node{file: b.file, line: y.Line, col: y.Column, tag: y.ShortTag()}
	switch y.Kind {
	case yaml.AliasNode:
		for _, o := range b.open {
			if o == y.Alias {
				b.fail(y, path, "alias *%s stands inside its own anchor", y.Value)
				return nil
			}
		}
		return b.build(y.Alias, path, depth)
	case yaml.ScalarNode:
		n.text = y.Value
		n.plain = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		if y.Tag == "!" { // the tag that only says: not to be resolved
			n.tag, n.plain = "!!str", false
		}
		n.tagged = y.Style&yaml.TaggedStyle != 0 && n.tag != "!!str"
		if y.Style&yaml.TaggedStyle != 0 {
			n.plain = false
		}
		if n.tag == "!!null" && !n.tagged {
			n.text = "null" // for ~ and nothing, so that paths and keys agree
		}
		return b.checkTag(y, n, path)
	case yaml.SequenceNode:
		n.kind = list
		n.tagged = n.tag != "!!seq"
		b.open = append(b.open, y)
		for i, c := range y.Content {
			if item := b.build(c, path+"["+strconv.Itoa(i)+"]", depth+1); item != nil {
				n.items = append(n.items, item)
			}
		}
		b.open = b.open[:len(b.open)-1]
		return b.checkTag(y, n, path)
	case yaml.MappingNode:
		n.kind = mapping
		n.tagged = n.tag != "!!map"
		b.open = append(b.open, y)
		b.pairs(n, y, path, depth)
		b.open = b.open[:len(b.open)-1]
		return b.checkTag(y, n, path)
	}
	b.fail(y, path, "is no value, list or map")
	return nil
}

// tagText is what a tag may be so that it can be written again as it is.
var tagText = regexp.MustCompile(`^!{1,2}[A-Za-z0-9_./:-]+$`)

func (b *builder) checkTag(y *yaml.Node, n *node, path string) *node {
	if n.tagged && !tagText.MatchString(n.tag) {
		b.fail(y, path, "tag %q is not supported (want !name or !!name)", n.tag)
		return nil
	}
	return n
}

// pairs fills in the keys of a map: its own in order, then those that merge
// keys (<<) bring, an earlier source before a later one.
func (b *builder) pairs(n *node, y *yaml.Node, path string, depth int) {
	seen := map[string]*yaml.Node{}
	var merges []*yaml.Node
	comma := false // the pair before was a decimal comma's
	for i := 0; i+1 < len(y.Content); i += 2 {
		ky, vy := y.Content[i], y.Content[i+1]
		if ky.ShortTag() == "!!merge" {
			merges = append(merges, vy)
			continue
		}
		key := b.build(ky, path, depth+1)
		if key == nil {
			continue
		}
		if key.kind != scalar {
			b.fail(ky, path, "a key is %s (want a name)", key.kind)
			continue
		}
		if size := utf8.RuneCountInString(key.text); size > maxKey {
			b.fail(ky, path, "a key has %d characters (want at most %d)", size, maxKey)
			continue
		}
		at := join(path, key.text)
		if i > 0 && y.Style&yaml.FlowStyle != 0 && isFraction(key, vy) {
			if b.decimalComma(y.Content[i-2], y.Content[i-1], key, path, comma) {
				comma = true
				continue
			}
		}
		comma = false
		if first, ok := seen[key.canonical()]; ok {
			b.fail(ky, at, "appears twice (the first is at line %d)", first.Line)
			continue
		}
		seen[key.canonical()] = ky
		if val := b.build(vy, at, depth+1); val != nil {
			n.pairs = append(n.pairs, pair{key, val})
		}
	}
	for _, m := range merges {
		b.merge(n, m, seen, path, depth)
	}
}

// isFraction says that a key without a value may be what follows a decimal
// comma.
func isFraction(key *node, value *yaml.Node) bool {
	return key.plain && fraction.MatchString(key.text) && value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" && value.Value == ""
}

var (
	fraction    = regexp.MustCompile(`^[0-9][0-9_]*([eE][-+]?[0-9]+)?$`)
	wholeNumber = regexp.MustCompile(`^[-+]?[0-9][0-9_]*$`)
)

// decimalComma says whether a key that may be a fraction follows a number, the
// value of before, or a fraction that was said to follow one; it says the
// former.
func (b *builder) decimalComma(before, value *yaml.Node, key *node, path string, again bool) bool {
	if again {
		return true
	}
	if tag := value.ShortTag(); value.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" {
		return false
	}
	want := "a decimal point"
	if wholeNumber.MatchString(value.Value) {
		want = value.Value + "." + key.text
	}
	b.fail(value, join(path, before.Value), "%s,%s has a decimal comma, which begins a new key inside braces (want %s)", value.Value, key.text, want)
	return true
}

func (b *builder) merge(n *node, y *yaml.Node, seen map[string]*yaml.Node, path string, depth int) {
	src := b.build(y, join(path, "<<"), depth+1)
	if src == nil {
		return
	}
	from := []*node{src}
	if src.kind == list {
		from = src.items
	}
	for _, m := range from {
		if m.kind != mapping {
			*b.errs = append(*b.errs, Error{File: m.file, Line: m.line, Col: m.col, Key: join(path, "<<"),
				Msg: fmt.Sprintf("%s cannot be merged (want a map or a list of maps)", m.shown())})
			continue
		}
		for _, p := range m.pairs {
			if _, ok := seen[p.key.canonical()]; !ok {
				seen[p.key.canonical()] = y
				n.pairs = append(n.pairs, p)
			}
		}
	}
}
