package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Everything wrong in one file is said at once, in order, with positions.
func TestErrorsGolden(t *testing.T) {
	doc := readFile(t, filepath.Join("testdata", "errors.yaml"))
	env := "perhaps"
	_, err := Parse("errors.yaml", doc, Options{NeedModel: true, PregateEnv: &env})
	if err == nil {
		t.Fatal("no error")
	}
	checkGolden(t, filepath.Join("testdata", "errors.golden"), err.Error()+"\n")
}

func TestErrorsOneByOne(t *testing.T) {
	const m = "model: {kind: logistic, long: {bias: 1}, short: {bias: 1}}\n"
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for _, c := range []struct{ name, doc, want string }{
		{"empty", "", "p.yaml:1:1: is empty (want a map of keys)"},
		{"comments only", "# nothing\n", "p.yaml:1:1: is empty (want a map of keys)"},
		{"null", "~", "p.yaml:1:1: is empty (want a map of keys)"},
		{"empty document", "---\n", "p.yaml:2:1: is empty (want a map of keys)"},
		{"root is a list", "- a\n", "p.yaml:1:1: is a list (want a map of keys)"},
		{"root is a text", "\nabc", "p.yaml:2:1: is a value (want a map of keys)"},
		{"two documents", "a: 1\n---\nb: 2\n", "p.yaml:2:1: a second document begins here (want one)"},
		{"broken second document", "a: 1\n---\n[", "p.yaml:4:1: is not YAML: did not find expected node content"},
		{"syntax", "a: [1\n", "p.yaml:2:1: is not YAML: did not find expected ',' or ']'"},
		{"tab", "a:\n\tb: 1\n", "p.yaml:2:1: is not YAML: found character that cannot start any token"},
		{"UTF-8", "a: 1\nbé: \xff", "p.yaml:2:5: byte is not UTF-8 (want a text file in UTF-8)"},
		{"UTF-16", "\xff\xfea\x00", "p.yaml:1:1: byte is not UTF-8 (want a text file in UTF-8)"},
		{"control character", "a: \x01", "p.yaml: is not YAML: control characters are not allowed (value: 1)"},
		{"key twice", "a: 1\nb: {c: 1, c: 2}\na: 3\n", "p.yaml:2:11: b.c: appears twice (the first is at line 2)\np.yaml:3:1: a: appears twice (the first is at line 1)"},
		{"key is a list", "? [1]\n: 2\n", "p.yaml:1:3: a key is a list (want a name)"},
		{"long key", strings.Repeat("k", 101) + ": 1", "p.yaml:1:1: a key has 101 characters (want at most 100)"},
		{"unknown alias", "a: *b", "p.yaml:1:4: is not YAML: unknown anchor 'b' referenced"},
		{"alias in itself", "a: &x [*x]", "p.yaml:1:8: a[0]: alias *x stands inside its own anchor"},
		{"merge of a text", "a: {<<: 5}", "p.yaml:1:9: a.<<: 5 cannot be merged (want a map or a list of maps)"},
		{"deep", "a: " + deep, "p.yaml:1:68: a" + strings.Repeat("[0]", 64) + ": nests deeper than 64 levels"},
		{"tag", "a: !<x,y> 1", `p.yaml:1:4: a: tag "x,y" is not supported (want !name or !!name)`},
		{"wrong block", "exit: [1]", "p.yaml:1:7: exit: a list is not a map (want key: value lines)"},
		{"version", "version: \"a\\nb\"", `p.yaml:1:10: version: "a\nb" is not a name (want one line of at most 200 printable characters)`},
		{"octal or decimal", "warmup_bars: 010", "p.yaml:1:14: warmup_bars: 010 is not a number of bars (want a whole number from 0 to 10000000)"},
		{"number in quotes", `warmup_bars: "10"`, `p.yaml:1:14: warmup_bars: "10" is not a number of bars (want a whole number from 0 to 10000000)`},
		{"boolean in quotes", `replay_config: {replay_pregate: {enabled: "true"}}`, `p.yaml:1:43: replay_config.replay_pregate.enabled: "true" is not a boolean (want true or false)`},
		{"huge", "exit: {target_bps: 1e999}", "p.yaml:1:20: exit.target_bps: \"1e999\" is not a distance in bps (want a number > 0 and < 10000)"},
		{"names in a list", "entry: {sessions: [EU, ~, {a: 1}]}", "p.yaml:1:24: entry.sessions: null is not a name (want names of market sessions)\np.yaml:1:27: entry.sessions: a map is not a name (want names of market sessions)"},
		{"infinite", "replay_config:\n  replay_pregate:\n    max_spread_bps: .inf", "p.yaml:3:21: replay_config.replay_pregate.max_spread_bps: .inf is not a spread in bps (want > 0)"},
		{"exit_config is a list", "exit_config: []", "p.yaml:1:14: exit_config: a list is not a path or a map (want the name of a YAML file, or exit rules)"},
		{"include in Parse", m + "entry_config: x.yaml\nexit_config: y.yaml", "p.yaml:2:15: entry_config: file \"x.yaml\" is not part of this document (want its content)\np.yaml:3:14: exit_config: file \"y.yaml\" is not part of this document (want its content)"},
		{"session hours", m + "sessions: {A: 7-7, B: 7, C: [1, 2, 3], D: 24-1, 9: 1-2}", `p.yaml:2:15: sessions.A: 7 to 7 is not a part of the day (want a start from 0 to 23 and another end from 1 to 24)
p.yaml:2:23: sessions.B: 7 is not a part of the day (want two hours, such as "22-07" or [22, 7])
p.yaml:2:29: sessions.C: a list is not a part of the day (want two hours, such as "22-07" or [22, 7])
p.yaml:2:43: sessions.D: 24 to 1 is not a part of the day (want a start from 0 to 23 and another end from 1 to 24)
p.yaml:2:49: sessions.9: 9 is not a market session's name (want 1 to 32 of A-Z a-z 0-9 _, a letter first)`},
		{"no model", "model: null", "p.yaml:1:1: model: is missing, and the built-in engine needs one (want, for example, these lines)" + modelExample},
		{"model's kind", "model: {}", "p.yaml:1:8: model.kind: is missing (want logistic, xgboost or lightgbm)"},
		{"sides", "model: {kind: logistic, long: {}}", "p.yaml:1:8: model.short: is missing (want {bias: …, weights: {feature: …}})\np.yaml:1:31: model.long: has neither bias nor weights (want {bias: …, weights: {feature: …}})"},
		{"trees without features", "model: {kind: lightgbm, path: m.txt}", "p.yaml:1:8: features: is missing (want the names of what a model of kind lightgbm looks at, in its order)"},
		{"trees without files", "model: {kind: xgboost}\nfeatures: [a]", "p.yaml:1:8: model.path: is missing (want a model file in path or paths)"},
		{"a long name", "features: [a]\nmodel: {kind: xgboost, path: " + strings.Repeat("x", 5000) + "}", "p.yaml:2:30: model.path: is a name of 5000 bytes (want at most 4096)"},
		{"two models a session", "model: {kind: xgboost, paths: {EU: a, X: b, US: []}, eu_model_path: c}\nfeatures: [a]", `p.yaml:1:39: model.paths.X: "X" is not a market session (want EU, OVERLAP, US, ASIA)
p.yaml:1:49: model.paths.US: a list is not a path (want the name of a model file)
p.yaml:1:69: model.eu_model_path: names a second model for EU (want it here or in paths)`},
		{"break-even above its activation", m + "exit: {break_even: {activate_bps: 5, offset_bps: 5}}", "p.yaml:2:50: exit.break_even.offset_bps: 5 is not an offset below the activation (want less than activate_bps, 5)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Where the case is not about models, a missing one is no error.
			_, err := Parse("p.yaml", []byte(c.doc), Options{NeedModel: strings.Contains(c.doc, "model:")})
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Errorf("%T is not Errors", err)
			}
		})
	}
}

