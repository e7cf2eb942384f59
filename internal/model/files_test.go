package model

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gx1replay/internal/policy"
)

// edited is a fixture with old replaced by new, once.
func edited(t *testing.T, file, old, new string) []byte {
	t.Helper()
	b := readFile(t, file)
	indexOf(t, b, old)
	return []byte(strings.Replace(string(b), old, new, 1))
}

func TestXGBoostErrors(t *testing.T) {
	const trees = "xgb_base.json: learner.gradient_booster.model.trees"
	for _, c := range []struct{ old, new, want string }{
		{`{"learner"`, `{"learners"`, "xgb_base.json: learners: is an unknown field, which may change predictions (want the fields of XGBoost up to 3.4 alone)"},
		{`"learner":{`, `"learner":null,"unread":{`, "xgb_base.json: unread: is an unknown field"},
		{`"version":[1,7,4]`, `"versions":[1,7,4]`, "xgb_base.json: version: is missing"},
		{`"version":[1,7,4]`, `"version":[4,0,0]`, "version: XGBoost 4.0 is newer than the newest known version, 3.4 (--accept-newer-model reads it like that one; unknown fields stay errors)"},
		{`"version":[1,7,4]`, `"version":[3,5,0]`, "version: XGBoost 3.5 is newer than the newest known version, 3.4"},
		{`"version":[1,7,4]`, `"version":[0,90,0]`, "version: 0.90 is not supported (want XGBoost 1.0 to 3.4)"},
		{`"name":"binary:logistic"`, `"name":"reg:squarederror"`, `learner.objective.name: "reg:squarederror" is not supported (want binary:logistic)`},
		{`"name":"gbtree"`, `"name":"gblinear"`, `learner.gradient_booster.name: "gblinear" is not supported (want gbtree or dart)`},
		{`"name":"gbtree"`, `"name":"dart"`, "learner.gradient_booster.gbtree: is missing, or stands beside a model"},
		{`"tree_info"`, `"weight_drop":[1,1],"tree_info"`, "learner.gradient_booster.model.weight_drop: has 2 weights (want 12, one per tree)"},
		{`"name":"gbtree"`, `"weight_drop":[1,1,1],"name":"gbtree"`, "learner.gradient_booster.weight_drop: has 3 weights (want 12, one per tree)"},
		{`"tree_info"`, `"iteration_indptr":[0,2,4],"tree_info"`, "model.iteration_indptr: ends with tree 4 of 12 (want all of them)"},
		{`"tree_info"`, `"cats":{"enc":[],"feature_segments":[],"sorted_idx":[0]},"tree_info"`, "model.cats: categories are not supported"},
		{`"tree_info"`, `"cats":{"enc":[{"type":6,"values":[1]}]},"tree_info"`, "model.cats.enc[0]: categories are not supported"},
		{`"categories":[]`, `"categories":[1]`, trees + "[0].categories: has 1 entries (want none"},
		{`"categories":[]`, `"leaf_weights":[1,2],"categories":[]`, trees + "[0].leaf_weights: has 2 entries (want none"},
		{`"id":0`, `"id":3`, trees + "[0].id: 3 (want 0, its place)"},
		{`"num_class":"0"`, `"num_class":"3"`, `learner.learner_model_param.num_class: "3" is not supported`},
		{`"num_target":"1"`, `"num_target":"2"`, `learner.learner_model_param.num_target: "2" is not supported`},
		{`"num_trees":"12"`, `"num_trees":"13"`, `gbtree_model_param.num_trees: "13", but there are 12 trees`},
		{`"tree_info":[0,`, `"tree_info":[`, "model.tree_info: has 11 entries (want 12, one per tree)"},
		{`"tree_info":[0,0`, `"tree_info":[0,1`, "model.tree_info[1]: output 1 is not supported"},
		{`"feature_types":[]`, `"feature_types":["float","c"]`, "learner.feature_types[1]: categorical features are not supported"},
		{`"feature_names":[]`, `"feature_names":["atr14"]`, "learner.feature_names: names 1 features of 6"},
		{`"feature_names":[]`, `"feature_names":["atr14","rsi","a","b","c","d"]`, `learner.feature_names[1]: "rsi" is not among the policy's features (want one of atr14, body_pct,`},
		{`"feature_names":[]`, `"feature_names":["atr14","atr14","body_pct","roc20","session_id","spread_bps"]`, `learner.feature_names[1]: "atr14" appears twice`},
		{`"num_feature":"6","num_target"`, `"num_feature":"5","num_target"`, "learner.feature_names: has no names, and 5 features (want 6: atr14, body_pct,"},
		{`"num_feature":"6","num_target"`, `"num_feature":"x","num_target"`, `learner_model_param.num_feature: "x" (want 1 or more)`},
		{`"best_iteration":"5"`, `"best_iteration":"3"`, "learner.attributes.best_iteration: the best round is 3, the file holds 6 (want it cut, booster[:4].save_model"},
		{`"best_iteration":"5"`, `"best_iteration":"last"`, `learner.attributes.best_iteration: "last" is no round`},
		{`"num_parallel_tree":"2"`, `"num_parallel_tree":"0"`, `gbtree_model_param.num_parallel_tree: "0" (want 1 or more)`},
		{`"base_score":"2.7E-1"`, `"base_score":"0"`, `learner.learner_model_param.base_score: "0" (want one probability above 0 and below 1)`},
		{`"base_score":"2.7E-1"`, `"base_score":"[2.7E-1,1E-1]"`, `learner.learner_model_param.base_score: "[2.7E-1,1E-1]" (want one`},
		{`"base_score":"2.7E-1"`, `"base_score":"[2.7E-1"`, `learner.learner_model_param.base_score: "[2.7E-1" (want one`},
		{`"base_score":"2.7E-1"`, `"base_score":"NaN"`, `learner.learner_model_param.base_score: "NaN"`},
		{`"base_score":"2.7E-1"`, `"base_score":0.27`, "learner.learner_model_param.base_score: a JSON number (want string)"},
		{`"left_children":[1,`, `"left_children":[`, trees + `[0].tree_param.num_nodes: "15", but left_children has 14`},
		{`"left_children":[1,`, `"left_children":["1",`, trees + "[0].left_children: a JSON string (want int)"},
		{`"left_children":[1,`, `"left_children":[99,`, trees + "[0].right_children[0]: 2 (want 100, beside the left child)"},
		{`"right_children":[2,`, `"right_children":[3,`, trees + "[0].right_children[0]: 3 (want 2, beside the left child)"},
		{`"split_indices":[`, `"split_indices":[6`, trees + "[0].split_indices[0]: 6"},
		{`"split_conditions":[`, `"split_conditions":[1e99,`, trees + "[0].split_conditions: a JSON number 1e99 (want float32)"},
		{`"split_type":[0`, `"split_type":[1`, trees + "[0].split_type[0]: kind 1 is not supported (want 0: numerical)"},
		{`"size_leaf_vector":"0"}},{`, `"size_leaf_vector":"3"}},{`, trees + `[0].tree_param.size_leaf_vector: "3" is not supported`},
		{`"trees":[`, `"trees":[null,`, `num_trees: "12", but there are 13 trees`},
		{`"tree_info"`, `tree_info"`, "xgb_base.json: byte "},
	} {
		m, err := ParseXGBoost("xgb_base.json", edited(t, "xgb_base.json", c.old, c.new), fixtureFeatures, false)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "xgb_base.json: ") || m != nil {
			t.Errorf("%s for %s: %v\n(want an error with %q)", c.new, c.old, err, c.want)
		}
	}
}

