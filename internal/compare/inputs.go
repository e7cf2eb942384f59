package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// ErrRefused: two runs cannot be compared at all.
var ErrRefused = errors.New("the runs cannot be compared")

// Setting is one input that differs between two runs. A or B is empty where the
// run does not have it.
type Setting struct {
	Key string `json:"key"`
	A   string `json:"a"`
	B   string `json:"b"`
}

// refuse says what keeps runs from being compared at all.
func refuse(a, b *Run) error {
	x, y := a.File.Report.Data, b.File.Report.Data
	for _, r := range []*Run{a, b} {
		if r.File.Report.Data.SHA256 == "" {
			return fmt.Errorf("%w: run %s does not name its data (data.sha256 is empty)", ErrRefused, r.id())
		}
	}
	if x.SHA256 != y.SHA256 {
		return fmt.Errorf("%w: the data differ: data.sha256 is %s (%d bars of %q) in %s, %s (%d bars of %q) in %s",
			ErrRefused, digest(x.SHA256), x.Bars, x.Source, a.id(), digest(y.SHA256), y.Bars, y.Source, b.id())
	}
	return nil
}

// gateKey is where a policy holds its gate.
const gateKey = "replay_config.replay_pregate"

// settings lists the inputs that differ, in order of their keys.
func settings(a, b perf.File) []Setting {
	x, y := inputs(a), inputs(b)
	var list []Setting
	for _, key := range slices.Sorted(maps.Keys(merge(x, y))) {
		if x[key] != y[key] {
			list = append(list, Setting{key, x[key], y[key]})
		}
	}
	return list
}

func merge(x, y map[string]string) map[string]string {
	all := maps.Clone(x)
	maps.Copy(all, y)
	return all
}

// inputs is all that a run's results depend on, flat: policy values by their keys
// in the policy file, then models, command, engine and period.
func inputs(f perf.File) map[string]string {
	r, all := f.Report, map[string]string{}
	flatten(all, "", r.PolicyValues)
	delete(all, "policy_name") // a name, and no rule
	all[gateKey+".enabled"] = strconv.FormatBool(r.PregateEnabled)
	if len(r.PolicyValues) == 0 {
		all["policy.sha256_without_gate"] = r.Policy.SHA256WithoutGate
	}
	add := func(key, value string) {
		if value != "" && value != "0" && value != "0s" {
			all[key] = value
		}
	}
	add("model.latency", r.Model.Latency.String())
	for name, sha := range r.Model.Digests {
		add("model.files."+name, sha)
	}
	if !r.Command.IsZero() {
		c, err := json.Marshal(r.Command)
		if err == nil {
			flatten(all, "command", c)
		}
		delete(all, "command.flags") // how local workers run it
	}
	add("fill", r.Fill)
	add("engine", r.Env.Engine)
	add("engine_version", strconv.Itoa(run.EngineOf(r.EngineVersion)))
	add("program", strings.Join(builds(r), " "))
	add("data.before_bars", strconv.FormatInt(r.Data.BeforeBars, 10))
	return all
}

// builds are the builds of the program that replayed the run.
func builds(r perf.Report) []string {
	if len(r.WorkerBuilds) > 0 {
		return r.WorkerBuilds
	}
	return []string{r.Env.ModuleVersion + " " + r.Env.GitCommit}
}

// flatten adds the values of a JSON document by their paths. Lists are values.
func flatten(all map[string]string, prefix string, doc json.RawMessage) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(doc, &object); err != nil || object == nil {
		if text := strings.TrimSpace(string(doc)); text != "" && text != "null" {
			all[prefix] = plainValue(doc)
		}
		return
	}
	for key, value := range object {
		if prefix != "" {
			key = prefix + "." + key
		}
		flatten(all, key, value)
	}
}

func plainValue(doc json.RawMessage) string {
	var text string
	if json.Unmarshal(doc, &text) == nil {
		return text
	}
	var b bytes.Buffer
	if json.Compact(&b, doc) != nil {
		return string(doc)
	}
	return b.String()
}

// Unexpected are the differences that keys do not name: a key names itself and
// all below it.
func Unexpected(list []Setting, keys []string) []Setting {
	return slices.DeleteFunc(slices.Clone(list), func(s Setting) bool {
		return slices.ContainsFunc(keys, func(key string) bool {
			return s.Key == key || strings.HasPrefix(s.Key, key+".")
		})
	})
}

// gateOnly reports whether nothing but the gate differs.
func gateOnly(list []Setting) bool { return len(Unexpected(list, []string{gateKey})) == 0 }