func TestErrorsOfSize(t *testing.T) {
	_, err := Parse("p.yaml", bytes.Repeat([]byte("#"), MaxBytes+1), Options{})
	if want := "p.yaml: has 1048577 bytes (want at most 1048576)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// Nine levels of nine aliases are 9^9 values.
	bomb := "a0: &a0 [" + strings.Repeat("1,", 9) + "]\n"
	for i := 1; i < 10; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9))
	}
	_, err = Parse("p.yaml", []byte(bomb), Options{})
	if err == nil || !strings.Contains(err.Error(), "more than 100000 keys and values") || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("alias bomb: %.300v", err)
	}
	// Few values, each long: the merged document outgrows what a worker reads.
	long := "a: &a " + strings.Repeat("x", 100_000) + "\nb: [" + strings.Repeat("*a,", 20) + "]\n"
	_, err = Parse("p.yaml", []byte(long), Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "p.yaml (merged): has 2100") {
		t.Errorf("long aliases: %.300v", err)
	}
}

func TestRefusedKeys(t *testing.T) {
	for reason, names := range refusedKeys {
		for _, name := range names {
			for _, block := range []string{"", "entry", "exit", "risk", "execution", "replay", "exit_config"} {
				doc, key := name+": {by: 2}\n", name
				if block != "" {
					doc, key = block+": {"+name+": 0.5}\n", block+"."+name
				}
				_, err := Parse("p.yaml", []byte(doc), Options{})
				if err == nil || !strings.Contains(err.Error(), key+": "+reason) {
					t.Errorf("%s: got %v", key, err)
				}
				if p, err := Parse("p.yaml", []byte(doc), Options{GateOnly: true}); err != nil || fmt.Sprint(p.UnknownKeys) != "["+key+"]" {
					t.Errorf("%s, gate only: %v, unknown keys %q", key, err, p.UnknownKeys)
				}
			}
		}
	}
	for reason, names := range refusedFeatures {
		for _, name := range names {
			for _, doc := range []string{
				"features: [" + name + "]",
				"model: {kind: logistic, long: {weights: {" + name + ": 1}}, short: {bias: 0}}",
			} {
				if _, err := Parse("p.yaml", []byte(doc), Options{}); err == nil || !strings.Contains(err.Error(), reason) {
					t.Errorf("%s: got %v", doc, err)
				}
			}
		}
	}
}

