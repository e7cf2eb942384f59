package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ParseLightGBM reads a model that LightGBM (3 and 4, text format v3 and v4)
// has saved; name is the file's, for errors. Features that the file calls
// Column_0, Column_1, … have no names: they are those of the policy in their
// order, and there have to be as many.
//
// What is not computed exactly is an error: another objective, several
// outputs, averaged forests, categorical splits, linear trees, a key that is
// not known. So is a later version of the format, unless newer accepts it.
// Memory is in proportion to the file's size, whatever the file says.
func ParseLightGBM(name string, file []byte, features []string, newer bool) (*LightGBM, error) {
	r := &lgbReader{name: name, rest: string(file), newer: newer}
	head, err := r.header()
	if err != nil {
		return nil, err
	}
	m := &LightGBM{}
	if m.sigmoid, err = head.sigmoid(); err != nil {
		return nil, err
	}
	places, err := head.columns(features)
	if err != nil {
		return nil, err
	}
	want := len(strings.Fields(head.values["tree_sizes"]))
	for i := 0; ; i++ {
		field := fmt.Sprintf("Tree=%d", i)
		line, ok := r.next()
		switch {
		case !ok:
			return nil, fieldError(name, field, "the file ends here (want %d trees and the line \"end of trees\")", want)
		case line == "":
			i--
			continue
		case line == "end of trees":
			if i != want || i == 0 {
				return nil, fieldError(name, "tree_sizes", "lists %d trees, the file holds %d (want the same, and one at least)", want, i)
			}
			if err := r.trailer(); err != nil {
				return nil, err
			}
			return m, nil
		case line != field:
			return nil, fmt.Errorf("%s:%d: %.40q (want %q)", name, r.line, line, field)
		}
		s, err := r.section(field, lgbTreeKeys[:])
		if err != nil {
			return nil, err
		}
		t, err := s.tree(places)
		if err != nil {
			return nil, err
		}
		if err := m.forest.add(t); err != nil {
			return nil, fieldError(name, field, "%w", err)
		}
	}
}

// lgbReader takes a file line by line.
type lgbReader struct {
	name string
	rest string
	line int // the number of the last line
	// newer: a later version of the format is read as the newest known one.
	newer bool
}

func (r *lgbReader) next() (line string, ok bool) {
	if r.rest == "" {
		return "", false
	}
	line, r.rest, _ = strings.Cut(r.rest, "\n")
	r.line++
	return strings.TrimSuffix(line, "\r"), true
}

// lgbSection is the lines key=value of the header or of a tree.
type lgbSection struct {
	file   string
	field  string // before a key in errors: empty, or "Tree=3."
	values map[string]string
}

// section reads lines up to an empty one; their keys are among known.
func (r *lgbReader) section(field string, known []string) (*lgbSection, error) {
	s := &lgbSection{file: r.name, values: map[string]string{}}
	if field != "" {
		s.field = field + "."
	}
	for {
		line, ok := r.next()
		if !ok || line == "" {
			return s, nil
		}
		key, value, _ := strings.Cut(line, "=")
		if !slices.Contains(known, key) {
			return nil, fmt.Errorf("%s:%d: %.80s is an unknown key, which may change predictions (want the keys of LightGBM's text format up to %s alone)", r.name, r.line, s.field+key, lgbNewest)
		}
		if _, twice := s.values[key]; twice {
			return nil, fmt.Errorf("%s:%d: %.60s appears twice", r.name, r.line, s.field+key)
		}
		s.values[key] = value
	}
}

// header reads the lines before the first tree.
func (r *lgbReader) header() (*lgbSection, error) {
	if line, _ := r.next(); line != "tree" {
		return nil, fmt.Errorf("%s:1: %.40q (want a LightGBM model in text, which begins with the line \"tree\")", r.name, line)
	}
	s, err := r.section("", lgbHeaderKeys[:])
	if err != nil {
		return nil, err
	}
	if err := r.version(s); err != nil {
		return nil, err
	}
	for _, key := range []string{"num_class", "num_tree_per_iteration"} {
		if v := s.values[key]; v != "1" {
			return nil, s.fail(key, "%q is not supported (want 1)", v)
		}
	}
	if _, ok := s.values["average_output"]; ok {
		return nil, s.fail("average_output", "averaged forests (boosting rf) are not supported (want gbdt)")
	}
	return s, nil
}

func (s *lgbSection) fail(key, format string, args ...any) error {
	return fieldError(s.file, s.field+key, format, args...)
}

