package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ParseXGBoost reads a model that XGBoost (1.0 to 3.4) has saved as JSON or as
// UBJSON; name is the file's, for errors. Features without names in the file
// are those of the policy in their order, and there must be as many.
//
// What is not computed exactly is an error: another objective or booster,
// several outputs, categorical splits, a field that is not known, and a file
// with rounds after the best one, about which the library's interfaces differ.
// So is a file of a later version, unless newer accepts it. Memory is in
// proportion to the file's size, whatever the file says.
func ParseXGBoost(name string, file []byte, features []string, newer bool) (*XGBoost, error) {
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
	if err := checkXGBVersion(name, doc.Version, newer); err != nil {
		return nil, err
	}
	if u := checkFields(file, xgbFields()); u != nil {
		return nil, u.error(name, "XGBoost", xgbNewest())
	}
	if doc.Learner == nil {
		return nil, fieldError(name, "learner", "is missing (want a model of XGBoost's save_model)")
	}
	r := &xgbReader{name: name, file: &doc}
	if err := r.booster(); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.read(features)
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
	Booster    xgbBooster        `json:"gradient_booster"`
	Param      struct {
		BaseScore string `json:"base_score"`
		Classes   string `json:"num_class"`
		Features  string `json:"num_feature"`
		Targets   string `json:"num_target"`
	} `json:"learner_model_param"`
	Objective struct {
		Name string `json:"name"`
	} `json:"objective"`
}

// xgbBooster is gbtree, or dart with a gbtree in it. Weights of trees stand
// beside the model (dart, and gbtree of 3.3) or in it (3.4).
type xgbBooster struct {
	Name   string    `json:"name"`
	Model  *xgbModel `json:"model"`
	Drop   []float32 `json:"weight_drop"`
	GBTree *struct {
		Name  string    `json:"name"`
		Model *xgbModel `json:"model"`
		Drop  []float32 `json:"weight_drop"`
	} `json:"gbtree"`
}

type xgbModel struct {
	Param struct {
		ParallelTrees string `json:"num_parallel_tree"`
		Trees         string `json:"num_trees"`
		Vector        string `json:"size_leaf_vector"`
	} `json:"gbtree_model_param"`
	Rounds []int             `json:"iteration_indptr"`
	Groups []int             `json:"tree_info"`
	Trees  []json.RawMessage `json:"trees"` // one at a time, so that a file cannot ask for much at once
	Drop   []float32         `json:"weight_drop"`
	Cats   struct {
		Features []struct {
			Values json.RawMessage `json:"values"`
		} `json:"enc"`
		Sorted []int `json:"sorted_idx"`
	} `json:"cats"`
}

