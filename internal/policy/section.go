package policy

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// other is a key that the built-in engine does not read.
type other struct {
	path string
	key  *node
	val  *node
	// misspelt is the error of a key that is likely a misspelling; empty: it may
	// be another program's.
	misspelt string
	// harmless: a refused key that is switched off, an exit_config that the
	// policy's own exit overrules, an include that is not there. It counts for
	// the digest and is not listed as unknown.
	harmless bool
}

// reader collects what is wrong with a document and what it does not know
// while sections are read from it.
type reader struct {
	errs   Errors
	others []other
	refuse bool // keys of the table of refused ones are errors
}

func (r *reader) fail(at *node, key, format string, args ...any) {
	r.errs = append(r.errs, Error{File: at.file, Line: at.line, Col: at.col, Key: key, Msg: fmt.Sprintf(format, args...)})
}

// section is one map of a document, read key by key. Whoever reads it calls
// done at the end. A section of a map that is not there reads as empty.
type section struct {
	r    *reader
	n    *node // nil: not there
	path string
	seen map[string]bool
}

func (r *reader) section(n *node, path string) *section {
	return &section{r: r, n: n, path: path, seen: map[string]bool{}}
}

// at is the dotted path of a key.
func (s *section) at(key string) string { return join(s.path, key) }

// take returns the value of key, nil where it is absent or null.
func (s *section) take(key string) *node {
	s.seen[key] = true
	if v := s.n.get(key); !v.absent() {
		return v
	}
	return nil
}

// has reports whether key says something.
func (s *section) has(key string) bool { return !s.n.get(key).absent() }

// fail says what is wrong with v, the value of key.
func (s *section) fail(v *node, key, format string, args ...any) {
	s.r.fail(v, s.at(key), format, args...)
}

// missing says that key, which its section cannot do without, is not there.
func (s *section) missing(key, want string) {
	s.fail(s.n, key, "is missing (want %s)", want)
}

// bad is the common form of fail: what stands there, and what was wanted.
func (s *section) bad(v *node, key, isNot, want string) {
	s.fail(v, key, "%s is not %s (want %s)", v.shown(), isNot, want)
}

// sub is the map under key; empty where it is absent or no map.
func (s *section) sub(key string) *section {
	v := s.take(key)
	if v != nil && v.kind != mapping {
		s.bad(v, key, "a map", "key: value lines")
		v = nil
	}
	return s.r.section(v, s.at(key))
}

// done refuses keys whose meaning this engine cannot keep and collects the
// rest of what nobody read.
func (s *section) done() {
	if s.n == nil {
		return
	}
	for _, p := range s.n.pairs {
		if p.key.tag == "!!str" && s.seen[p.key.text] {
			continue
		}
		s.leftOver(p)
	}
}

func (s *section) leftOver(p pair) {
	o := other{path: s.at(p.key.text), key: p.key, val: p.val, misspelt: s.misspelt(p.key.text)}
	if reason, ok := refused(refusedKeys, p.key.text); ok && refusesIn(s.path) {
		o.harmless = off(p.val)
		if !o.harmless && s.r.refuse {
			s.r.fail(p.key, o.path, "%s (want it removed, or replay with --engine exec)", reason)
		}
	}
	s.r.others = append(s.r.others, o)
}

// text is a scalar as it is written, so that `version: 1.0` is "1.0".
func (s *section) text(key string) string {
	v := s.take(key)
	if v == nil {
		return ""
	}
	if v.kind != scalar {
		s.bad(v, key, "a text", "one value")
		return ""
	}
	return v.text
}

// oneOf is a text out of allowed; def where it is absent or wrong.
func (s *section) oneOf(key, what, def string, allowed ...string) string {
	v := s.take(key)
	if v == nil {
		return def
	}
	for _, a := range allowed {
		if v.kind == scalar && v.text == a {
			return a
		}
	}
	s.bad(v, key, what, strings.Join(allowed, ", "))
	return def
}

