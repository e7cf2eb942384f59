package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dartWeights are weights of trees as dropout leaves them.
func dartWeights(n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = 1 / float32(i+2)
	}
	return w
}

// asDART is a fixture's document with weights in the place where a version of
// the library has them.
func asDART(t *testing.T, place string, weights []float32) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(readFile(t, "xgb_named.json"), &doc); err != nil {
		t.Fatal(err)
	}
	var drop []any
	for _, w := range weights {
		drop = append(drop, float64(w))
	}
	learner := doc["learner"].(map[string]any)
	booster := learner["gradient_booster"].(map[string]any)
	switch place {
	case "3.3":
		booster["weight_drop"] = drop
		doc["version"] = []any{3.0, 3.0, 0.0}
	case "3.4":
		booster["model"].(map[string]any)["weight_drop"] = drop
		doc["version"] = []any{3.0, 4.0, 1.0}
	case "dart":
		learner["gradient_booster"] = map[string]any{"name": "dart", "gbtree": booster, "weight_drop": drop}
	}
	return doc
}

// slowMargin walks the document itself, as the library's source says: float32,
// tree by tree, each leaf times its tree's weight.
func slowMargin(doc map[string]any, weights []float32, x map[string]float64) float32 {
	learner := doc["learner"].(map[string]any)
	booster := learner["gradient_booster"].(map[string]any)
	if g, ok := booster["gbtree"].(map[string]any); ok {
		booster = g
	}
	names := learner["feature_names"].([]any)
	var sum float32 // the base score of the fixture is 0.5
	for i, v := range booster["model"].(map[string]any)["trees"].([]any) {
		tree := v.(map[string]any)
		at := func(key string, n int) float64 { return tree[key].([]any)[n].(float64) }
		n := 0
		for at("left_children", n) != -1 {
			v := float32(x[names[int(at("split_indices", n))].(string)])
			left := v < float32(at("split_conditions", n))
			if v != v {
				left = at("default_left", n) == 1
			}
			if left {
				n = int(at("left_children", n))
			} else {
				n = int(at("right_children", n))
			}
		}
		leaf := float32(at("split_conditions", n)) * weights[i]
		sum += leaf
	}
	return sum
}

// The weights of trees are read wherever a version writes them, from JSON and
// from UBJSON.
func TestXGBoostDART(t *testing.T) {
	const trees = 10
	weights := dartWeights(trees)
	rows := readRows(t, "xgb_named.csv")
	for _, place := range []string{"3.3", "3.4", "dart"} {
		doc := asDART(t, place, weights)
		asJSON, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		for format, file := range map[string][]byte{"json": asJSON, "ubj": appendUBJSON(nil, doc)} {
			m, err := ParseXGBoost("m", file, fixtureFeatures, false)
			if err != nil {
				t.Errorf("%s, %s: %v", place, format, err)
				continue
			}
			differ := 0
			for i, row := range rows {
				x := map[string]float64{}
				for j, name := range fixtureFeatures {
					x[name] = row.x[j]
				}
				want := slowMargin(doc, weights, x)
				if got := m.Margin(row.x); math.Float32bits(got) != math.Float32bits(want) {
					t.Errorf("%s, %s: row %d: margin %v (want %v)", place, format, i, got, want)
				}
				if float64(want) != row.margin {
					differ++
				}
			}
			if differ < len(rows)/2 {
				t.Errorf("%s: %d margins of %d follow the weights", place, differ, len(rows))
			}
		}
		ones := make([]float32, trees)
		for i := range ones {
			ones[i] = 1
		}
		m, err := ParseXGBoost("m", appendUBJSON(nil, asDART(t, place, ones)), fixtureFeatures, false)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			if got := margin(m, row.x); got != row.margin {
				t.Errorf("%s, weights of 1: row %d: margin %v (want the library's, %v)", place, i, got, row.margin)
			}
		}
	}
}

