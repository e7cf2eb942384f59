package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// digestVersion begins what is hashed. It changes when the encoding does, or
// when a key gets a meaning that changes what a replay of old files does.
const digestVersion = "gx1-policy-v1"

// digests returns SHA256 and SHA256WithoutGate: the SHA-256, in hex, of
// digestVersion, every field that a replay reads with its default filled in,
// and every other key as it stands (a user's command reads the whole file).
// The policy's name is a label and left out, so two files that differ in
// their name alone agree. The gate comes last and is left out of the second.
func (p Policy) digests(others []other) (all, withoutGate string) {
	var b strings.Builder
	b.WriteString(digestVersion + "\n")
	digestFields(&b, reflect.ValueOf(p))
	var gate []other
	for _, o := range slices.SortedFunc(slices.Values(others), func(a, b other) int { return strings.Compare(a.path, b.path) }) {
		if strings.HasPrefix(o.path, gatePath+".") {
			gate = append(gate, o)
			continue
		}
		fmt.Fprintf(&b, "other=%s %s\n", o.path, o.val.canonical())
	}
	withoutGate = sum(b.String())
	p.Pregate.AllowSessions = slices.Compact(slices.Sorted(slices.Values(p.Pregate.AllowSessions)))
	digestLines(&b, "gate", reflect.ValueOf(p.Pregate))
	for _, o := range gate {
		fmt.Fprintf(&b, "other=%s %s\n", o.path, o.val.canonical())
	}
	return sum(b.String()), withoutGate
}

// digestLines writes v under key: the fields of a struct on one line, in their
// order, then those that have a line of their own. Such a line is for a pointer
// only if it is not nil, and for a field with omitzero only if it is not zero;
// a new field of a section needs the latter, so that older policies keep their
// digests.
func digestLines(b *strings.Builder, key string, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		if !v.IsNil() {
			digestLines(b, key, v.Elem())
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			digestLines(b, key, v.Index(i))
		}
	case v.Kind() == reflect.Map:
		for _, k := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
			fmt.Fprintf(b, "%s=%q %s\n", key, k.String(), digestText(v.MapIndex(k)))
		}
	case v.Kind() == reflect.Struct:
		b.WriteString(key + "=" + digestText(v) + "\n")
		for f, value := range v.Fields() {
			if f.Type.Kind() == reflect.Map && f.Tag.Get("digest") == "" {
				digestLines(b, key, value)
			}
		}
		digestFields(b, v)
	default:
		b.WriteString(key + "=" + digestText(v) + "\n")
	}
}

// digestFields writes the fields of v that have lines of their own.
func digestFields(b *strings.Builder, v reflect.Value) {
	for f, value := range v.Fields() {
		key, option, _ := strings.Cut(f.Tag.Get("digest"), ",")
		if key != "" && key != "-" && (option != "omitzero" || !value.IsZero()) {
			digestLines(b, key, value)
		}
	}
}

// digestText is a value as a line has it; of a struct those of its fields that
// have no line of their own.
func digestText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Float64:
		return num(v.Float())
	case reflect.Pointer:
		if v.IsNil() {
			return "-"
		}
		return digestText(v.Elem())
	case reflect.Struct:
		var texts []string
		for f, value := range v.Fields() {
			if f.Tag.Get("digest") == "" && f.Type.Kind() != reflect.Map {
				texts = append(texts, digestText(value))
			}
		}
		return strings.Join(texts, " ")
	case reflect.String, reflect.Slice: // of texts
		return fmt.Sprintf("%q", v.Interface())
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	panic(fmt.Sprintf("a policy's digest has no form for a %v", v.Type())) // TestEveryFieldCounts
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// num is the shortest text that reads back as v; -0 is 0.
func num(v float64) string {
	if v == 0 {
		return "0"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Numbers of which the notation means the same to every reader of YAML; all
// others count as they are written.
var (
	plainInt   = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	plainFloat = regexp.MustCompile(`^[-+]?[0-9]+\.[0-9]+$`)
)

// canonical is a text that two nodes share if and only if every reader of
// YAML sees the same value in them. Maps are sorted by key.
func (n *node) canonical() string {
	tag := ""
	if n.tagged {
		tag = n.tag + " "
	}
	switch n.kind {
	case mapping:
		parts := make([]string, len(n.pairs))
		for i, p := range n.pairs {
			parts[i] = p.key.canonical() + ":" + p.val.canonical()
		}
		slices.Sort(parts)
		return tag + "{" + strings.Join(parts, ",") + "}"
	case list:
		parts := make([]string, len(n.items))
		for i, it := range n.items {
			parts[i] = it.canonical()
		}
		return tag + "[" + strings.Join(parts, ",") + "]"
	}
	switch {
	case n.tagged:
		return tag + strconv.Quote(n.text)
	case n.tag == "!!null":
		return "null"
	case n.tag == "!!str" && n.plain && legacy(n.text):
		return "plain " + strconv.Quote(n.text)
	case n.tag == "!!str":
		return strconv.Quote(n.text)
	case n.tag == "!!int" && plainInt.MatchString(n.text):
		return "!!int " + strings.TrimPrefix(n.text, "+")
	case n.tag == "!!float" && plainFloat.MatchString(n.text):
		if v, err := strconv.ParseFloat(n.text, 64); err == nil {
			return "!!float " + num(v)
		}
	}
	return n.tag + " " + strconv.Quote(n.text)
}
