package policy

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind int

const (
	scalar kind = iota
	list
	mapping
)

// String is the kind as messages name it.
func (k kind) String() string {
	return [...]string{"a value", "a list", "a map"}[k]
}

// node is a piece of a document with aliases and merge keys resolved. It keeps
// what a reader of YAML 1.1 or 1.2 needs to see the value that was written.
type node struct {
	file      string
	line, col int

	kind   kind
	tag    string // short: !!str, !!int, !!null, …
	tagged bool   // the tag was written out and says more than the kind
	plain  bool   // a scalar without quotes
	text   string // of a scalar
	items  []*node
	pairs  []pair
}

type pair struct{ key, val *node }

// get returns the value of a text key, nil if there is none.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, p := range n.pairs {
		if p.key.tag == "!!str" && p.key.text == key {
			return p.val
		}
	}
	return nil
}

// set replaces or appends key.
func (n *node) set(key string, val *node) {
	for i, p := range n.pairs {
		if p.key.tag == "!!str" && p.key.text == key {
			n.pairs[i].val = val
			return
		}
	}
	n.pairs = append(n.pairs, pair{n.word("!!str", key), val})
}

// word is a plain scalar that stands where n stands.
func (n *node) word(tag, text string) *node {
	return &node{file: n.file, line: n.line, col: n.col, tag: tag, text: text, plain: true}
}

func (n *node) remove(key string) {
	for i, p := range n.pairs {
		if p.key.tag == "!!str" && p.key.text == key {
			n.pairs = append(n.pairs[:i:i], n.pairs[i+1:]...)
			return
		}
	}
}

// absent reports whether n says nothing: not there, or null.
func (n *node) absent() bool { return n == nil || n.kind == scalar && n.tag == "!!null" }

// shown is n as a message quotes it.
func (n *node) shown() string {
	switch {
	case n.kind == mapping:
		return "a map"
	case n.kind == list:
		return "a list"
	case utf8.RuneCountInString(n.text) > 40:
		return strconv.Quote(string([]rune(n.text)[:40]) + "…")
	case n.plain && n.tag != "!!str":
		return n.text
	}
	return strconv.Quote(n.text)
}

// plainKey is a key that a dotted path shows without quotes.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join makes a dotted path; a key with other characters is quoted, so that
// two paths are never the same text.
func join(path, key string) string {
	if !plainKey.MatchString(key) && key != "<<" {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// legacyWords are words that a reader of YAML 1.1 (the original's) takes for
// a truth value or null when they stand without quotes.
const legacyWords = " y n yes no on off true false null ~ "

// legacyNumber covers what such a reader may take for a number or a time, such
// as 12:30.
var legacyNumber = regexp.MustCompile(`^[-+.0-9]([0-9A-Za-z+.:_-]*[0-9A-Za-z+._-])?$`)

// legacy reports whether a text without quotes may mean more to a reader of
// YAML 1.1 than to us, so that its quotes are part of its value.
func legacy(text string) bool {
	return legacyNumber.MatchString(text) || text != "" && strings.Contains(legacyWords, " "+strings.ToLower(text)+" ")
}
