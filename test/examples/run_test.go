package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// place is a directory as a reader of the documents has it: the examples are
// in it, and both programs in its PATH.
type place struct {
	dir string
	env []string
}

func newPlace(t *testing.T) place {
	t.Helper()
	interpreter := python(t)
	bin, dir, runtimeDir := t.TempDir(), t.TempDir(), t.TempDir()
	install(t, bin)
	if err := os.Symlink(interpreter, filepath.Join(bin, "python3")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(runtimeDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	return place{dir, []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + dir, "TMPDIR=" + os.TempDir(), "XDG_RUNTIME_DIR=" + runtimeDir, "GX1R_WORKERS=2", "GX1R_LISTEN=127.0.0.1:0",
	}}
}

// run runs a script and returns its exit code and what it printed.
func (p place) run(t *testing.T, script string, env ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = p.dir, append(p.env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !exit.Exited() {
			t.Fatalf("%s\n%v\n%s%s", script, err, out.String(), errs.String())
		}
		return exit.ExitCode(), out.String(), errs.String()
	}
	return 0, out.String(), errs.String()
}

// stopped starts a coordinator run, sends it SIGTERM once a command of it has
// said something, and waits for its end, which must be a good one.
func (p place) stopped(t *testing.T, script, runID string, env ...string) {
	t.Helper()
	cmd, stdout, stderr := command(t, p.dir, append(append(p.env, env...), "GX1R_RUN_ID="+runID), "bash", "-c", "exec "+strings.TrimSpace(script))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	until(t, "a command of run "+runID+" says something", func() bool {
		select {
		case err := <-over:
			t.Fatalf("%s\nit has ended by itself: %v\n%s%s", script, err, stdout, stderr)
		default:
		}
		return p.spoke(runID)
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err != nil {
		t.Fatalf("%s\n%v\n%s%s\n%s", script, err, stdout, stderr, p.log())
	}
}

// spoke says whether some command of the run has reported, or written a log.
func (p place) spoke(runID string) bool {
	spoke := false
	_ = filepath.WalkDir(p.output(".gx1", runID, "work"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !slices.Contains([]string{"progress.jsonl", "stdout.log", "stderr.log"}, d.Name()) {
			return nil // what is not there yet is looked for again
		}
		info, err := d.Info()
		spoke = spoke || err == nil && info.Size() > 0
		return nil
	})
	return spoke
}

// must runs a script that must succeed.
func (p place) must(t *testing.T, script string, env ...string) (stdout string) {
	t.Helper()
	code, out, errs := p.run(t, script, env...)
	if code != 0 {
		t.Fatalf("%s\nexit code %d\n%s%s\n%s", script, code, out, errs, p.log())
	}
	return out
}

func (p place) output(name ...string) string {
	return filepath.Join(append([]string{p.dir, "reports", "replay_eval", "GATED"}, name...)...)
}

// log is the end of the newest run's log, for a test that has failed.
func (p place) log() string {
	files, err := filepath.Glob(p.output("*", "run.log"))
	if err != nil || len(files) == 0 {
		return ""
	}
	b, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// perf is what a test looks at of a perf JSON.
type perf struct {
	Outcome  string `json:"outcome"`
	Coverage struct {
		Planned  int64 `json:"planned_bars"`
		Replayed int64 `json:"replayed_bars"`
		Missing  int64 `json:"missing_bars"`
	} `json:"coverage"`
	TotalTrades int64 `json:"total_trades"`
	Trades      struct {
		File        string `json:"file"`
		WithoutRows int64  `json:"without_rows"`
	} `json:"trades"`
	BordersExact bool `json:"borders_exact"`
	Chunks       []struct {
		Status        string     `json:"status"`
		Error         string     `json:"error"`
		BarsProcessed int64      `json:"bars_processed"`
		PlannedBars   int64      `json:"planned_bars"`
		NModelCalls   int64      `json:"n_model_calls"`
		Checkpoints   [][5]int64 `json:"checkpoints"`
		PID           int64      `json:"pid"`
		Attempt       int64      `json:"attempt"`
	} `json:"chunks"`
}

func (p place) perf(t *testing.T, runID string) perf {
	t.Helper()
	var f perf
	decode(t, read(t, p.output("perf_"+runID+".json")), &f)
	return f
}

// complete checks a run's file: every bar was replayed, and its sums hold.
func (p place) complete(t *testing.T, runID string) perf {
	t.Helper()
	f := p.perf(t, runID)
	if f.Outcome != "complete" || f.Coverage.Missing != 0 || f.Coverage.Replayed != f.Coverage.Planned || f.Coverage.Planned < 1 {
		t.Errorf("run %s: outcome %s, coverage %+v", runID, f.Outcome, f.Coverage)
	}
	for i, c := range f.Chunks {
		if c.Status != "ok" || c.BarsProcessed != c.PlannedBars || c.Error != "" {
			t.Errorf("run %s: chunk %d is %+v", runID, i, c)
		}
	}
	p.must(t, "coordinator verify "+p.output("perf_"+runID+".json"))
	return f
}

// trades are the rows of the run's trades, and their header.
func (p place) trades(t *testing.T, runID string) (header string, rows []string) {
	t.Helper()
	lines := table(t, p.output(runID, "trades_"+runID+".csv"))
	return lines[0], lines[1:]
}

// commands are the command lines in the text at an example's top.
func commands(t *testing.T, name string) []string {
	t.Helper()
	text := read(t, example(t, name))
	if strings.HasSuffix(name, ".sh") {
		text = regexp.MustCompile(`(?m)^#`).ReplaceAllString(text, "")
	} else { // as Python reads its text
		text = strings.ReplaceAll(strings.SplitN(text, `"""`, 3)[1], `\\`, `\`)
	}
	list := regexp.MustCompile(`(?m)^ +coordinator (?:.*\\\n)*.*$`).FindAllString(text, -1)
	if len(list) == 0 {
		t.Fatalf("%s says not how it is run", name)
	}
	return list
}

// fewerBars makes a command of an example a small one.
var fewerBars = strings.NewReplacer("synthetic:20000", "synthetic:4000", "--chunks 64", "--chunks 8", "--chunks 8", "--chunks 4")

// Each example is run by the command line at its top.
func TestExamplesRun(t *testing.T) {
	p := newPlace(t)
	for _, name := range []string{"python/replay_protocol.py", "python/scores.py", "python/serve.py", "python/unaware.py", "shell/replay.sh"} {
		t.Run(name, func(t *testing.T) {
			if name != "python/scores.py" && name != "python/unaware.py" {
				testsize.All(t)
			}
			base := strings.NewReplacer(".", "_", "/", "_").Replace(name)
			runs := []perf{}
			for i, script := range commands(t, name) {
				runID := base + string(rune('a'+i))
				p.must(t, fewerBars.Replace(script), "GX1R_RUN_ID="+runID)
				runs = append(runs, p.complete(t, runID))
			}
			f := runs[0]
			_, rows := p.trades(t, base+"a")
			if len(rows) < 10 {
				t.Errorf("%d trades (want some)", len(rows))
			}
			if name != "python/unaware.py" && (int(f.TotalTrades) != len(rows) || f.Trades.WithoutRows != 0) {
				t.Errorf("total_trades %d, %d of them without rows, and the file has %d rows", f.TotalTrades, f.Trades.WithoutRows, len(rows))
			}
			switch name {
			case "python/unaware.py":
				for i, c := range f.Chunks {
					if n := len(c.Checkpoints); n < 1 || c.Checkpoints[n-1][0] != c.PlannedBars {
						t.Errorf("chunk %d: the progress that was seen is %v", i, c.Checkpoints)
					}
				}
			case "python/scores.py":
				if len(runs) != 2 {
					t.Fatalf("%d runs", len(runs))
				}
				if read(t, p.output(base+"a", "trades_"+base+"a.csv")) != read(t, p.output(base+"b", "trades_"+base+"b.csv")) {
					t.Error("the trades of the model in Python and of the same model built in differ")
				}
				if !f.BordersExact || f.TotalTrades != runs[1].TotalTrades {
					t.Errorf("borders_exact %t, %d trades (want true, %d)", f.BordersExact, f.TotalTrades, runs[1].TotalTrades)
				}
			case "python/serve.py":
				protocol := p.output("python_replay_protocol_pya", "trades_python_replay_protocol_pya.csv")
				if read(t, protocol) != read(t, p.output(base+"a", "trades_"+base+"a.csv")) {
					t.Error("its trades are not those of replay_protocol.py, which it serves")
				}
			}
		})
	}
}

// A run that is stopped has what was said, and goes on to the same trades.
func TestExamplesStopAndGoOn(t *testing.T) {
	testsize.All(t)
	p := newPlace(t)
	slow := map[string]string{
		"python/replay_protocol.py": "--param bar_ms=2", "python/unaware.py": "--bar-ms 2",
	}
	for name, cost := range slow {
		t.Run(name, func(t *testing.T) {
			script := strings.NewReplacer("synthetic:20000", "synthetic:2000", "--chunks 8", "--chunks 4").Replace(commands(t, name)[0])
			if strings.HasPrefix(cost, "--param") {
				script = strings.Replace(script, "--engine exec", "--engine exec "+cost, 1)
			} else {
				script += " " + cost
			}
			id := strings.NewReplacer(".", "_", "/", "_").Replace(name)
			p.stopped(t, script, id)
			f := p.perf(t, id)
			if f.Outcome != "stopped" || f.Coverage.Replayed < 1 || f.Coverage.Missing < 1 {
				t.Errorf("after the stop: outcome %s, coverage %+v", f.Outcome, f.Coverage)
			}
			p.must(t, "coordinator verify "+p.output("perf_"+id+".json"))
			p.must(t, script, "GX1R_RUN_ID="+id)
			p.complete(t, id)
			whole := id + "_whole"
			p.must(t, strings.NewReplacer("bar_ms=2", "bar_ms=0", "--bar-ms 2", "--bar-ms 0").Replace(script), "GX1R_RUN_ID="+whole)
			_, a := p.trades(t, id)
			_, b := p.trades(t, whole)
			if len(b) < 5 || strings.Join(a, "\n") != strings.Join(b, "\n") {
				t.Errorf("stopped and gone on: %d trades, in one go %d, and they differ", len(a), len(b))
			}
		})
	}
}

// `exec check` finds the border error that is there on purpose, and passes
// what has none.
func TestExecCheck(t *testing.T) {
	testsize.All(t)
	p := newPlace(t)
	if _, help, _ := p.run(t, "coordinator --help"); !regexp.MustCompile(`(?m)^  exec `).MatchString(help) {
		t.Skip("this version has no `coordinator exec check`")
	}
	script := commands(t, "python/border_error.py")[0]
	if code, out, errs := p.run(t, script); code != 1 || !strings.Contains(out+errs, "differ") {
		t.Errorf("border_error.py: exit code %d (want 1)\n%s%s", code, out, errs)
	}
	if code, out, errs := p.run(t, strings.Replace(script, "border_error", "replay_protocol", 1)); code != 0 {
		t.Errorf("replay_protocol.py: exit code %d (want 0)\n%s%s", code, out, errs)
	}
}

// The blocks `sh run` of docs/exec.md are run in order, in one directory.
func TestDocumentRuns(t *testing.T) {
	testsize.All(t)
	p := newPlace(t)
	blocks := regexp.MustCompile("(?ms)^```sh run\n(.*?)^```$").FindAllStringSubmatch(read(t, filepath.Join(root, "docs", "exec.md")), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d blocks (want three or more)", len(blocks))
	}
	for _, b := range blocks {
		p.must(t, strings.Replace(b[1], "--bars 20000", "--bars 4000", 1))
	}
	for _, id := range []string{"first", "python", "builtin", "serve"} {
		p.complete(t, id)
	}
	// A command that knows nothing of the program has metrics, a summary and a
	// curve, and its rows fit them.
	first := p.complete(t, "first")
	var m struct {
		NTrades  int64          `json:"n_trades"`
		TotalPnl *float64       `json:"total_pnl_bps"`
		MaxDD    *float64       `json:"max_dd"`
		MAE      *float64       `json:"mae_bps"`
		ByMonth  map[string]any `json:"by_month"`
	}
	if err := json.Unmarshal([]byte(read(t, p.output("first", "metrics_first.json"))), &m); err != nil {
		t.Fatal(err)
	}
	if m.NTrades == 0 || m.NTrades != first.TotalTrades || m.TotalPnl == nil || m.MaxDD == nil || m.MAE != nil || len(m.ByMonth) == 0 {
		t.Errorf("its metrics are %+v (the run has %d trades)", m, first.TotalTrades)
	}
	for name, want := range map[string]string{"summary_first.md": "| total pnl |", "equity_first.svg": "<path"} {
		if text := read(t, p.output("first", name)); !strings.Contains(text, want) {
			t.Errorf("%s does not hold %q:\n%s", name, want, text)
		}
	}
	p.must(t, "coordinator verify "+p.output("perf_first.json"))
	p.must(t, "coordinator chunk first 3 --output-dir "+p.output())
}