// sigmoid is the parameter of "binary sigmoid:1".
func (s *lgbSection) sigmoid() (float64, error) {
	objective := s.values["objective"]
	text, ok := strings.CutPrefix(objective, "binary sigmoid:")
	if !ok {
		return 0, s.fail("objective", "%.60q is not supported (want binary sigmoid:1)", objective)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !finite(v) || v <= 0 {
		return 0, s.fail("objective", "%.60q: the sigmoid is no number above 0", objective)
	}
	return v, nil
}

func (s *lgbSection) columns(features []string) ([]int, error) {
	last, err := strconv.Atoi(s.values["max_feature_idx"])
	if err != nil || last < 0 || last >= maxFeatures {
		return nil, s.fail("max_feature_idx", "%q (want 0 to %d)", s.values["max_feature_idx"], maxFeatures-1)
	}
	names := strings.Fields(s.values["feature_names"])
	if len(names) != last+1 {
		return nil, s.fail("feature_names", "has %d names (want %d, as max_feature_idx says)", len(names), last+1)
	}
	unnamed := true
	for i, n := range names {
		unnamed = unnamed && n == "Column_"+strconv.Itoa(i)
	}
	if unnamed {
		names = nil
	}
	places, err := columns("feature_names", names, last+1, features)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	return places, nil
}

// Bits of a split's decision_type.
const (
	lgbCategorical = 1
	lgbDefaultLeft = 2
)

// tree reads a tree: its inner nodes, then its leaves. A child below 0 is the
// leaf of its complement.
func (s *lgbSection) tree(places []int) (tree[float64], error) {
	leaves, err := numbers(s, "leaf_value", -1, parseFinite)
	if err != nil {
		return nil, err
	}
	if v := s.values["num_leaves"]; v != strconv.Itoa(len(leaves)) {
		return nil, s.fail("num_leaves", "%.40q, but leaf_value has %d", v, len(leaves))
	}
	for _, key := range []string{"num_cat", "is_linear"} {
		if v, ok := s.values[key]; ok && v != "0" {
			return nil, s.fail(key, "%.40q is not supported (want 0)", v)
		}
	}
	inner := len(leaves) - 1
	out := make(tree[float64], inner, inner+len(leaves))
	if inner > 0 {
		if err := s.splits(out, places); err != nil {
			return nil, err
		}
	}
	for _, v := range leaves {
		out = append(out, treeNode[float64]{leaf: true, value: v})
	}
	return out, nil
}

// splits fills in the inner nodes.
func (s *lgbSection) splits(out tree[float64], places []int) error {
	n := len(out)
	features, err := numbers(s, "split_feature", n, strconv.Atoi)
	if err != nil {
		return err
	}
	thresholds, err := numbers(s, "threshold", n, parseThreshold)
	if err != nil {
		return err
	}
	types, err := numbers(s, "decision_type", n, strconv.Atoi)
	if err != nil {
		return err
	}
	left, err := numbers(s, "left_child", n, strconv.Atoi)
	if err != nil {
		return err
	}
	right, err := numbers(s, "right_child", n, strconv.Atoi)
	if err != nil {
		return err
	}
	child := func(c int) int {
		if c < 0 {
			return n + ^c
		}
		if c >= n { // would be taken for a leaf
			return -1
		}
		return c
	}
	for i := range out {
		if f := features[i]; f < 0 || f >= len(places) {
			return s.fail("split_feature", "number %d: %d is no feature (want 0 to %d)", i, f, len(places)-1)
		}
		var kind missing
		switch types[i] &^ lgbDefaultLeft {
		case 0:
			kind = missingNone
		case 4:
			kind = missingZero
		case 8:
			kind = missingNaN
		default:
			if types[i]&lgbCategorical != 0 {
				return s.fail("decision_type", "number %d: categorical splits are not supported (want numerical ones)", i)
			}
			return s.fail("decision_type", "number %d: %d has unknown bits (want 0, 2, 4, 6, 8 or 10)", i, types[i])
		}
		out[i] = lgbNode(places[features[i]], thresholds[i], child(left[i]), child(right[i]), kind, types[i]&lgbDefaultLeft != 0)
	}
	return nil
}

func parseFinite(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && !finite(v) {
		err = errors.New("not finite")
	}
	return v, err
}

// parseThreshold reads what lgbNode takes: below MaxFloat64, or "inf".
func parseThreshold(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && !(v >= -math.MaxFloat64 && v < math.MaxFloat64 || math.IsInf(v, 1)) {
		err = errors.New("no threshold")
	}
	return v, err
}

// numbers reads a line of want numbers; -1 is any number of them.
func numbers[N int | float64](s *lgbSection, key string, want int, parse func(string) (N, error)) ([]N, error) {
	text, ok := s.values[key]
	if !ok {
		return nil, s.fail(key, "is missing")
	}
	var out []N
	for field := range strings.FieldsSeq(text) {
		v, err := parse(field)
		if err != nil {
			return nil, s.fail(key, "number %d: %.40q (want a number)", len(out), field)
		}
		out = append(out, v)
	}
	if want >= 0 && len(out) != want || len(out) == 0 {
		return nil, s.fail(key, "has %d numbers (want %s)", len(out), atLeastOne(want))
	}
	return out, nil
}

func atLeastOne(want int) string {
	if want < 0 {
		return "one per leaf"
	}
	return strconv.Itoa(want) + ", one less than leaves"
}
