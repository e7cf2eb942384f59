package execengine

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/policy"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
	"gx1replay/test/selfexec"
)

const guardArg = "exec-guard"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == guardArg {
		selfexec.Exit(process.GuardMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// shell is an engine that runs a script of sh.
func shell(t *testing.T, script string, change func(*Spec)) *Engine {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{
		Command: run.Command{Argv: []string{"sh", "-c", script}, Emits: run.EmitsTrades, SliceFormat: "csv", TSFormat: TSRFC3339},
		Grace:   5 * time.Second, Detect: ProgressAuto,
	}
	if change != nil {
		change(&spec)
	}
	e := &Engine{
		Spec: spec, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Inherited: os.Environ(),
		Guard: process.Spec{Path: exe, Args: []string{exe, guardArg}},
	}
	t.Cleanup(e.Close)
	return e
}

// chunk is the second of four chunks of 100 bars each.
func chunk(t *testing.T, e *Engine) Job {
	t.Helper()
	set := bars.Generate(400, 1)
	m := run.Manifest{
		Schema: run.Schema, RunID: "r1", Session: 1, Engine: footer.EngineExec, Command: e.Spec.Command,
		Plan: run.Plan{Bars: 400, Chunks: 4, Order: run.OrderTime}, Data: run.Data{Bars: 400, BarLength: 5 * time.Minute},
	}
	return Job{
		Manifest: m, Chunk: m.Plan.Chunk(1), Attempt: 1, Dir: t.TempDir(), Source: Memory{bars.Set{Bars: set}},
		Policy: policy.Policy{WarmupBars: 30}, PolicyContent: []byte("policy_name: t\n"),
		Grace: func(error) time.Duration { return e.Spec.Grace },
	}
}

func TestReplay(t *testing.T) {
	const ok = `printf '{"status":"ok","bars_processed":100,"n_trades_closed":2}' > "$GX1R_FOOTER_FILE"`
	cases := []struct {
		name   string
		script string
		change func(*Spec)
		want   string // of the error; empty: ok
		bars   int64
		status string // child_status
		trace  string
		check  func(t *testing.T, e *Engine, err error)
	}{
		{name: "a footer that says ok", script: ok, bars: 100, status: "ok"},
		{name: "its footer outranks its exit code", script: ok + "; exit 3", bars: 100, status: "ok"},
		{name: "no more bars than planned", script: `printf '{"status":"ok","bars_processed":500}' > "$GX1R_FOOTER_FILE"`, bars: 100, status: "ok"},
		{name: "no footer", script: "exit 0", want: "wrote no footer"},
		{name: "no footer, as asked for", script: "exit 0", change: func(s *Spec) { s.NoFooter = true }, bars: 100},
		{name: "a footer elsewhere", script: `mkdir x; printf '{"status":"ok"}' > x/1.json`, change: func(s *Spec) { s.Footer = "x/{chunk_idx}.json" }, bars: 100, status: "ok"},
		{name: "no footer, and no row in its trades", script: `: > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"`, bars: 100},
		{name: "no footer, and trades", script: `printf 'pnl_bps\n1\n' > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"`, bars: 100},
		{name: "no footer, and trades before the end", script: `printf 'pnl_bps\n1\n' > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"; echo '40/100'; exit 1`, want: "exit code 1", bars: 40},
		{name: "no footer, and progress up to the end", script: `echo 'GX1 {"bars_processed":100}'`, bars: 100},
		{name: "no footer, and progress that ends before", script: `echo 'GX1 {"bars_processed":99}'`, want: "99 of 100 bars", bars: 99},
		{name: "no footer where one was promised", script: `printf 'pnl_bps\n1\n' > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"`, change: func(s *Spec) { s.Footer = "{out_dir}/f.json" }, want: "the path of --exec-footer"},
		{name: "no scores where scores are asked for", script: `printf 'pnl_bps\n1\n' > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"`, change: func(s *Spec) { s.Command.Emits = run.EmitsScores }, want: "wrote no footer, no scores"},
		{name: "a footer that is broken", script: `printf '{"status":"ok"' > "$GX1R_FOOTER_FILE"`, want: "no JSON object: unexpected end"},
		{name: "a footer that is broken, and trades", script: `printf 'pnl_bps\n1\n' > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"; printf '{"status":ok}' > "$GX1R_FOOTER_FILE"`, want: "chunk_footer.json: report"},
		{name: "a footer that is broken, and an error", script: `printf 'ok' > "$GX1R_FOOTER_FILE"; exit 3`, want: "exit code 3, and the command's footer"},
		{name: "progress that is recognised", script: `printf ' 10%%|# | 10/100 [00:01<00:02, 35.2it/s]\r 20%%|# | 20/100 [00:01<00:02]\r' >&2; exit 1`, want: "exit code 1", bars: 20},
		{name: "progress that is recognised, with the slice's warm-up", script: `echo 'bar 65/130'; exit 1`, want: "exit code 1", bars: 35},
		{name: "progress of something else", script: `echo 'epoch 3/10'; exit 1`, want: "exit code 1"},
		{name: "progress that is not to be recognised", script: `echo '40/100'; exit 1`, change: func(s *Spec) { s.Detect = ProgressNone }, want: "exit code 1"},
		{name: "its own progress counts more than what is recognised", script: `echo 'GX1 {"bars_processed":5}'; sleep 0.05; echo '40/100'; exit 1`, want: "exit code 1", bars: 5},
		{name: "padding of its own, by tqdm", script: `printf ' 50%%|# | 100/200 [00:01<00:02]\r 80%%|# | 160/200 [00:01<00:02]\r' >&2; exit 1`, change: func(s *Spec) { s.Detect = ProgressTqdm }, want: "exit code 1", bars: 60},
		{name: "an error", script: "echo boom >&2; exit 1", want: "exit code 1", trace: "boom"},
		{name: "a status of its own", script: `printf '{"status":"error","error":"no model"}' > "$GX1R_FOOTER_FILE"`, want: `has status "error": no model`, status: "error"},
		{name: "to be tried again", script: "exit 75", want: "exit code 75"},
		{name: "in vain", script: "exit 64", want: "exit code 64", check: func(t *testing.T, _ *Engine, err error) {
			if !errors.Is(err, ErrExhausted) {
				t.Errorf("%v does not match ErrExhausted", err)
			}
		}},
		{name: "not executable", script: "exit 126", want: "126", check: setUp(126)},
		{name: "an import that fails", script: "echo \"ModuleNotFoundError: No module named 'x'\" >&2; exit 1", want: "before its first bar", check: setUp(78), trace: "ModuleNotFoundError"},
		{name: "an import that fails later", script: `echo '{"bars_processed":7}' >> "$GX1R_PROGRESS_FILE"; echo "ModuleNotFoundError: No module named 'x'" >&2; exit 1`, want: "exit code 1", bars: 7, trace: "Module"},
		{name: "killed by somebody", script: "kill -9 $$", want: "out of memory?"},
		{name: "by a signal", script: "kill -11 $$", want: "signal"},
		{name: "progress in a file", script: `echo '{"bars_processed":42,"n_model_calls":40}' >> "$GX1R_PROGRESS_FILE"; exit 1`, want: "exit code 1", bars: 42},
		{name: "progress in lines", script: `echo 'GX1 {"bars_processed":43}'; exit 1`, want: "exit code 1", bars: 43},
		{name: "progress in a footer", script: `printf '{"bars_processed":44}' > "$GX1R_FOOTER_FILE"; exit 1`, want: "exit code 1", bars: 44},
		{name: "no status in its footer", script: `printf '{"bars_processed":100}' > "$GX1R_FOOTER_FILE"`, want: "no status"},
		{name: "stopped, and nobody asked", script: `printf '{"status":"stopped","bars_processed":3}' > "$GX1R_FOOTER_FILE"; exit 1`, want: "without a request to stop", bars: 3, status: "stopped"},
		{name: "progress by a pattern", script: `printf '10/100\r20/100\r'; exit 1`, change: func(s *Spec) { s.Progress = pattern(`^(?P<bars>\d+)/`) }, want: "exit code 1", bars: 20},
		{name: "it hangs", script: "sleep 1000", change: func(s *Spec) { s.Stall = 200 * time.Millisecond }, want: "phase startup", check: func(t *testing.T, _ *Engine, err error) {
			if !errors.Is(err, ErrStalled) {
				t.Errorf("%v does not match ErrStalled", err)
			}
		}},
		{name: "it does not exist", change: func(s *Spec) { s.Command.Argv = []string{"no-such-command"} }, want: "no-such-command", check: setUp(127)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := shell(t, c.script, c.change)
			res, err := e.Replay(t.Context(), chunk(t, e), nil)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			f := res.Footer
			if f.BarsProcessed != c.bars || f.ChildStatus != c.status {
				t.Errorf("%d bars, child status %q, want %d, %q", f.BarsProcessed, f.ChildStatus, c.bars, c.status)
			}
			if !strings.Contains(res.Trace, c.trace) || c.trace == "" && err == nil && res.Trace != "" {
				t.Errorf("trace %q, want %q", res.Trace, c.trace)
			}
			if c.check != nil {
				c.check(t, e, err)
			}
		})
	}
}

func setUp(code int) func(*testing.T, *Engine, error) {
	return func(t *testing.T, _ *Engine, err error) {
		t.Helper()
		if broken := (*SetUpError)(nil); !errors.As(err, &broken) || broken.Code != code {
			t.Errorf("%v is no set-up error of code %d", err, code)
		}
	}
}

func pattern(expr string) *Pattern {
	p, err := NewPattern(expr)
	if err != nil {
		panic(err)
	}
	return p
}

var errStop = errors.New("the run is stopped")

func TestStop(t *testing.T) {
	const forever = `while :; do sleep 0.05; done`
	cases := []struct {
		name, script string
		grace        time.Duration
		want         string // empty: ok all the same
		bars         int64
	}{
		{name: "what it flushes last counts", grace: 5 * time.Second, want: errStop.Error(), bars: 50,
			script: `trap 'echo "GX1 {\"bars_processed\":50}"; exit 1' TERM; echo 'GX1 {"bars_processed":10}'; ` + forever},
		{name: "it claims the whole chunk", grace: 5 * time.Second, want: errStop.Error(), bars: 10,
			script: `trap 'printf "{\"status\":\"stopped\",\"total_bars\":100}" > "$GX1R_FOOTER_FILE"; exit 1' TERM; echo 'GX1 {"bars_processed":10}'; ` + forever},
		{name: "it does not listen", grace: 100 * time.Millisecond, want: errStop.Error(), bars: 10,
			script: `trap '' TERM; echo 'GX1 {"bars_processed":10}'; ` + forever},
		{name: "it was done", grace: 5 * time.Second, bars: 100,
			script: `trap 'printf "{\"status\":\"ok\",\"total_bars\":100}" > "$GX1R_FOOTER_FILE"; exit 0' TERM; echo 'GX1 {"bars_processed":10}'; ` + forever},
		{name: "by the stop file", grace: 5 * time.Second, want: errStop.Error(), bars: 60,
			script: `trap '' TERM; echo 'GX1 {"bars_processed":10}'; while ! [ -e "$GX1R_STOP_FILE" ]; do sleep 0.02; done; printf '{"status":"stopped","bars_processed":60}' > "$GX1R_FOOTER_FILE"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := shell(t, c.script, func(s *Spec) { s.Grace = c.grace })
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			if c.name == "by the stop file" {
				// Bars that only its footer tells are capped by its last
				// progress; here it has none but that.
				e.Spec.Command.Argv[2] = strings.Replace(e.Spec.Command.Argv[2], `echo 'GX1 {"bars_processed":10}'; `, `printf '{"bars_processed":10}' > "$GX1R_FOOTER_FILE"; `, 1)
			}
			res, err := e.Replay(ctx, chunk(t, e), func(f footer.Footer) {
				if f.BarsProcessed == 10 {
					stop(errStop)
				}
			})
			if c.want == "" && err != nil || c.want != "" && !errors.Is(err, errStop) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if res.Footer.BarsProcessed != c.bars {
				t.Errorf("%d bars, want %d", res.Footer.BarsProcessed, c.bars)
			}
		})
	}
}

// The task file, the environment and the arguments say the same.
func TestTask(t *testing.T) {
	e := shell(t, `cp "$GX1R_TASK_FILE" "$1"/copy.json; printf '%s %s %s' "$GX1_CHUNK_ID" "$2" "$3" > "$1"/said; printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, func(s *Spec) {
		s.Command.Argv = append(s.Command.Argv, "sh", "{out_dir}", "{start_ts}", "{param.x}")
		s.Command.TailBars = 20
		s.Command.Params = map[string]string{"x": "a b"}
	})
	job := chunk(t, e)
	if _, err := e.Replay(t.Context(), job, nil); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(job.Dir, layout.OutDir)
	said, err := os.ReadFile(filepath.Join(out, "said"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, "copy.json"))
	if err != nil {
		t.Fatal(err)
	}
	var task map[string]any
	if err := json.Unmarshal(text, &task); err != nil {
		t.Fatal(err)
	}
	if want := "1 " + task["start_ts"].(string) + " a b"; string(said) != want {
		t.Errorf("the command was told %q, want %q", said, want)
	}
	for name, want := range map[string]any{
		"first_bar": 100.0, "end_bar": 200.0, "planned_bars": 100.0, "warmup_bars": 30.0, "tail_bars": 20.0, "chunk_id": "1", "chunks_total": 4.0,
	} {
		if task[name] != want {
			t.Errorf("%s is %v, want %v", name, task[name], want)
		}
	}
	slice, err := os.ReadFile(task["slice"].(map[string]any)["path"].(string))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(slice)), "\n")
	if len(rows) != 1+30+100+20 {
		t.Fatalf("%d lines in the slice", len(rows))
	}
	if start, _, _ := strings.Cut(rows[1+30], ","); start != task["start_ts"] {
		t.Errorf("the first own row is %s, the task says %v", start, task["start_ts"])
	}
}

