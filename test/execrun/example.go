//go:build linux

package execrun

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"gx1replay/test/drive"
)

// Example is one of the product's examples of a command.
type Example struct {
	Name   string
	shadow string   // how testdata/shadow.py sees its bars
	script string   // below examples
	args   []string // behind the script
	flags  []string // of the run
	policy string   // below examples
	// Behind is how many bars it may have counted and not said when a stop
	// ends it.
	Behind int64
}

// helper is the module that the examples in Python use, below examples.
const helper = "python/gx1replay.py"

// Examples lists them all.
func Examples() []Example {
	own := []string{"--exec-tail-bars", "48", "--exec-digest", helper}
	return []Example{
		{Name: "protocol", shadow: "progress", script: "python/replay_protocol.py", flags: own, policy: "python/policy.yaml"},
		{
			Name: "scores", shadow: "progress", script: "python/scores.py", policy: "policies/scores.yaml",
			flags: []string{"--exec-emits", "scores", "--exec-digest", helper},
		},
		{Name: "serve", shadow: "serve", script: "python/serve.py", flags: append([]string{"--exec-serve"}, own...), policy: "python/policy.yaml"},
		{
			Name: "unaware", shadow: "sleep", script: "python/unaware.py", policy: "python/policy.yaml",
			args: []string{"--start", "{start_ts}", "--end", "{end_ts}", "--data", "{slice}", "--out", "{out_dir}", "--bar-ms", "{param.bar_ms}"},
			// It says each fiftieth, and dies of the stop.
			Behind: 50,
		},
		{
			Name: "shell", shadow: "shell", script: "shell/replay.sh", policy: "python/policy.yaml",
			args: []string{"{slice}", "{start_ts}", "{end_ts}", "{out_dir}"},
		},
	}
}

// Find is the example of that name.
func Find(name string) (Example, error) {
	for _, e := range Examples() {
		if e.Name == name {
			return e, nil
		}
	}
	return Example{}, fmt.Errorf("no example is called %q", name)
}

// Plan is how an example is run.
type Plan struct {
	Binary, Dir, RunID    string
	Python                string // see Python
	Workers, Chunks, Bars int
	BarMS                 float64 // what a bar costs, in milliseconds
	Args, Env             []string
	Runtime               string
	// Examples is the directory of the examples; empty: the module's.
	Examples string
}

// Config is what starts a run of e.
func (e Example) Config(p Plan) (drive.Config, error) {
	root, err := drive.Root()
	if err != nil {
		return drive.Config{}, err
	}
	if p.Examples == "" {
		p.Examples = filepath.Join(root, "examples")
	}
	args := []string{"--exec-dir", p.Examples, "--slice-format", "csv", "--param", "bar_ms=" + strconv.FormatFloat(p.BarMS, 'f', -1, 64)}
	args = append(args, e.flags...)
	argv := append([]string{p.Python, filepath.Join(root, "test", "execrun", "testdata", "shadow.py"), e.shadow, e.script}, e.args...)
	return p.config(filepath.Join(p.Examples, e.policy), args, argv)
}

// Python is the interpreter that python3 comes to: what is in PATH may be a
// script that costs more than an example.
func Python(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return "", fmt.Errorf("finding python3: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// config is what starts a run of any command. The command's processes carry
// the run's mark, by which they are found.
func (p Plan) config(policy string, args, argv []string) (drive.Config, error) {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return drive.Config{}, fmt.Errorf("making the run's directory: %w", err)
	}
	all := []string{"--engine", "exec", "--exec-env", "GX1TEST_*", "--workers", strconv.Itoa(p.Workers), "--chunks", strconv.Itoa(p.Chunks)}
	all = append(append(append(all, args...), p.Args...), "--")
	return drive.Config{
		Binary: p.Binary, Dir: p.Dir, RunID: p.RunID, Policy: policy, Bars: p.Bars, Runtime: p.Runtime, Args: append(all, argv...), Env: p.Env,
	}, nil
}