// Errors that are easier to see in a small file.
func TestSmallFilesErrors(t *testing.T) {
	for _, c := range []struct{ kind, old, new, want string }{
		{policy.KindXGBoost, `"default_left":[1,`, `"default_left":[2,`, "m: learner.gradient_booster.model.trees[0]: default_left: 2 is no flag (want 0 or 1)"},
		{policy.KindXGBoost, `"default_left":[1,`, `"default_left":[`, "m: learner.gradient_booster.model.trees[0].default_left: has 2 entries (want 3, one per node)"},
		{policy.KindXGBoost, `"left_children":[1,-1,`, `"left_children":[0,-1,`, "m: learner.gradient_booster.model.trees[0].right_children[0]: 2 (want 1, beside the left child)"},
		{policy.KindXGBoost, `[1,-1,-1],"right_children":[2,`, `[2,-1,-1],"right_children":[3,`, "m: learner.gradient_booster.model.trees[0]: node 0: child 3 is no node (want 0 to 2)"},
		{policy.KindLightGBM, "decision_type=10", "decision_type=9", "m: Tree=0.decision_type: number 0: categorical splits are not supported (want numerical ones)"},
		{policy.KindLightGBM, "decision_type=10", "decision_type=12", "m: Tree=0.decision_type: number 0: 12 has unknown bits (want 0, 2, 4, 6, 8 or 10)"},
		{policy.KindLightGBM, "split_feature=1", "split_feature=2", "m: Tree=0.split_feature: number 0: 2 is no feature (want 0 to 1)"},
		{policy.KindLightGBM, "left_child=1", "left_child=0", "m: Tree=0: node 0: child 0 has another parent or is the root (want a tree)"},
		{policy.KindLightGBM, "left_child=1", "left_child=2", "m: Tree=0: node 0: child -1 is no node (want 0 to 4)"},
		{policy.KindLightGBM, "left_child=1", "left_child=-4", "m: Tree=0: node 0: child 5 is no node (want 0 to 4)"},
	} {
		file := smallXGBoost
		if c.kind == policy.KindLightGBM {
			file = smallLightGBM
		}
		indexOf(t, []byte(file), c.old)
		_, err := readers[c.kind]("m", []byte(strings.Replace(file, c.old, c.new, 1)), fixtureFeatures, false)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s for %s: %v\n(want %s)", c.new, c.old, err, c.want)
		}
	}
}