// One process serves chunk after chunk.
func TestServe(t *testing.T) {
	const script = `n=0
while read line; do
  case "$line" in
  *stop*) ;;
  *) n=$((n+1)); echo "GX1 {\"bars_processed\":$n}"; echo "GX1 {\"chunk_id\":1,\"final\":true,\"status\":\"ok\",\"bars_processed\":100,\"n_model_calls\":$n}";;
  esac
  [ $n = 3 ] && exit 1
done`
	e := shell(t, script, func(s *Spec) { s.Serve = true })
	calls := []int64{}
	for range 4 {
		res, err := e.Replay(t.Context(), chunk(t, e), nil)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, res.Footer.NModelCalls)
	}
	// It ends after its third chunk, and is started again for the fourth.
	if want := []int64{1, 2, 3, 1}; !slices.Equal(calls, want) {
		t.Errorf("served %v, want %v", calls, want)
	}
}

// Trades are counted by their rows where the command does not count them, and
// found beside a footer that has a place of its own.
func TestOwnTrades(t *testing.T) {
	const rows = `printf 'time,pnl_bps\n1,2\n2,3\n' > "$1/trades.csv"; `
	for name, c := range map[string]struct {
		script, footer, dir string
		want                int64
		pnl                 float64 // NaN: not reported
	}{
		"counted by us":        {rows + `printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, "", "{out_dir}", 2, 5},
		"counted by itself":    {rows + `printf '{"status":"ok","n_trades_closed":7,"pnl_bps":-1.5}' > "$GX1R_FOOTER_FILE"`, "", "{out_dir}", 7, -1.5},
		"beside its footer":    {`mkdir "$1"; ` + rows + `printf '{"status":"ok"}' > "$1/f.json"`, "{out_dir}/x/f.json", "{out_dir}/x", 2, 5},
		"none, and no footer":  {`printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, "", "{out_dir}", 0, math.NaN()},
		"a file without a row": {`printf 'pnl_bps\n' > "$1/trades.csv"; printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, "", "{out_dir}", 0, 0},
		"without that column":  {`printf 'pnl\n4\n' > "$1/trades.csv"; printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, "", "{out_dir}", 1, math.NaN()},
		"a trade without one":  {`printf 'n,pnl_bps\n1,4\n2,\n' > "$1/trades.csv"; printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, "", "{out_dir}", 2, math.NaN()},
		"no number":            {`printf 'n,pnl_bps\n1,inf\n2,1\n' > "$1/trades.csv"; printf '{"status":"ok"}' > "$GX1R_FOOTER_FILE"`, "", "{out_dir}", 2, math.NaN()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := shell(t, c.script, func(s *Spec) {
				s.Command.Argv = append(s.Command.Argv, "sh", c.dir)
				s.Footer = c.footer
			})
			res, err := e.Replay(t.Context(), chunk(t, e), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Footer.NTradesClosed; got != c.want {
				t.Errorf("%d trades (want %d)", got, c.want)
			}
			pnl := res.Footer.PnlBps
			if slices.Contains(res.Footer.Unreported, "pnl_bps") {
				pnl = math.NaN()
			}
			if pnl != c.pnl && !(math.IsNaN(pnl) && math.IsNaN(c.pnl)) {
				t.Errorf("pnl_bps %v (want %v)", pnl, c.pnl)
			}
		})
	}
}

// Trades of an attempt of which no bar counts do not count either, whether the
// command counts them or their file does. They stay in its output.
func TestTradesWithoutBarsDoNotCount(t *testing.T) {
	const rows = `printf 'time,pnl_bps\n1,2\n2,3\n' > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"; `
	for name, c := range map[string]struct {
		script string
		bars   int64
		want   int64
		pnl    float64
	}{
		"counted by us":           {rows + "exit 1", 0, 0, 0},
		"counted by itself":       {rows + `printf '{"status":"error","bars_processed":0,"n_trades_closed":7,"pnl_bps":9,"trades_open":1,"open_pnl_bps":3,"n_signals":8}' > "$GX1R_FOOTER_FILE"`, 0, 0, 0},
		"counted in its progress": {rows + `echo 'GX1 {"n_trades_closed":7,"pnl_bps":9}'; exit 1`, 0, 0, 0},
		"some bars count":         {rows + "echo '40/100'; exit 1", 40, 2, 5},
		"no file that is read":    {`printf 'a,b\n1\n' > "$(dirname "$GX1R_FOOTER_FILE")/trades.csv"; printf '{"status":"ok","n_trades_closed":7,"pnl_bps":9}' > "$GX1R_FOOTER_FILE"`, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := shell(t, c.script, nil)
			res, err := e.Replay(t.Context(), chunk(t, e), func(f footer.Footer) {
				if f.BarsProcessed == 0 && (f.NTradesClosed != 0 || f.PnlBps != 0) {
					t.Errorf("a report of 0 bars has %d trades, %v bps", f.NTradesClosed, f.PnlBps)
				}
			})
			if err == nil {
				t.Fatal("the attempt is ok")
			}
			f := res.Footer
			if f.BarsProcessed != c.bars || f.NTradesClosed != c.want || f.PnlBps != c.pnl || f.TradesOpen != 0 || f.OpenPnlBps != 0 || f.NSignals != 0 {
				t.Errorf("%d bars, %d trades of %d signals, %v bps, %d open, %v bps (want %d bars, %d trades, %v bps, no other)", f.BarsProcessed, f.NTradesClosed, f.NSignals, f.PnlBps, f.TradesOpen, f.OpenPnlBps, c.bars, c.want, c.pnl)
			}
			named := func(name string) bool {
				return slices.ContainsFunc(res.Artifacts, func(a Artifact) bool { return a.Name == name })
			}
			if named(trade.OwnTradesName) != (c.want > 0) || !named(layout.OutArchive) {
				t.Errorf("the rows are for the trades file: %v; they are in the output: %v", named(trade.OwnTradesName), named(layout.OutArchive))
			}
		})
	}
}