func TestStrict(t *testing.T) {
	_, err := Parse("p.yaml", []byte("zz: 1\nexit:\n  stop_pbs: 5\n"), Options{Strict: true})
	want := "p.yaml:1:1: zz: is not a key that this version reads (want it removed, or no --strict)\n" +
		"p.yaml:3:3: exit.stop_pbs: is not a key that this version reads (want it removed, or no --strict)"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// With a command as the engine, only the name and the gate are ours to judge.
func TestGateOnly(t *testing.T) {
	doc := `
policy_name: foreign
sessions: [EU, US]
features: {file: f.json}
model: xgb.json
exit: fixed
exit_config: []
entry_config: {a: 1}
risk: {max_open_trades: none}
replay: 5
warmup_bars: many
replay_config: {replay_pregate: {enabled: true, allow_sessions: [LONDON]}}
`
	p := parse(t, doc, Options{GateOnly: true})
	if p.Name != "foreign" || !p.Pregate.Enabled || p.Replay.FollowBars != DefaultFollowBars {
		t.Errorf("got %+v", p)
	}
	want := "[entry_config exit exit_config features model replay risk sessions warmup_bars]"
	if got := fmt.Sprint(p.UnknownKeys); got != want {
		t.Errorf("unknown keys %s, want %s", got, want)
	}
	checkRoundTrip(t, p, Options{GateOnly: true})
	if _, err := Parse("p.yaml", []byte("replay_config: 5"), Options{GateOnly: true}); err == nil {
		t.Error("a gate of the wrong shape is no error")
	}
	if _, err := Parse("p.yaml", []byte(doc), Options{GateOnly: true, Strict: true}); err == nil || strings.Count(err.Error(), "\n") != 8 {
		t.Errorf("strict: got %v, want nine errors", err)
	}
}

// A file system in a map.
func files(m map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		content, ok := m[filepath.ToSlash(path)]
		switch {
		case !ok:
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		case content == "denied":
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		}
		return []byte(content), nil
	}
}