// What other versions write differently, and means the same.
func TestXGBoostVersions(t *testing.T) {
	rows := readRows(t, "xgb_base.csv")
	for _, c := range []struct{ old, new string }{
		{`"base_score":"2.7E-1"`, `"base_score":"[2.7E-1]"`},                                       // 3.1
		{`"default_left":[1,1,1`, `"default_left":[true,true,true`},                                // 1.0 to 1.5
		{`"num_class":"0","num_feature"`, `"num_feature"`},                                         // unset
		{`,"num_target":"1"`, ``},                                                                  // before 1.6
		{`"size_leaf_vector":"0"}},{`, `"size_leaf_vector":"1"}},{`},                               // 2.0
		{`"best_iteration":"5","best_ntree_limit":"12"`, ``},                                       // 2.1
		{`"version":[1,7,4]`, `"version":[3,1,0]`},                                                 //
		{`"feature_types":[]`, `"feature_types":["float","int","q"]`},                              //
		{`"tree_info":[`, `"iteration_indptr":[0,2,4,6,8,10,12],"tree_info":[`},                    // 2.0
		{`"tree_info":[`, `"cats":{"enc":[],"feature_segments":[],"sorted_idx":[]},"tree_info":[`}, // 3.1
		{`"tree_info":[`, `"weight_drop":[1,1,1,1,1,1,1,1,1,1,1,1],"tree_info":[`},                 // 3.4
		{`"attributes":{`, `"attributes":{"mine":"1",`},                                            // the user's own
	} {
		m, err := ParseXGBoost("m", edited(t, "xgb_base.json", c.old, c.new), fixtureFeatures, false)
		if err != nil {
			t.Errorf("%s: %v", c.new, err)
			continue
		}
		for _, row := range rows {
			if got := margin(m, row.x); got != row.margin {
				t.Errorf("%s: margin %v (want %v)", c.new, got, row.margin)
			}
		}
	}
}

func TestLightGBMErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"tree\n", "forest\n", `lgb_nan.txt:1: "forest" (want a LightGBM model in text`},
		{"version=v4", "version=v2", `lgb_nan.txt: version: "v2" is not supported (want v3 or v4)`},
		{"num_class=1", "num_class=3", `num_class: "3" is not supported (want 1)`},
		{"num_tree_per_iteration=1", "num_tree_per_iteration=3", `num_tree_per_iteration: "3" is not supported`},
		{"label_index=0", "average_output", "average_output: averaged forests (boosting rf) are not supported"},
		{"label_index=0", "version=v4", "lgb_nan.txt:5: version appears twice"},
		{"objective=binary sigmoid:1", "objective=regression", `objective: "regression" is not supported (want binary sigmoid:1)`},
		{"objective=binary sigmoid:1", "objective=binary sigmoid:-1", `objective: "binary sigmoid:-1": the sigmoid is no number above 0`},
		{"max_feature_idx=5", "max_feature_idx=1000", `max_feature_idx: "1000" (want 0 to 999)`},
		{"max_feature_idx=5", "max_feature_idx=4", "feature_names: has 6 names (want 5, as max_feature_idx says)"},
		{"feature_names=atr14 body_pct", "feature_names=atr14 rsi", `feature_names[1]: "rsi" is not among the policy's features (want one of atr14, body_pct,`},
		{"tree_sizes=", "tree_sizes=7 ", "tree_sizes: lists 11 trees, the file holds 10"},
		{"Tree=1\n", "Tree=2\n", `"Tree=2" (want "Tree=1")`},
		{"num_leaves=12", "num_leaves=13", `Tree=0.num_leaves: "13", but leaf_value has 12`},
		{"num_leaves=12", "num_leaves=2000000000", `Tree=0.num_leaves: "2000000000", but leaf_value has 12`},
		{"num_cat=0", "num_cat=1", `Tree=0.num_cat: "1" is not supported (want 0)`},
		{"is_linear=0", "is_linear=1", `Tree=0.is_linear: "1" is not supported (want 0)`},
		{"leaf_value=", "leaf_value=nan ", `Tree=0.leaf_value: number 0: "nan" (want a number)`},
		{"leaf_value=", "leaf_values=", "lgb_nan.txt:21: Tree=0.leaf_values is an unknown key, which may change predictions"},
		{"threshold=", "threshold=1 ", "Tree=0.threshold: has 12 numbers (want 11, one less than leaves)"},
		{"threshold=", "threshold=1e999 ", `Tree=0.threshold: number 0: "1e999" (want a number)`},
		{"threshold=", "threshold=-inf ", `Tree=0.threshold: number 0: "-inf" (want a number)`},
		{"split_feature=", "split_feature=6", "Tree=0.split_feature: number 0: 6"},
		{"left_child=", "left_child=x", "Tree=0.left_child: number 0: "},
		{"\nend of trees", "\nend", `"end" (want "Tree=10")`},
	} {
		m, err := ParseLightGBM("lgb_nan.txt", edited(t, "lgb_nan.txt", c.old, c.new), fixtureFeatures, false)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "lgb_nan.txt:") || m != nil {
			t.Errorf("%s for %s: %v\n(want an error with %q)", c.new, c.old, err, c.want)
		}
	}
	file := readFile(t, "lgb_zero.txt")
	if _, err := ParseLightGBM("m", file, fixtureFeatures[:5], false); err == nil || err.Error() != "m: feature_names: has no names, and 6 features (want 5: atr14, body_pct, ema20_slope, roc20, session_id)" {
		t.Errorf("a feature too few: %v", err)
	}
	if _, err := ParseLightGBM("m", file, make([]string, maxFeatures+1), false); err == nil || !strings.Contains(err.Error(), "features: lists 1001 (want at most 1000)") {
		t.Errorf("too many features: %v", err)
	}
}

