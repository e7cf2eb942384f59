package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/policy"
)

// policyChecks runs policy check on a policy with this content; what it prints
// names the file p.yaml.
func policyChecks(t *testing.T, content string, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errOut, Getenv: func(name string) string { return env[name] }}
	code = p.Coordinator(t.Context(), append([]string{"policy", "check", path}, args...))
	short := strings.NewReplacer(filepath.Dir(path)+"/", "")
	return code, short.Replace(out.String()), short.Replace(errOut.String())
}

const (
	checkedPolicy = `timeframe: M5
features: [roc20, ema20_slope]
model:
  kind: logistic
  long:  {weights: {roc20: 900, ema20_slope: 0.5}}
  short: {weights: {roc20: -900, ema20_slope: -0.5}}
entry: {p_side_min: 0.6}
replay_config: {replay_pregate: {enabled: true, allow_sessions: [EU, US], min_atr_bps: 3}}
`
	boundedExit = "exit: {stop_bps: 25, max_bars: 96}\n"
	someBars    = "synthetic:3000,seed=3"
)

func TestPolicyCheckFindings(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy string
		args   []string
		env    map[string]string
		code   int
		says   []string
	}{
		{"fine", checkedPolicy + boundedExit, nil, nil, 0, []string{
			"gate       on (yaml): sessions EU, US; ATR from 3 bps\n", "model      logistic\n", "timeframe  M5\n",
			"warm-up    200 bars, 0.7 days of an open market, for ema20_slope\n", "look-back  200 bars\n",
			"max_bars ends every trade, at its bar 96\n", "roc20 (ratio): warm-up 20, look-back 20\n",
			"ema20_slope (price per bar): warm-up 200, look-back 200, recursive\n", "0 problems, 0 warnings\n"}},
		{"the gate by its variable", checkedPolicy + boundedExit, nil, map[string]string{policy.PregateEnv: "0"}, 0, []string{"gate       off (env)"}},
		{"the gate by its flag", checkedPolicy + boundedExit, []string{"--pregate", "false"}, map[string]string{policy.PregateEnv: "1"}, 0, []string{"gate       off (flag)"}},
		{"warnings", checkedPolicy + "exit: {rule_a: true}\nwhim: 1\nwarmup_bars: 300", nil, nil, 0, []string{
			"warning: unused keys: whim\n", "warning: exit.rule_a has no stop", "300 bars, 1.0 days of an open market, for warmup_bars", "0 problems, 2 warnings\n"}},
		{"strict", checkedPolicy + boundedExit + "whim: 1", []string{"--strict"}, nil, 1, []string{"error: p.yaml:10:1: whim: is not a key that this version reads"}},
		{"everything at once", "exit: {stop_bps: -1}\nentry: {p_side_min: 2}", nil, nil, 1, []string{"p.yaml:1:1: model: is missing", "p.yaml:1:18: exit.stop_bps: -1", "p.yaml:2:21: entry.p_side_min: 2"}},
		{"unknown features", "features: [roc21, zap]\nmodel: {kind: logistic, long: {bias: 1}, short: {bias: 1}}", nil, nil, 1, []string{`"roc21" is unknown`, `"zap" is unknown`}},
		{"a model that is not there", "features: [roc20]\nmodel: {kind: xgboost, path: none.json}", nil, nil, 1, []string{"p.yaml:2:30: model.path: no such file"}},
		{"a model that is none", "features: [roc20]\nmodel: {kind: xgboost, path: p.yaml}", nil, nil, 1, []string{"model.path: "}},
		{"data", checkedPolicy + boundedExit, []string{"--data", someBars}, nil, 0, []string{
			"data       synthetic:3000,seed=3: 3000 bars, 5m0s apart\n", "replayed   bars 0 to 2999 in ", "warm-up 200 bars; from bar 200, 20", "gate skips ", "% of them avoided",
			"future    cut off at 8 random bars: no feature and no signal before changed", "history   cut before bars 375, 750, 1125, 1500", "  roc20        0              0         0                0\n"}},
		{"a part of the data", checkedPolicy + boundedExit, []string{"--data", someBars, "--bars", "500", "--cuts", "0"}, nil, 0, []string{"replayed   bars 2500 to 2999", "warm-up 0 bars; from bar 2500", "future    not tried"}},
		{"too few bars", checkedPolicy + boundedExit, []string{"--data", "synthetic:150"}, nil, 1, []string{"problem: all 150 bars are warm-up", "ema20_slope  too few bars", "1 problem, "}},
		{"data without the gate", checkedPolicy + boundedExit, []string{"--data", someBars, "--pregate", "false"}, nil, 0, []string{"gate skips 0\n", ", 0.0 % of them avoided"}},
		{"another timeframe", strings.Replace(checkedPolicy, "M5", "H1", 1) + boundedExit, []string{"--data", someBars}, nil, 0, []string{"warning: the policy is for H1, and the data's bars are 5m0s apart"}},
		{"no timeframe", strings.Replace(checkedPolicy, "timeframe: M5\n", "", 1) + boundedExit, nil, nil, 0, []string{"timeframe  M5 (assumed)", `warning: timeframe "" names no bar length`}},
		{"no such data", checkedPolicy + boundedExit, []string{"--data", "nowhere.csv"}, nil, 1, []string{"error: reading bars from nowhere.csv"}},
		{"bad cuts", checkedPolicy, []string{"--cuts", "-1"}, nil, 1, []string{"error: --cuts -1 (want 0 to 10000)"}},
		{"bad bars", checkedPolicy, []string{"--bars", "-1"}, nil, 1, []string{"error: --bars -1"}},
		{"bad gate", checkedPolicy, []string{"--pregate", "maybe"}, nil, 1, []string{`--pregate "maybe"`}},
		{"two policies", checkedPolicy, []string{"q.yaml"}, nil, 1, []string{"takes one POLICY, got 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := policyChecks(t, c.policy, c.env, c.args...)
			if code != c.code {
				t.Errorf("exit code %d (want %d)", code, c.code)
			}
			for _, says := range c.says {
				if !strings.Contains(stdout+stderr, says) {
					t.Errorf("it does not say %q", says)
				}
			}
			if t.Failed() {
				t.Logf("\n%s%s", stdout, stderr)
			}
		})
	}
}