func TestIncludes(t *testing.T) {
	const model = "model: {kind: logistic, long: {bias: 1}, short: {bias: 1}}\n"
	for _, c := range []struct {
		name    string
		files   map[string]string
		opt     Options
		want    string // the error, empty: none
		missing string
	}{
		{"beside the policy", map[string]string{"d/p.yaml": "entry_config: e.yaml", "d/e.yaml": model, "e.yaml": "- no"}, Options{NeedModel: true}, "", "[]"},
		{"in the working directory", map[string]string{"d/p.yaml": "entry_config: e.yaml", "e.yaml": model}, Options{NeedModel: true}, "", "[]"},
		{"exit_config from the include", map[string]string{"d/p.yaml": "entry_config: e.yaml", "e.yaml": model + "exit_config: x.yaml", "d/x.yaml": "stop_bps: 4"}, Options{NeedModel: true}, "", "[]"},
		{"not there, needed", map[string]string{"d/p.yaml": model + "entry_config: e.yaml\nexit_config: x.yaml"}, Options{NeedModel: true},
			"d/p.yaml:2:15: entry_config: no such file (looked for d/e.yaml and e.yaml)\nd/p.yaml:3:14: exit_config: no such file (looked for d/x.yaml and x.yaml)", ""},
		{"not there, overruled", map[string]string{"d/p.yaml": model + "exit: {max_bars: 3}\nexit_config: x.yaml"}, Options{NeedModel: true}, "", "[x.yaml]"},
		{"not there, not needed", map[string]string{"d/p.yaml": "entry_config: e.yaml\nexit_config: /x.yaml"}, Options{}, "", "[e.yaml /x.yaml]"},
		{"denied", map[string]string{"d/p.yaml": "entry_config: e.yaml", "d/e.yaml": "denied"}, Options{}, "d/p.yaml:1:15: entry_config: cannot be read: open d/e.yaml: permission denied", ""},
		{"errors in all files", map[string]string{"d/p.yaml": "entry_config: e.yaml\nexit_config: x.yaml\nwarmup_bars: -1", "d/e.yaml": "exit: {}\nentry: {max_gap: 1}\n", "x.yaml": "- 1"}, Options{},
			"d/p.yaml:3:14: warmup_bars: -1 is not a number of bars (want a whole number from 0 to 10000000)\nd/e.yaml:2:18: entry.max_gap: 1 is not a duration (want such as 300us or 2m, from 0s to 8784h0m0s)\nx.yaml:1:1: is a list (want a map of keys)", ""},
		{"errors of a missing include alone", map[string]string{"d/p.yaml": "entry_config: e.yaml"}, Options{NeedModel: true},
			"d/p.yaml:1:15: entry_config: no such file (looked for d/e.yaml and e.yaml)", ""},
		{"errors of a broken include alone", map[string]string{"d/p.yaml": "entry_config: e.yaml", "d/e.yaml": "a: ["}, Options{NeedModel: true},
			"d/e.yaml:2:1: is not YAML: did not find expected node content", ""},
		{"no path", map[string]string{"d/p.yaml": "entry_config: ''\nexit_config: ''"}, Options{}, "d/p.yaml:1:15: entry_config: \"\" is not a path (want the name of a YAML file)\nd/p.yaml:2:14: exit_config: \"\" is not a path (want the name of a YAML file)", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.ReadFile = files(c.files)
			p, err := Load("d/p.yaml", c.opt)
			if c.want != "" {
				if err == nil || err.Error() != c.want {
					t.Errorf("got\n%v\nwant\n%s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(p.MissingIncludes); got != c.missing {
				t.Errorf("missing includes %s, want %s", got, c.missing)
			}
			checkRoundTrip(t, p, c.opt)
		})
	}
}

// Model files are read by the engine that needs them, and by Load alone.
func TestModelFiles(t *testing.T) {
	const doc = "features: [a]\nmodel: {kind: xgboost, path: all.json, paths: {US: us.json}, eu_model_path: all.json}\n"
	beside := map[string]string{"d/p.yaml": doc, "d/all.json": "all", "all.json": "another", "us.json": "us"}
	for _, c := range []struct {
		name   string
		files  map[string]string
		opt    Options
		want   string            // the error, empty: none
		loaded map[string]string // name → content
	}{
		{"beside the policy, and in the working directory", beside, Options{NeedModel: true}, "", map[string]string{"all.json": "all", "us.json": "us"}},
		{"not needed", map[string]string{"d/p.yaml": doc}, Options{}, "", nil},
		{"with exec", map[string]string{"d/p.yaml": doc}, Options{GateOnly: true}, "", nil},
		{"from an include", map[string]string{"d/p.yaml": "entry_config: e/e.yaml", "d/e/e.yaml": doc, "d/all.json": "all", "d/us.json": "us", "d/e/us.json": "no"},
			Options{NeedModel: true}, "", map[string]string{"all.json": "all", "us.json": "us"}},
		{"not there", map[string]string{"d/p.yaml": doc, "us.json": "us"}, Options{NeedModel: true},
			"d/p.yaml:2:30: model.path: no such file (looked for d/all.json and all.json)\nd/p.yaml:2:77: model.eu_model_path: no such file (looked for d/all.json and all.json)", nil},
		{"denied", map[string]string{"d/p.yaml": doc, "all.json": "all", "us.json": "denied"}, Options{NeedModel: true},
			"d/p.yaml:2:52: model.paths.US: cannot be read: open us.json: permission denied", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.ReadFile = files(c.files)
			p, err := Load("d/p.yaml", c.opt)
			if c.want != "" {
				if err == nil || err.Error() != c.want {
					t.Errorf("got\n%v\nwant\n%s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(p.ModelFiles) != len(c.loaded) {
				t.Errorf("%d files (want %d)", len(p.ModelFiles), len(c.loaded))
			}
			for name, content := range c.loaded {
				if got := p.ModelFiles[name]; string(got.Content) != content || got.SHA256 != sum(content) {
					t.Errorf("%s: %q with SHA-256 %s (want %q, %s)", name, got.Content, got.SHA256, content, sum(content))
				}
			}
			// What travels names the same files, and reads none.
			p.ModelFiles = nil
			checkRoundTrip(t, p, Options{NeedModel: c.opt.NeedModel, GateOnly: c.opt.GateOnly})
		})
	}
}

func TestLoadOfNoFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), Options{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "reading the policy") {
		t.Errorf("got %v", err)
	}
}