// Windows' ends of lines, and a tree of one leaf.
func TestLightGBMLayouts(t *testing.T) {
	file := strings.ReplaceAll(string(readFile(t, "lgb_nan.txt")), "\n", "\r\n")
	m, err := ParseLightGBM("m", []byte(file), fixtureFeatures, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range readRows(t, "lgb_nan.csv") {
		if got := m.Margin(row.x); got != row.margin {
			t.Errorf("margin %v (want %v)", got, row.margin)
		}
	}
	const stump = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=binary sigmoid:2\n" +
		"feature_names=a\ntree_sizes=9\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=-0.25\n\nend of trees\n"
	if m, err = ParseLightGBM("m", []byte(stump), []string{"a"}, false); err != nil {
		t.Fatal(err)
	}
	if long, short := m.Score([]float64{7}); long != -0.5 || short != 0.5 {
		t.Errorf("scores %v and %v (want -0.5 and 0.5)", long, short)
	}
}

func TestUBJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"{}", "{}"},
		{"{i\x01aT}", `{"a":true}`},
		{"[ZFTi\xffU\xffI\xff\x00l\x7f\xff\xff\xffL\x80\x00\x00\x00\x00\x00\x00\x00]", "[null,false,true,-1,255,-256,2147483647,-9223372036854775808]"},
		{"[$i#U\x02\x01\x02", "[1,2]"},
		{"[$d#L\x00\x00\x00\x00\x00\x00\x00\x01\x3d\xcc\xcc\xcd", "[0.1]"},
		{"[D\x3f\xb9\x99\x99\x99\x99\x99\x9a]", "[0.1]"},
		{"[#i\x02SU\x01\"Si\x02\\\n", `["\"","\\\u000a"]`},
		{"[[][]]", "[[],[]]"},
	} {
		got, err := ubjsonToJSON([]byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%q: %s, %v (want %s)", c.in, got, err, c.want)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"", "byte 0: the file ends within a value"},
		{"{", "byte 1: the file ends within a value"},
		{"{i\x05a", "a length of 5, with 1 bytes left"},
		{"{i\xff", "a length of -1, with 0 bytes left"},
		{"[$T#l\x7f\xff\xff\xff", "an array of type 'T' (want numbers)"},
		{"[$i]", "an array with a type and no count"},
		{"[$l#l\x7f\xff\xff\xff\x00", "a length of 2147483647, with 1 bytes left"},
		{"[$l#i\x02\x00\x00\x00\x00", "the file ends within a value"},
		{"[d\x7f\x80\x00\x00]", "+Inf is not a number (want a finite one)"},
		{"[Hi\x01\x31]", "type 'H' is not known"},
		{"{}T", "byte 2: 1 more bytes follow the document"},
		{strings.Repeat("[", 40), "values nest deeper than 32"},
	} {
		if got, err := ubjsonToJSON([]byte(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %s, %v (want an error with %q)", c.in, got, err, c.want)
		}
	}
	_, err := ParseXGBoost("m.ubj", []byte("{L\x00"), fixtureFeatures, false)
	if err == nil || !strings.HasPrefix(err.Error(), "m.ubj: reading UBJSON: byte 2: ") {
		t.Errorf("%v", err)
	}
}

var errRead = errors.New("no such file")

func TestSet(t *testing.T) {
	sessions := []policy.MarketSession{{Name: "ASIA"}, {Name: "EU"}, {Name: "US"}}
	reads := map[string]int{}
	read := func(name string) ([]byte, error) {
		reads[name]++
		if name == "gone" {
			return nil, errRead
		}
		return readFile(t, name), nil
	}
	x := readRows(t, "xgb_named.csv")[0].x
	score := func(s *Set, session int) float64 {
		long, short := s.Score(session, x)
		if long == long && short != -long {
			t.Errorf("scores %v and %v", long, short)
		}
		return long
	}
	named := readRows(t, "xgb_named.csv")[0].margin
	base, err := ParseXGBoost("m", readFile(t, "xgb_base.json"), fixtureFeatures, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		m    policy.Model
		want [3]float64
	}{
		{policy.Model{Kind: policy.KindXGBoost, Path: "xgb_named.json"}, [3]float64{named, named, named}},
		{policy.Model{Kind: policy.KindXGBoost, Path: "xgb_named.ubj", Paths: map[string]string{"EU": "xgb_base.json"}}, [3]float64{named, margin(base, x), named}},
		{policy.Model{Kind: policy.KindXGBoost, Paths: map[string]string{"US": "xgb_named.json"}}, [3]float64{math.NaN(), math.NaN(), named}},
		{policy.Model{Kind: policy.KindLogistic, Long: policy.Logistic{Bias: 2}, Short: policy.Logistic{Bias: -2}}, [3]float64{2, 2, 2}},
	} {
		clear(reads)
		s, err := NewSet(c.m, sessions, fixtureFeatures, read)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			if got := score(s, i); got != want && (got == got || want == want) {
				t.Errorf("%+v: market session %d: %v (want %v)", c.m, i, got, want)
			}
			if s.Has(i) != (want == want) {
				t.Errorf("%+v: market session %d: has a model: %v", c.m, i, s.Has(i))
			}
		}
		for name, n := range reads {
			if n != 1 {
				t.Errorf("%s was read %d times (want once)", name, n)
			}
		}
	}
	for _, c := range []struct {
		m    policy.Model
		want string
	}{
		{policy.Model{Kind: policy.KindXGBoost}, "model.path: is missing"},
		{policy.Model{Kind: policy.KindXGBoost, Path: "gone"}, "model.path: reading the model: no such file"},
		{policy.Model{Kind: policy.KindXGBoost, Path: "lgb_nan.txt"}, "model.path: lgb_nan.txt: byte 3: "},
		{policy.Model{Kind: policy.KindLightGBM, Paths: map[string]string{"EU": "xgb_named.json"}}, "model.paths.EU: xgb_named.json:1: "},
		{policy.Model{Kind: "tree"}, `model.kind: "tree" is unknown`},
	} {
		s, err := NewSet(c.m, sessions, fixtureFeatures, read)
		if err == nil || !strings.Contains(err.Error(), c.want) || s != nil {
			t.Errorf("%+v: %v (want an error with %q)", c.m, err, c.want)
		}
	}
}

