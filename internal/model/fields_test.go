package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gx1replay/internal/policy"
)

// objects are the paths of all objects of a document, the document itself as
// the empty one.
func objects(v any, path string) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		out = append(out, path)
		for key, child := range v {
			if path != "" {
				key = path + "." + key
			}
			out = append(out, objects(child, key)...)
		}
	case []any:
		for i, child := range v[:min(len(v), 2)] {
			out = append(out, objects(child, fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	return out
}

// A field that is not known is an error wherever it stands; a known one in
// other letters, or twice, is one too.
func TestXGBoostUnknownFields(t *testing.T) {
	const new = "tree_bias"
	for _, place := range []string{"3.3", "3.4", "dart"} {
		paths := objects(asDART(t, place, dartWeights(10)), "")
		if len(paths) < 10 {
			t.Fatalf("%d objects", len(paths))
		}
		for _, path := range paths {
			if path == "learner.attributes" {
				continue // the user's own
			}
			doc := asDART(t, place, dartWeights(10))
			at(doc, path)[new] = 1.0
			want := new
			if path != "" {
				want = path + "." + new
			}
			if _, err := ParseXGBoost("m", appendUBJSON(nil, doc), fixtureFeatures, true); err == nil || !strings.HasPrefix(err.Error(), "m: "+want+": is an unknown field") {
				t.Errorf("%s: %v (want an error about %s)", place, err, want)
			}
		}
	}
	file := string(readFile(t, "xgb_named.json"))
	for _, c := range []struct{ old, new, want string }{
		{`"trees":[`, `"Trees":[`, "learner.gradient_booster.model.Trees: is an unknown field"},
		{`"trees":[`, `"trees":[],"trees":[`, "learner.gradient_booster.model.trees: appears twice (want it once)"},
		{`"trees":[`, `"tre\u0065s":[`, `learner.gradient_booster.model.tre\u0065s: is an unknown field`},
		{`"split_conditions":[`, `"split_conditions":[],"split_conditions":[`, "trees[0].split_conditions: appears twice"},
		{`"version":`, `"` + strings.Repeat("v", 200) + `":1,"version":`, "m: " + strings.Repeat("v", 80) + ": is an unknown field"},
	} {
		if _, err := ParseXGBoost("m", []byte(strings.Replace(file, c.old, c.new, 1)), fixtureFeatures, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (want %s)", c.new, err, c.want)
		}
	}
}

// at finds an object by its path.
func at(doc map[string]any, path string) map[string]any {
	var v any = doc
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if list, ok := v.([]any); ok {
			v = list[step[0]-'0']
			continue
		}
		v = v.(map[string]any)[step]
	}
	return v.(map[string]any)
}

func TestLightGBMUnknownKeys(t *testing.T) {
	file := string(readFile(t, "lgb_nan.txt"))
	for _, c := range []struct{ old, new, want string }{
		{"num_class=1\n", "num_class=1\ntree_bias=1\n", "m:4: tree_bias is an unknown key, which may change predictions (want the keys of LightGBM's text format up to v4 alone)"},
		{"\nnum_cat=0\n", "\nnum_cat=0\nleaf_bias=1\n", "m:15: Tree=0.leaf_bias is an unknown key"},
		{"\nnum_cat=0\n", "\nnum_cat=0\nNum_Cat=1\n", "m:15: Tree=0.Num_Cat is an unknown key"},
		{"\nnum_cat=0\n", "\nnum_cat=0\nnum_cat=0\n", "m:15: Tree=0.num_cat appears twice"},
		{"\nparameters:", "\npandas_categorical:[[\"a\",\"b\"]]\nparameters:", `pandas_categorical: [["a","b"]] (want null: categorical features are not supported)`},
		{"version=v4", "version=v5", "m: version: LightGBM's format v5 is newer than the newest known version, v4 (--accept-newer-model reads it like that one; unknown fields stay errors)"},
		{"version=v4", "version=v2", `m: version: "v2" is not supported (want v3 or v4)`},
		{"version=v4", "version=4", `m: version: "4" is not supported (want v3 or v4)`},
	} {
		indexOf(t, []byte(file), c.old)
		if _, err := ParseLightGBM("m", []byte(strings.Replace(file, c.old, c.new, 1)), fixtureFeatures, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\n(want %s)", c.new, err, c.want)
		}
	}
	for _, tail := range []string{"", "\npandas_categorical:null\n", "\npandas_categorical:[]\n"} {
		if _, err := ParseLightGBM("m", []byte(file+tail), fixtureFeatures, false); err != nil {
			t.Errorf("%q: %v", tail, err)
		}
	}
}

// A later version is read if that is asked for, and then gives what the newest
// known one gives.
func TestNewerVersions(t *testing.T) {
	for _, c := range []struct{ kind, file, rows, old, new string }{
		{policy.KindXGBoost, "xgb_base.json", "xgb_base.csv", `"version":[1,7,4]`, `"version":[4,0,0]`},
		{policy.KindXGBoost, "xgb_base.json", "xgb_base.csv", `"version":[1,7,4]`, `"version":[3,5,0]`},
		{policy.KindLightGBM, "lgb_nan.txt", "lgb_nan.csv", "version=v4", "version=v5"},
	} {
		file := edited(t, c.file, c.old, c.new)
		read := func(string) ([]byte, error) { return file, nil }
		sessions := []policy.MarketSession{{Name: "EU"}}
		m := policy.Model{Kind: c.kind, Path: "m"}
		if _, err := NewSet(m, sessions, fixtureFeatures, read); err == nil || !strings.Contains(err.Error(), "--accept-newer-model") {
			t.Errorf("%s: %v (want an error that names --accept-newer-model)", c.new, err)
		}
		m.AcceptNewer = true
		s, err := NewSet(m, sessions, fixtureFeatures, read)
		if err != nil {
			t.Errorf("%s: %v", c.new, err)
			continue
		}
		known, err := readers[c.kind]("m", readFile(t, c.file), fixtureFeatures, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range readRows(t, c.rows) {
			want, _ := known.Score(row.x)
			if got, _ := s.Score(0, row.x); got != want {
				t.Errorf("%s: %v (want %v)", c.new, got, want)
			}
		}
	}
}

// slowFields finds the first unknown or repeated field with the standard
// library's tokens, a decoder for each value.
func slowFields(doc []byte, s *shape, path string) string {
	d := json.NewDecoder(bytes.NewReader(doc))
	t, err := d.Token()
	if err != nil || s == nil {
		return ""
	}
	var seen []string
	for i := 0; d.More(); i++ {
		at, of := path, (*shape)(nil)
		switch {
		case t == json.Delim('{') && s.keys != nil:
			key, _ := d.Token()
			name := key.(string)
			if at != "" {
				at += "."
			}
			at += name
			var known bool
			if of, known = s.keys[name]; !known || slices.Contains(seen, name) {
				return at
			}
			seen = append(seen, name)
		case t == json.Delim('[') && s.item != nil:
			at, of = fmt.Sprintf("%s[%d]", path, i), s.item
		default:
			return ""
		}
		var child json.RawMessage
		if d.Decode(&child) != nil {
			return ""
		}
		if found := slowFields(child, of, at); found != "" {
			return found
		}
	}
	return ""
}

// FuzzFields: the walk finds what an independent reader finds.
func FuzzFields(f *testing.F) {
	s := fields("a", "b").with("c", fields("d")).with("e", &shape{item: fields("f", "g")})
	for _, doc := range []string{
		`{"a":1,"b":[{"x":"}\""},2],"c":{"d":null}}`, `{"a":{},"c":{"z":1}}`, `{"e":[{"f":1},{"g":[[]],"h":0}]}`, `{"a":1,"a":2}`,
		`{"c":[{"z":1}],"e":{"z":1}}`, ` { "e" : [ ] , "a" : "\\" , "q" : 1 } `, `[{"z":1}]`, `-1.5e3`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !json.Valid(doc) || !utf8.Valid(doc) || bytes.ContainsRune(doc, '\\') {
			return // keys with escapes are unknown as they stand
		}
		got := ""
		if u := checkFields(doc, s); u != nil {
			got = u.path
		}
		want := slowFields(doc, s, "")
		if len(got) < maxShownKey && got != want {
			t.Errorf("%q: %q (want %q)", doc, got, want)
		}
	})
}
