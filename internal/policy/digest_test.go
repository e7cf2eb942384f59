package policy

import (
	"reflect"
	"slices"
	"testing"
)

func TestDigestsTellMeaningFromLayout(t *testing.T) {
	const base = `
version: A
exit: {stop_bps: 20, max_bars: 5}
note: {a: 1, b: [2.50, x]}
replay_config: {replay_pregate: {enabled: true, allow_sessions: [EU, US], max_spread_bps: 2}}
`
	b := parse(t, base, Options{})
	for _, c := range []struct {
		name, doc  string
		same, rest bool // SHA256 and SHA256WithoutGate stay
	}{
		{"order, quotes, notation, comments", `
# another layout
replay_config: {replay_pregate: {max_spread_bps: 2.0, allow_sessions: ["US", EU], enabled: yes}}
note:
  b: [2.5, "x"]
  a: +1
exit:
  max_bars: 5.0
  stop_bps: 2e1
version: 'A'
`, true, true},
		{"name", base + "policy_name: other", true, true},
		{"default written out", base + "replay: {follow_bars: 5760, fill: next_open}", true, true},
		{"gate's switch", base[:len(base)-1] + "\nx: 1", false, false},
		{"value", "version: A\nexit: {stop_bps: 21, max_bars: 5}\n" + base[len("\nversion: A\nexit: {stop_bps: 20, max_bars: 5}\n"):], false, false},
		{"unknown key", base + "note2: 1", false, false},
		{"gate alone", "\nversion: A\nexit: {stop_bps: 20, max_bars: 5}\nnote: {a: 1, b: [2.50, x]}\n", false, true},
		{"unknown key in the gate", "\nversion: A\nexit: {stop_bps: 20, max_bars: 5}\nnote: {a: 1, b: [2.50, x]}\nreplay_config: {replay_pregate: {enabled: true, zz: 1, allow_sessions: [EU, US], max_spread_bps: 2}}", false, true},
		{"type of an unknown value", "\nversion: A\nexit: {stop_bps: 20, max_bars: 5}\nnote: {a: '1', b: [2.50, x]}\nreplay_config: {replay_pregate: {enabled: true, allow_sessions: [EU, US], max_spread_bps: 2}}", false, false},
		{"exit rules elsewhere", "\nversion: A\nexit_config: {stop_bps: 20, max_bars: 5}\nnote: {a: 1, b: [2.50, x]}\nreplay_config: {replay_pregate: {enabled: true, allow_sessions: [EU, US], max_spread_bps: 2}}", true, true},
	} {
		p := parse(t, c.doc, Options{})
		if got := p.SHA256 == b.SHA256; got != c.same {
			t.Errorf("%s: sha256 stays %t, want %t", c.name, got, c.same)
		}
		if got := p.SHA256WithoutGate == b.SHA256WithoutGate; got != c.rest {
			t.Errorf("%s: sha256_without_gate stays %t, want %t", c.name, got, c.rest)
		}
	}
	off := false
	p := parse(t, base, Options{PregateFlag: &off})
	if p.SHA256 == b.SHA256 || p.SHA256WithoutGate != b.SHA256WithoutGate {
		t.Error("--pregate false has to change sha256 and leave sha256_without_gate")
	}
}

// What a reader of YAML 1.1 takes for something else than we do counts as
// another value, in and out.
func TestDigestOfAmbiguousWords(t *testing.T) {
	for _, word := range []string{"yes", "Off", "12:30", "1e3", "0o17", "y"} {
		plain := parse(t, "k: "+word, Options{})
		quoted := parse(t, "k: '"+word+"'", Options{})
		if plain.SHA256 == quoted.SHA256 {
			t.Errorf("%s: the digest does not tell the word from the text", word)
		}
		checkRoundTrip(t, plain, Options{})
		checkRoundTrip(t, quoted, Options{})
	}
	if parse(t, "k: word", Options{}).SHA256 != parse(t, "k: 'word'", Options{}).SHA256 {
		t.Error("quotes around a plain word change the digest")
	}
}

// The digest of a policy is stored beside results, so it must not drift.
func TestDigestIsStable(t *testing.T) {
	p := parse(t, full, Options{})
	checkGolden(t, "testdata/full.digests.golden", p.SHA256+"\n"+p.SHA256WithoutGate+"\n")
}

// notDigested are the fields that are no part of a policy's meaning: labels,
// where something came from, what was read beside the policy, the digests.
var notDigested = []string{
	"Name", "Pregate.EnabledSource", "Model.AcceptNewer", "UnknownKeys", "MissingIncludes", "Files", "ModelFiles",
	"SHA256", "SHA256WithoutGate", "Content",
}

// Every other field, in every section, changes the digest, and the gate's alone
// leave the one without it. A new field does so by itself.
func TestEveryFieldCounts(t *testing.T) {
	p := parse(t, ownedPolicy, Options{})
	p.Model.Paths = map[string]string{"EU": "eu.json"}
	all, rest := p.digests(nil)
	seen := 0
	var walk func(path string, v reflect.Value)
	check := func(path string, v reflect.Value, changed any) {
		seen++
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		v.Set(reflect.ValueOf(changed).Convert(v.Type()))
		a, r := p.digests(nil)
		v.Set(old)
		ofGate := len(path) > 8 && path[:8] == "Pregate."
		if counts := !slices.Contains(notDigested, path); (a != all) != counts || (r != rest) != (counts && !ofGate) {
			t.Errorf("%s: sha256 changes %t, without the gate %t", path, a != all, r != rest)
		}
	}
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for f, value := range v.Fields() {
				name := f.Name
				if path != "" {
					name = path + "." + name
				}
				walk(name, value)
			}
		case reflect.Pointer:
			if v.IsNil() {
				t.Errorf("%s is nil: the policy of this test has to have it", path)
				return
			}
			walk(path, v.Elem())
		case reflect.Float64:
			check(path, v, v.Float()+1)
		case reflect.Int, reflect.Int64:
			check(path, v, v.Int()+1)
		case reflect.Bool:
			check(path, v, !v.Bool())
		case reflect.String:
			check(path, v, v.String()+"x")
		case reflect.Map:
			check(path, v, reflect.MakeMap(v.Type()).Interface())
			more := reflect.MakeMap(v.Type())
			more.SetMapIndex(reflect.ValueOf("more"), reflect.Zero(v.Type().Elem()))
			check(path, v, more.Interface())
		case reflect.Slice:
			check(path, v, reflect.Append(v.Slice(0, v.Len()), reflect.Zero(v.Type().Elem())).Interface())
			if v.Len() > 0 && v.Index(0).Kind() == reflect.Struct && !slices.Contains(notDigested, path) {
				walk(path, v.Index(0))
			}
		default:
			t.Errorf("%s: a %v cannot be changed by this test", path, v.Type())
		}
	}
	walk("", reflect.ValueOf(&p).Elem())
	if seen < 60 {
		t.Errorf("%d fields (want 60 or more)", seen)
	}
}