func (s *section) boolean(key string, def bool) bool {
	v := s.take(key)
	if v == nil {
		return def
	}
	b, ok := v.boolean()
	if !ok {
		s.bad(v, key, "a boolean", "true or false")
		return def
	}
	return b
}

// quantity is a kind of number: what a message calls it, with its unit, what it
// may be, in words and as a rule.
type quantity struct {
	what, want string
	ok         func(float64) bool
}

// number is a finite number of kind q; nil where it is absent or wrong.
func (s *section) number(key string, q quantity) *float64 {
	v := s.take(key)
	if v == nil {
		return nil
	}
	f, isNum := v.number()
	if !isNum || !q.ok(f) {
		s.bad(v, key, q.what, q.want)
		return nil
	}
	return &f
}

// numberOr is number with a default.
func (s *section) numberOr(key string, def float64, q quantity) float64 {
	if f := s.number(key, q); f != nil {
		return *f
	}
	return def
}

// bars is a number of bars.
func (s *section) bars(key string, def int64) int64 {
	return s.count(key, "a number of bars", def, 0, maxBars)
}

// count is a whole number from min to max; def where it is absent or wrong.
func (s *section) count(key, what string, def, least, most int64) int64 {
	v := s.take(key)
	if v == nil {
		return def
	}
	i, ok := v.integer()
	if !ok || i < least || i > most {
		s.bad(v, key, what, fmt.Sprintf("a whole number from %d to %d", least, most))
		return def
	}
	return i
}

// duration is a Go duration from 0 to most; 0 where it is absent or wrong.
func (s *section) duration(key string, most time.Duration) time.Duration {
	v := s.take(key)
	if v == nil {
		return 0
	}
	d, err := time.ParseDuration(v.text)
	if v.kind != scalar || err != nil || d < 0 || d > most {
		s.bad(v, key, "a duration", fmt.Sprintf("such as 300us or 2m, from 0s to %v", most))
		return 0
	}
	return d
}

// zeroDuration says that n is a duration of 0.
func (n *node) zeroDuration() bool {
	d, err := time.ParseDuration(n.text)
	return n.kind == scalar && err == nil && d == 0
}

// words is a list of distinct scalars; each item passes check, which says what is wrong
// with it itself.
func (s *section) words(key, what string, check func(item *node)) []string {
	v := s.take(key)
	if v == nil {
		return nil
	}
	if v.kind != list {
		s.bad(v, key, "a list", "a list of "+what)
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for _, it := range v.items {
		if it.kind != scalar || it.absent() {
			s.bad(it, key, "a name", what)
			continue
		}
		if seen[it.text] {
			s.fail(it, key, "%s appears twice", it.shown())
			continue
		}
		seen[it.text] = true
		check(it)
		out = append(out, it.text)
	}
	return out
}

// boolean takes what YAML 1.1 and 1.2 call true and false; quoted text is no
// boolean.
func (n *node) boolean() (value, ok bool) {
	if n.kind != scalar || !n.plain || n.tagged {
		return false, false
	}
	switch strings.ToLower(n.text) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	return false, false
}

// decimal is a number in base ten; underscores may part its digits.
var decimal = regexp.MustCompile(`^[-+]?([0-9][0-9_]*)?(\.[0-9_]*)?([eE][-+]?[0-9]+)?$`)

// number is a finite decimal number. Octal, hexadecimal, infinite numbers and
// quoted text are none.
func (n *node) number() (float64, bool) {
	if n.kind != scalar || !n.plain || !decimal.MatchString(n.text) || leadingZero.MatchString(n.text) {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// leadingZero is a number that YAML 1.1 reads as octal and 1.2 as decimal.
var leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

// integer is a number without a fraction that a float64 holds exactly.
func (n *node) integer() (int64, bool) {
	f, ok := n.number()
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}