func TestXGBoostDARTErrors(t *testing.T) {
	const at = "m: learner.gradient_booster."
	booster := func(doc map[string]any) map[string]any {
		return doc["learner"].(map[string]any)["gradient_booster"].(map[string]any)
	}
	for _, c := range []struct {
		place  string
		change func(booster map[string]any)
		want   string
	}{
		{"3.3", func(b map[string]any) { b["model"].(map[string]any)["weight_drop"] = b["weight_drop"] }, at + "model.weight_drop: is a second list of weights (want one)"},
		{"dart", func(b map[string]any) { b["weight_drop"] = b["weight_drop"].([]any)[1:] }, at + "weight_drop: has 9 weights (want 10, one per tree)"},
		{"dart", func(b map[string]any) { delete(b, "weight_drop") }, at + "weight_drop: is missing (want one weight per tree)"},
		{"dart", func(b map[string]any) { delete(b, "gbtree") }, at + "gbtree: is missing, or stands beside a model (want dart's trees there alone)"},
		{"dart", func(b map[string]any) { b["name"] = "gbtree" }, at + "gbtree: stands in a gbtree (want it in dart alone)"},
		{"dart", func(b map[string]any) { b["gbtree"].(map[string]any)["name"] = "gblinear" }, at + `gbtree.name: "gblinear" is not supported (want gbtree)`},
		{"dart", func(b map[string]any) { delete(b["gbtree"].(map[string]any), "model") }, at + "gbtree.model: is missing (want a trained model)"},
		{"3.3", func(b map[string]any) { delete(b, "model") }, at + "model: is missing (want a trained model)"},
		{"3.4", func(b map[string]any) { b["model"].(map[string]any)["weight_drop"] = []any{"1"} }, at + "model.weight_drop: a JSON string (want float32)"},
	} {
		doc := asDART(t, c.place, dartWeights(10))
		c.change(booster(doc))
		if _, err := ParseXGBoost("m", appendUBJSON(nil, doc), fixtureFeatures, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\n(want %s)", c.place, err, c.want)
		}
	}
}

// A base score is read as the version of its file reads it.
func TestXGBoostBaseScore(t *testing.T) {
	lowest := baseMargin(1e-6)
	highest := baseMargin(1 - xgbEps)
	if lowest > -13.8 || highest < 13.7 {
		t.Fatalf("margins of the bounds are %v and %v", lowest, highest)
	}
	refused := float32(math.NaN())
	for _, c := range []struct {
		text     string
		old, now float32 // the margin before 3.2, and from then on
	}{
		{"0E0", refused, lowest},
		{"1", refused, highest},
		{"1E-7", baseMargin(1e-7), lowest},
		{"1E-6", lowest, lowest},
		{"9.9999994E-1", baseMargin(0.99999994), highest},
		{"2.7E-1", baseMargin(0.27), baseMargin(0.27)},
		{"5E-1", 0, 0},
		{"-1E-9", refused, refused},
		{"1.0000001E0", refused, refused},
		{"NaN", refused, refused},
		{"Inf", refused, refused},
	} {
		for version, want := range map[string]float32{"1,7,4": c.old, "3,1,3": c.old, "3,2,0": c.now, "3,4,1": c.now} {
			text := c.text
			if strings.HasPrefix(version, "3,") {
				text = "[" + text + "]"
			}
			file := edited(t, "xgb_base.json", `"version":[1,7,4]`, `"version":[`+version+`]`)
			file = []byte(strings.Replace(string(file), `"base_score":"2.7E-1"`, `"base_score":"`+text+`"`, 1))
			m, err := ParseXGBoost("m", file, fixtureFeatures, false)
			switch {
			case want != want:
				if err == nil || !strings.Contains(err.Error(), "learner.learner_model_param.base_score: ") {
					t.Errorf("%s of version %s: %v (want an error)", text, version, err)
				}
			case err != nil:
				t.Errorf("%s of version %s: %v", text, version, err)
			case m.base != want:
				t.Errorf("%s of version %s: margin %v (want %v)", text, version, m.base, want)
			}
		}
	}
}

// appendUBJSON writes v as UBJSON; each whole number as 64 bits.
func appendUBJSON(b []byte, v any) []byte {
	length := func(n int) { b = binary.BigEndian.AppendUint64(append(b, 'L'), uint64(n)) }
	switch v := v.(type) {
	case map[string]any:
		b = append(b, '{')
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			length(len(key))
			b = appendUBJSON(append(b, key...), v[key])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[', '#')
		length(len(v))
		for _, item := range v {
			b = appendUBJSON(b, item)
		}
		return b
	case string:
		b = append(b, 'S')
		length(len(v))
		return append(b, v...)
	case float64:
		if v == math.Trunc(v) {
			return binary.BigEndian.AppendUint64(append(b, 'L'), uint64(int64(v)))
		}
		return binary.BigEndian.AppendUint64(append(b, 'D'), math.Float64bits(v))
	case bool:
		return append(b, map[bool]byte{true: 'T', false: 'F'}[v])
	}
	panic(fmt.Sprintf("no UBJSON of %T: %s", v, strconv.Quote(fmt.Sprint(v))))
}