// Rows at once have the scores that each has alone, to the bit, whatever their
// number and whatever the model.
func TestScoreRows(t *testing.T) {
	sessions := []policy.MarketSession{{Name: "ASIA"}, {Name: "EU"}, {Name: "US"}}
	read := func(name string) ([]byte, error) { return readFile(t, name), nil }
	fixture := readRows(t, "xgb_named.csv")
	side := func(sign float64) policy.Logistic {
		weights := map[string]float64{}
		for i, name := range fixtureFeatures {
			weights[name] = sign / float64(i+3)
		}
		return policy.Logistic{Bias: 0.1 * sign, Weights: weights}
	}
	for _, m := range []policy.Model{
		{Kind: policy.KindLogistic, Long: side(1), Short: side(-1.7)},
		{Kind: policy.KindXGBoost, Path: "xgb_named.json", Paths: map[string]string{"EU": "xgb_base.json"}},
		{Kind: policy.KindXGBoost, Paths: map[string]string{"US": "xgb_named.json"}},
	} {
		s, err := NewSet(m, sessions, fixtureFeatures, read)
		if err != nil {
			t.Fatal(err)
		}
		for session := range sessions {
			for n := range 11 {
				var rows []float64
				for _, row := range fixture[:n] {
					rows = append(rows, row.x...)
				}
				long, short := make([]float64, n), make([]float64, n)
				s.ScoreRows(session, rows, long, short)
				for i, row := range fixture[:n] {
					a, b := s.Score(session, row.x)
					if math.Float64bits(long[i]) != math.Float64bits(a) || math.Float64bits(short[i]) != math.Float64bits(b) {
						t.Errorf("%s, market session %d: row %d of %d: %v and %v (want %v and %v)", m.Kind, session, i, n, long[i], short[i], a, b)
					}
				}
			}
		}
	}
}
