package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ParseXGBoost reads a model that XGBoost (1.x to 3.x) has saved as JSON or as
// UBJSON; name is the file's, for errors. Features without names in the file
// are those of the policy in their order, and there have to be as many.
//
// What is not computed exactly is an error: another objective or booster,
// several outputs, categorical splits, and a file with rounds after the best
// one, about which the library's interfaces differ. Memory is in proportion to
// the file's size, whatever the file says.
func ParseXGBoost(name string, file []byte, features []string) (*XGBoost, error) {
	if isUBJSON(file) {
		var err error
		if file, err = ubjsonToJSON(file); err != nil {
			return nil, fmt.Errorf("%s: reading UBJSON: %w", name, err)
		}
	}
	var doc xgbFile
	if err := json.Unmarshal(file, &doc); err != nil {
		return nil, jsonError(name, "", err)
	}
	if doc.Learner == nil {
		return nil, fieldError(name, "learner", "is missing (want a model of XGBoost's save_model)")
	}
	r := &xgbReader{name: name, file: &doc}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.model(features)
}

// xgbFile is what is read of a file. Numbers in learner_model_param and the
// like are texts there.
type xgbFile struct {
	Version []int       `json:"version"`
	Learner *xgbLearner `json:"learner"`
}

type xgbLearner struct {
	Attributes map[string]string `json:"attributes"`
	Names      []string          `json:"feature_names"`
	Types      []string          `json:"feature_types"`
	Booster    struct {
		Name  string `json:"name"`
		Model struct {
			Param struct {
				ParallelTrees string `json:"num_parallel_tree"`
				Trees         string `json:"num_trees"`
			} `json:"gbtree_model_param"`
			Groups []int             `json:"tree_info"`
			Trees  []json.RawMessage `json:"trees"` // one at a time, so that a file cannot ask for much at once
		} `json:"model"`
	} `json:"gradient_booster"`
	Param struct {
		BaseScore string `json:"base_score"`
		Classes   string `json:"num_class"`
		Features  string `json:"num_feature"`
		Targets   string `json:"num_target"`
	} `json:"learner_model_param"`
	Objective struct {
		Name string `json:"name"`
	} `json:"objective"`
}

type xgbTree struct {
	DefaultLeft []xgbFlag `json:"default_left"`
	Left        []int     `json:"left_children"`
	Right       []int     `json:"right_children"`
	Splits      []float32 `json:"split_conditions"` // of a leaf: its value
	Features    []int     `json:"split_indices"`
	Types       []int     `json:"split_type"`
	Param       struct {
		Nodes  string `json:"num_nodes"`
		Vector string `json:"size_leaf_vector"`
	} `json:"tree_param"`
}

// xgbFlag is false or true, 0 or 1: versions differ.
type xgbFlag bool

func (f *xgbFlag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "0", "false":
		*f = false
	case "1", "true":
		*f = true
	default:
		return fmt.Errorf("default_left: %.20s is no flag (want 0 or 1)", b)
	}
	return nil
}

const (
	treesField = "learner.gradient_booster.model.trees"
	paramField = "learner.learner_model_param"
)

type xgbReader struct {
	name string
	file *xgbFile
}

// check refuses what is not computed here.
func (r *xgbReader) check() error {
	l := r.file.Learner
	booster, param := &l.Booster, &l.Param
	switch v := r.file.Version; {
	case len(v) == 0:
		return fieldError(r.name, "version", "is missing (want XGBoost 1 to 3)")
	case v[0] < 1 || v[0] > 3:
		return fieldError(r.name, "version", "%d is not supported (want XGBoost 1 to 3)", v[0])
	case l.Objective.Name != "binary:logistic":
		return fieldError(r.name, "learner.objective.name", "%q is not supported (want binary:logistic)", l.Objective.Name)
	case booster.Name != "gbtree":
		return fieldError(r.name, "learner.gradient_booster.name", "%q is not supported (want gbtree)", booster.Name)
	case param.Classes != "" && param.Classes != "0" && param.Classes != "1":
		return fieldError(r.name, paramField+".num_class", "%q is not supported (want 0: two classes)", param.Classes)
	case param.Targets != "" && param.Targets != "1":
		return fieldError(r.name, paramField+".num_target", "%q is not supported (want 1)", param.Targets)
	case len(booster.Model.Trees) == 0:
		return fieldError(r.name, treesField, "holds no tree (want a trained model)")
	case booster.Model.Param.Trees != strconv.Itoa(len(booster.Model.Trees)):
		return fieldError(r.name, "learner.gradient_booster.model.gbtree_model_param.num_trees", "%q, but there are %d trees", booster.Model.Param.Trees, len(booster.Model.Trees))
	case len(booster.Model.Groups) != len(booster.Model.Trees):
		return fieldError(r.name, "learner.gradient_booster.model.tree_info", "has %d entries (want %d, one a tree)", len(booster.Model.Groups), len(booster.Model.Trees))
	}
	for i, g := range booster.Model.Groups {
		if g != 0 {
			return fieldError(r.name, fmt.Sprintf("learner.gradient_booster.model.tree_info[%d]", i), "output %d is not supported (want 0 alone)", g)
		}
	}
	for i, t := range l.Types {
		if t == "c" {
			return fieldError(r.name, fmt.Sprintf("learner.feature_types[%d]", i), "categorical features are not supported (want numbers)")
		}
	}
	return r.checkRounds()
}