// The JSON says the same, of a policy that cannot be read, too.
func TestPolicyCheckJSON(t *testing.T) {
	check := func(content string, args ...string) (int, policyChecked) {
		t.Helper()
		code, stdout, stderr := policyChecks(t, content, nil, append(args, "--json")...)
		var c policyChecked
		if err := json.Unmarshal([]byte(stdout), &c); err != nil || stderr != "" {
			t.Fatalf("%v\n%s%s", err, stdout, stderr)
		}
		// Two limits of the gate are not set; no list is null.
		if n := strings.Count(stdout, ": null"); c.Audit != nil && n != 2 {
			t.Errorf("%d nulls (want 2)\n%s", n, stdout)
		}
		return code, c
	}
	code, c := check(checkedPolicy+boundedExit+"whim: 1", "--data", someBars, "--cuts", "2")
	if code != 0 || !c.OK || c.Audit == nil || c.Audit.Dry.Bars != 3000 || len(c.Audit.Cuts) != 2 || len(c.Audit.Moves) != 2 ||
		c.Needs.WarmupBars != 200 || !c.Needs.BoundedExits || !c.Gate.Enabled || c.Model.Kind != "logistic" || c.Data.BarLengthSec != 300 || len(c.UnknownKeys) != 1 || len(c.Findings) != 1 {
		t.Errorf("exit code %d, %+v", code, c)
	}
	code, c = check(checkedPolicy+boundedExit, "--data", "synthetic:150")
	if code != 1 || c.OK || len(c.Errors) != 0 || len(c.Findings) == 0 {
		t.Errorf("all warm-up: exit code %d, %+v", code, c)
	}
	code, c = check("exit: {stop_bps: -1}\nentry: {p_side_min: 2}")
	if code != 1 || c.OK || len(c.Errors) != 3 || c.Errors[1].Line != 1 || c.Errors[1].Col != 18 || c.Errors[1].Key != "exit.stop_bps" || c.Errors[2].Line != 2 || c.Needs != nil {
		t.Errorf("errors: exit code %d, %+v", code, c)
	}
	code, c = check("model: {kind: logistic, long: {weights: {zap: 1}}, short: {bias: 1}}")
	if code != 1 || c.OK || len(c.Errors) != 1 || !strings.Contains(c.Errors[0].Msg, `"zap" is unknown`) {
		t.Errorf("unknown feature: exit code %d, %+v", code, c)
	}
}

// Policies with models of trees are checked and replayed as others are.
func TestPolicyCheckOfTrees(t *testing.T) {
	file, err := filepath.Abs(filepath.Join("..", "model", "testdata", "xgb_named.json"))
	if err != nil {
		t.Fatal(err)
	}
	const head = "timeframe: M5\nfeatures: [atr14, body_pct, ema20_slope, roc20, session_id, spread_bps]\n"
	code, stdout, stderr := policyChecks(t, head+"model: {kind: xgboost, paths: {EU: "+file+"}}\n"+boundedExit, nil, "--data", someBars, "--cuts", "2")
	if code != 0 || !strings.Contains(stdout, "model      xgboost, "+file) || !strings.Contains(stdout, "without signals: OVERLAP, US, ASIA") || !strings.Contains(stdout, "no feature and no signal before changed") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	code, _, stderr = policyChecks(t, "features: [roc20]\nmodel: {kind: xgboost, path: "+file+"}", nil)
	if code != 1 || !strings.Contains(stderr, "xgb_named.json") {
		t.Errorf("one feature for a model of six: exit code %d, %s", code, stderr)
	}
}

// The examples are fine.
func TestPolicyCheckOfTheExamples(t *testing.T) {
	examples, err := filepath.Glob(filepath.Join("..", "..", "examples", "policies", "*.yaml"))
	if err != nil || len(examples) < 3 {
		t.Fatal(examples, err)
	}
	for _, path := range examples {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if code, stdout, stderr := policyChecks(t, string(content), nil); code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", path, code, stdout, stderr)
		}
	}
}
