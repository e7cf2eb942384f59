package model

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gx1replay/internal/policy"
)

// Small files, from which a fuzzer gets somewhere: the fixtures are too long
// for it.
const (
	smallXGBoost = `{"learner":{"attributes":{"best_iteration":"1"},"feature_names":["body_pct","roc20"],"feature_types":["float","int"],` +
		`"gradient_booster":{"model":{"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"2"},"tree_info":[0,0],"trees":[` +
		`{"default_left":[1,0,0],"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_conditions":[0.5,-1,1],"split_indices":[1,0,0],"split_type":[0,0,0],"tree_param":{"num_nodes":"3","size_leaf_vector":"1"}},` +
		`{"default_left":[false],"left_children":[-1],"right_children":[-1],"split_conditions":[0.25],"split_indices":[0],"tree_param":{"num_nodes":"1"}}` +
		`]},"name":"gbtree"},"learner_model_param":{"base_score":"[5E-1]","num_class":"0","num_feature":"2","num_target":"1"},"objective":{"name":"binary:logistic"}},"version":[3,1,0]}`
	smallLightGBM = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=binary sigmoid:1\n" +
		"feature_names=body_pct roc20\ntree_sizes=9 9\n\nTree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=1 0\nthreshold=0.5 -1e-35\n" +
		"decision_type=10 6\nleft_child=1 -1\nright_child=-2 -3\nleaf_value=1 -1 0.5\nis_linear=0\n\n\n" +
		"Tree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.25\n\nend of trees\n"
)

func TestSmallFiles(t *testing.T) {
	for _, c := range []struct {
		kind, file string
		roc20      float64
		want       float64
	}{
		{policy.KindXGBoost, smallXGBoost, 0.4, -0.75},
		{policy.KindXGBoost, smallXGBoost, 0.5, 1.25},
		{policy.KindXGBoost, smallXGBoost, math.NaN(), -0.75},
		{policy.KindLightGBM, smallLightGBM, 0.6, -0.75},
		{policy.KindLightGBM, smallLightGBM, 0.5, 1.25}, // body_pct is 0: missing, left
		{policy.KindLightGBM, smallLightGBM, math.NaN(), 1.25},
	} {
		m, err := readers[c.kind]("m", []byte(c.file), []string{"roc20", "body_pct"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := m.Score([]float64{c.roc20, 0}); got != c.want {
			t.Errorf("%s, roc20 %v: %v (want %v)", c.kind, c.roc20, got, c.want)
		}
	}
}

// TestDamagedFiles does what a fuzzer does, the same each time: bytes changed,
// lost and said again. Some damage does not show.
func TestDamagedFiles(t *testing.T) {
	for kind, file := range map[string]string{policy.KindXGBoost: smallXGBoost, policy.KindLightGBM: smallLightGBM} {
		r := rand.New(rand.NewPCG(3, 4))
		read := 0
		for range 10_000 {
			b := []byte(file)
			for range 1 + r.IntN(4) {
				i, j := r.IntN(len(b)), r.IntN(len(b))
				switch r.IntN(3) {
				case 0:
					b[i] = byte(r.IntN(256))
				case 1:
					b = append(b[:i], b[i+1:]...)
				case 2:
					b = append(b, b[min(i, j):max(i, j)]...)
				}
			}
			if m, err := readers[kind]("m", b, fixtureFeatures, false); err == nil {
				m.Score([]float64{1, 2, math.NaN(), 0, -1, 1e9})
				read++
			}
		}
		if read == 0 || read > 5_000 {
			t.Errorf("%s: %d of 10000 damaged files were read", kind, read)
		}
	}
}

// fuzzModel: no file makes a parser panic, and a model that was read scores
// any bar.
func fuzzModel(f *testing.F, kind, seed string) {
	f.Add([]byte(seed))
	x := []float64{math.NaN(), 0, math.Inf(1), -1, 1e-36, 2}
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := readers[kind]("m", file, fixtureFeatures, false)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "m:") {
				t.Errorf("%v does not name the file", err)
			}
			return
		}
		a, _ := m.Score(x)
		if b, _ := m.Score(x); math.Float64bits(a) != math.Float64bits(b) {
			t.Errorf("%v, then %v", a, b)
		}
	})
}

func FuzzParseXGBoost(f *testing.F)  { fuzzModel(f, policy.KindXGBoost, smallXGBoost) }
func FuzzParseLightGBM(f *testing.F) { fuzzModel(f, policy.KindLightGBM, smallLightGBM) }

// FuzzUBJSON: what is written is JSON, and its length in proportion.
func FuzzUBJSON(f *testing.F) {
	f.Add([]byte("[#i\x02SU\x01\"Si\x02\\\n"))
	f.Add([]byte("{i\x01a[$d#i\x01\x3d\xcc\xcc\xcdL\x00\x00\x00\x00\x00\x00\x00\x01b[D\x3f\xb9\x99\x99\x99\x99\x99\x9aZTFI\x01\x02]}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		out, err := ubjsonToJSON(file)
		if err != nil {
			return
		}
		if !json.Valid(out) || len(out) > 8*len(file) {
			t.Errorf("%q became %q", file, out)
		}
	})
}