// checkRounds refuses a file that holds rounds after its best one:
// Booster.predict takes them all, the scikit-learn interface does not.
func (r *xgbReader) checkRounds() error {
	text, ok := r.file.Learner.Attributes["best_iteration"]
	if !ok {
		return nil
	}
	model := &r.file.Learner.Booster.Model
	parallel := 1
	if p := model.Param.ParallelTrees; p != "" {
		var err error
		if parallel, err = strconv.Atoi(p); err != nil || parallel < 1 {
			return fieldError(r.name, "learner.gradient_booster.model.gbtree_model_param.num_parallel_tree", "%q (want 1 or more)", p)
		}
	}
	best, err := strconv.Atoi(text)
	if err != nil || best < 0 {
		return fieldError(r.name, "learner.attributes.best_iteration", "%q is no round (want a number)", text)
	}
	if rounds := len(model.Trees) / parallel; best+1 < rounds {
		return fieldError(r.name, "learner.attributes.best_iteration",
			"the best round is %d, the file holds %d (want it cut, booster[:%d].save_model, or the attribute removed to use them all)", best, rounds, best+1)
	}
	return nil
}

func (r *xgbReader) model(features []string) (*XGBoost, error) {
	l := r.file.Learner
	count, err := strconv.Atoi(l.Param.Features)
	if err != nil || count < 1 {
		return nil, fieldError(r.name, paramField+".num_feature", "%q (want 1 or more)", l.Param.Features)
	}
	places, err := columns("learner.feature_names", l.Names, count, features)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	base, err := r.baseScore()
	if err != nil {
		return nil, err
	}
	m := &XGBoost{base: baseMargin(base)}
	for i, raw := range l.Booster.Model.Trees {
		field := fmt.Sprintf("%s[%d]", treesField, i)
		t, err := r.tree(field, raw, places)
		if err != nil {
			return nil, err
		}
		if err := m.forest.add(t); err != nil {
			return nil, fieldError(r.name, field, "%w", err)
		}
	}
	return m, nil
}

// baseScore is a number, in brackets from version 3.1 on.
func (r *xgbReader) baseScore() (float32, error) {
	text := r.file.Learner.Param.BaseScore
	number := text
	if in, ok := strings.CutPrefix(text, "["); ok {
		if number, ok = strings.CutSuffix(in, "]"); !ok {
			number = ""
		}
	}
	p, err := strconv.ParseFloat(number, 32)
	if err != nil || !(p > 0 && p < 1) {
		return 0, fieldError(r.name, paramField+".base_score", "%.40q (want one probability above 0 and below 1)", text)
	}
	return float32(p), nil
}

func (r *xgbReader) tree(field string, raw json.RawMessage, places []int) (tree[float32], error) {
	var t xgbTree
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, jsonError(r.name, field+".", err)
	}
	n := len(t.Left)
	if t.Param.Nodes != strconv.Itoa(n) {
		return nil, fieldError(r.name, field+".tree_param.num_nodes", "%q, but left_children has %d", t.Param.Nodes, n)
	}
	if v := t.Param.Vector; v != "" && v != "0" && v != "1" {
		return nil, fieldError(r.name, field+".tree_param.size_leaf_vector", "%q is not supported (want 0 or 1)", v)
	}
	for _, a := range []struct {
		name string
		have int
	}{
		{"right_children", len(t.Right)},
		{"split_conditions", len(t.Splits)},
		{"split_indices", len(t.Features)},
		{"default_left", len(t.DefaultLeft)},
	} {
		if a.have != n {
			return nil, fieldError(r.name, field+"."+a.name, "has %d entries (want %d, one a node)", a.have, n)
		}
	}
	for i, kind := range t.Types {
		if kind != 0 {
			return nil, fieldError(r.name, fmt.Sprintf("%s.split_type[%d]", field, i), "kind %d is not supported (want 0: numerical)", kind)
		}
	}
	out := make(tree[float32], n)
	for i := range out {
		left, right := t.Left[i], t.Right[i]
		if left == -1 && right == -1 {
			out[i] = treeNode[float32]{leaf: true, value: t.Splits[i]}
			continue
		}
		if right != left+1 { // the library itself goes to left+1
			return nil, fieldError(r.name, fmt.Sprintf("%s.right_children[%d]", field, i), "%d (want %d, beside the left child)", right, left+1)
		}
		if f := t.Features[i]; f < 0 || f >= len(places) {
			return nil, fieldError(r.name, fmt.Sprintf("%s.split_indices[%d]", field, i), "%d is no feature (want 0 to %d)", f, len(places)-1)
		}
		out[i] = xgbNode(places[t.Features[i]], t.Splits[i], left, right, bool(t.DefaultLeft[i]))
	}
	return out, nil
}

// jsonError names the field that has a wrong type, or the place in the file.
func jsonError(name, prefix string, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fieldError(name, prefix+kind.Field, "a JSON %s (want %s)", kind.Value, kind.Type)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%s: byte %d: %w (want an XGBoost model in JSON or UBJSON)", name, syntax.Offset, err)
	}
	return fieldError(name, strings.TrimSuffix(prefix, "."), "%w", err)
}
