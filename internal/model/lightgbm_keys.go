package model

import (
	"fmt"
	"strconv"
	"strings"
)

// lgbNewest is the newest version of LightGBM's text format that is known:
// LightGBM 4 writes it.
const lgbNewest = "v4"

// The closed lists of what LightGBM 3 and 4 write before the first tree and in
// a tree.
var (
	lgbHeaderKeys = [...]string{"version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx",
		"objective", "average_output", "feature_names", "monotone_constraints", "feature_infos", "tree_sizes"}
	lgbTreeKeys = [...]string{"num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type",
		"left_child", "right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight",
		"internal_count", "cat_boundaries", "cat_threshold", "is_linear", "leaf_const", "num_features",
		"leaf_features", "leaf_coeff", "shrinkage"}
)

// version refuses formats that are not known.
func (r *lgbReader) version(s *lgbSection) error {
	v := s.values["version"]
	if v == "v3" || v == lgbNewest {
		return nil
	}
	if n, ok := strings.CutPrefix(v, "v"); ok {
		if number, err := strconv.Atoi(n); err == nil && number > 4 {
			if r.newer {
				return nil
			}
			return newerVersion(r.name, "LightGBM's format "+v, lgbNewest)
		}
	}
	return s.fail("version", "%.40q is not supported (want v3 or v4)", v)
}

// trailer looks through what follows the trees, which changes no prediction but
// for categories that pandas had.
func (r *lgbReader) trailer() error {
	const categories = "pandas_categorical:"
	for {
		line, ok := r.next()
		if !ok {
			return nil
		}
		if v, found := strings.CutPrefix(line, categories); found && v != "null" && v != "[]" {
			return fmt.Errorf("%s:%d: pandas_categorical: %.40s (want null: categorical features are not supported)", r.name, r.line, v)
		}
	}
}