type xgbTree struct {
	ID          *int      `json:"id"`
	Categories  []int     `json:"categories"`
	Vectors     []float32 `json:"leaf_weights"`
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

const paramField = "learner.learner_model_param"

// xgbReader makes a model of a file.
type xgbReader struct {
	name  string
	file  *xgbFile
	field string // where the trees' model stands
	model *xgbModel
	drop  []float32 // a weight per tree; nil: all are 1
}

// check refuses what is not computed here.
func (r *xgbReader) check() error {
	l, m := r.file.Learner, r.model
	param := &l.Param
	trees, modelParam := r.field+".trees", r.field+".gbtree_model_param"
	switch {
	case l.Objective.Name != "binary:logistic":
		return fieldError(r.name, "learner.objective.name", "%q is not supported (want binary:logistic)", l.Objective.Name)
	case param.Classes != "" && param.Classes != "0" && param.Classes != "1":
		return fieldError(r.name, paramField+".num_class", "%q is not supported (want 0: two classes)", param.Classes)
	case param.Targets != "" && param.Targets != "1":
		return fieldError(r.name, paramField+".num_target", "%q is not supported (want 1)", param.Targets)
	case len(m.Trees) == 0:
		return fieldError(r.name, trees, "holds no tree (want a trained model)")
	case m.Param.Trees != strconv.Itoa(len(m.Trees)):
		return fieldError(r.name, modelParam+".num_trees", "%q, but there are %d trees", m.Param.Trees, len(m.Trees))
	case !oneLeafValue(m.Param.Vector):
		return fieldError(r.name, modelParam+".size_leaf_vector", "%q is not supported (want 0 or 1)", m.Param.Vector)
	case len(m.Groups) != len(m.Trees):
		return fieldError(r.name, r.field+".tree_info", "has %d entries (want %d, one per tree)", len(m.Groups), len(m.Trees))
	case len(m.Rounds) > 0 && m.Rounds[len(m.Rounds)-1] != len(m.Trees):
		return fieldError(r.name, r.field+".iteration_indptr", "ends with tree %d of %d (want all of them)", m.Rounds[len(m.Rounds)-1], len(m.Trees))
	case len(m.Cats.Sorted) > 0:
		return fieldError(r.name, r.field+".cats", "categories are not supported (want numbers)")
	}
	for i, f := range m.Cats.Features {
		if v := string(f.Values); v != "" && v != "[]" {
			return fieldError(r.name, fmt.Sprintf("%s.cats.enc[%d]", r.field, i), "categories are not supported (want numbers)")
		}
	}
	for i, g := range m.Groups {
		if g != 0 {
			return fieldError(r.name, fmt.Sprintf("%s.tree_info[%d]", r.field, i), "output %d is not supported (want 0 alone)", g)
		}
	}
	for i, t := range l.Types {
		if t == "c" {
			return fieldError(r.name, fmt.Sprintf("learner.feature_types[%d]", i), "categorical features are not supported (want numbers)")
		}
	}
	return r.checkRounds()
}

// oneLeafValue says that a leaf has one value, by a size_leaf_vector.
func oneLeafValue(size string) bool { return size == "" || size == "0" || size == "1" }

// checkRounds refuses a file that holds rounds after its best one:
// Booster.predict takes them all, the scikit-learn interface does not.
func (r *xgbReader) checkRounds() error {
	text, ok := r.file.Learner.Attributes["best_iteration"]
	if !ok {
		return nil
	}
	model := r.model
	parallel := 1
	if p := model.Param.ParallelTrees; p != "" {
		var err error
		if parallel, err = strconv.Atoi(p); err != nil || parallel < 1 {
			return fieldError(r.name, r.field+".gbtree_model_param.num_parallel_tree", "%q (want 1 or more)", p)
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

func (r *xgbReader) read(features []string) (*XGBoost, error) {
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
	for i, raw := range r.model.Trees {
		field := fmt.Sprintf("%s.trees[%d]", r.field, i)
		t, err := r.tree(field, i, raw, places)
		if err != nil {
			return nil, err
		}
		if err := m.forest.add(t); err != nil {
			return nil, fieldError(r.name, field, "%w", err)
		}
	}
	return m, nil
}

func (r *xgbReader) tree(field string, index int, raw json.RawMessage, places []int) (tree[float32], error) {
	var t xgbTree
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, jsonError(r.name, field+".", err)
	}
	n := len(t.Left)
	if t.Param.Nodes != strconv.Itoa(n) {
		return nil, fieldError(r.name, field+".tree_param.num_nodes", "%q, but left_children has %d", t.Param.Nodes, n)
	}
	switch {
	case !oneLeafValue(t.Param.Vector):
		return nil, fieldError(r.name, field+".tree_param.size_leaf_vector", "%q is not supported (want 0 or 1)", t.Param.Vector)
	case t.ID != nil && *t.ID != index:
		return nil, fieldError(r.name, field+".id", "%d (want %d, its place)", *t.ID, index)
	case len(t.Categories) > 0:
		return nil, fieldError(r.name, field+".categories", "has %d entries (want none: categorical splits are not supported)", len(t.Categories))
	case len(t.Vectors) > 0:
		return nil, fieldError(r.name, field+".leaf_weights", "has %d entries (want none: several outputs are not supported)", len(t.Vectors))
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
			return nil, fieldError(r.name, field+"."+a.name, "has %d entries (want %d, one per node)", a.have, n)
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
			out[i] = treeNode[float32]{leaf: true, value: r.weighted(index, t.Splits[i])}
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
