package examples

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
)

// playedBars are enough for some trades of each example.
const playedBars = 2000

// cut plays all chunks of data and returns the rows that they left in a file,
// without headers.
func cut(t *testing.T, data []bars.Bar, chunks int, file string, argv func(player) []string) []string {
	t.Helper()
	var rows []string
	for idx := range chunks {
		first, end := idx*len(data)/chunks, (idx+1)*len(data)/chunks
		p := play(t, data, first, end, map[string]string{})
		p.run(t, argv(p)...)
		if f := p.footer(t); f.Status != "ok" || f.BarsProcessed != end-first {
			t.Errorf("chunk %d of %d: footer %+v (want ok, %d bars)", idx, chunks, f, end-first)
		}
		rows = append(rows, table(t, filepath.Join(p.out(), file))[1:]...)
	}
	return rows
}

func inPython(t *testing.T, name string) func(player) []string {
	argv := []string{python(t), example(t, "python/"+name)}
	return func(player) []string { return argv }
}

// The protocol's example has exact borders, and the one with an error has not.
func TestBorders(t *testing.T) {
	data := bars.Generate(playedBars, 1)
	for name, exact := range map[string]bool{"replay_protocol.py": true, "border_error.py": false} {
		whole := cut(t, data, 1, "trades.csv", inPython(t, name))
		if len(whole) < 10 {
			t.Fatalf("%s: %d trades (want some)", name, len(whole))
		}
		for _, chunks := range []int{2, 7} {
			same := strings.Join(cut(t, data, chunks, "trades.csv", inPython(t, name)), "\n") == strings.Join(whole, "\n")
			if same != exact {
				t.Errorf("%s in %d chunks: the same trades: %t (want %t)", name, chunks, same, exact)
			}
		}
	}
}

// The scores of the example are those of the policy's model, bit by bit, for
// any cut.
func TestScoresAreTheEngines(t *testing.T) {
	const path = root + "/examples/policies/scores.yaml"
	p, err := policy.Load(path, policy.Options{NeedModel: true, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	sessions := feature.NewSessionTable(p.Sessions)
	set, err := feature.New(p.Features, sessions)
	if err != nil {
		t.Fatal(err)
	}
	scorer := model.NewLogistic(*p.Model, p.Features)
	if p.WarmupBars != set.Warmup() || p.WarmupBars < set.Lookback() || p.WarmupBars > warmupBars {
		t.Errorf("warmup_bars is %d; the features need %d bars before the first value, and look back %d", p.WarmupBars, set.Warmup(), set.Lookback())
	}
	data := bars.Generate(playedBars, 1)
	for _, chunks := range []int{1, 3} {
		rows := cut(t, data, chunks, "scores.csv", inPython(t, "scores.py"))
		if len(rows) != len(data) {
			t.Fatalf("%d rows for %d bars", len(rows), len(data))
		}
		if set, err = feature.New(p.Features, sessions); err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for i, b := range data {
			set.Push(b)
			long, short := "nan", "nan"
			if set.Ready() {
				l, s := scorer.Score(set.Values())
				long, short = text(model.Sigmoid(l)), text(model.Sigmoid(s))
			}
			if cells := strings.Split(rows[i], ","); len(cells) != 3 || number(t, cells[1]) != long || number(t, cells[2]) != short {
				if wrong++; wrong <= 3 {
					t.Errorf("%d chunks, bar %d: %s (want %s, %s)", chunks, i, rows[i], long, short)
				}
			}
		}
	}
}

// A stop ends each example that heeds one in order: what it left fits what it
// said.
func TestPlayedStop(t *testing.T) {
	data := bars.Generate(playedBars, 1)
	sh := func(p player) []string {
		return []string{"sh", example(t, "shell/replay.sh"), p.slice(), stamp(data[p.first]), stamp(data[p.end-1]), p.out()}
	}
	for name, argv := range map[string]func(player) []string{
		"replay_protocol.py": inPython(t, "replay_protocol.py"), "scores.py": inPython(t, "scores.py"), "replay.sh": sh,
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, data, 500, 1500, map[string]string{"bar_ms": "2"})
			line := argv(p)
			if name == "replay.sh" { // it takes no time, so the stop comes first
				write(t, p.stopFile(), "")
			}
			cmd, stdout, stderr := command(t, p.dir, p.env(), line...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if name != "replay.sh" {
				until(t, "it reports bars", func() bool { l := p.progress(t); return len(l) > 0 && l[len(l)-1].BarsProcessed > 10 })
				if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s%s", err, stdout, stderr)
			}
			f := p.footer(t)
			if f.Status != "stopped" || f.BarsProcessed >= 1000 {
				t.Errorf("the footer is %+v", f)
			}
			file, want := "trades.csv", f.NTradesClosed
			if name == "scores.py" {
				file, want = "scores.csv", f.BarsProcessed
			}
			if rows := len(table(t, filepath.Join(p.out(), file))) - 1; rows != want {
				t.Errorf("%s has %d rows, the footer says %d", file, rows, want)
			}
		})
	}
}

// The shell's example knows its own bars, and is as exact.
func TestPlayedShell(t *testing.T) {
	data := bars.Generate(playedBars, 1)
	argv := func(p player) []string {
		return []string{"sh", example(t, "shell/replay.sh"), p.slice(), stamp(data[p.first]), stamp(data[p.end-1]), p.out()}
	}
	whole := cut(t, data, 1, "trades.csv", argv)
	if got := cut(t, data, 7, "trades.csv", argv); len(whole) < 10 || strings.Join(got, "\n") != strings.Join(whole, "\n") {
		t.Errorf("%d trades in 7 chunks, %d in one", len(got), len(whole))
	}
	p := play(t, data, 300, 800, nil)
	lines := said(t, p.run(t, argv(p)...))
	if len(lines) != 5 || lines[4].BarsProcessed != 400 {
		t.Errorf("progress %+v (want each 100 bars)", lines)
	}
}

// The unaware one ends its progress bar at its own bars.
func TestPlayedUnaware(t *testing.T) {
	data := bars.Generate(playedBars, 1)
	p := play(t, data, 300, 820, nil)
	out := p.run(t, python(t), example(t, "python/unaware.py"), "--start", stamp(data[300]), "--end", stamp(data[819]), "--data", p.slice(), "--out", p.out())
	if !strings.Contains(out, "\rreplayed 50/520 bars\rreplayed 100/520 bars") || !strings.Contains(out, "\rreplayed 520/520 bars\n") {
		t.Errorf("it printed %q", out)
	}
	if rows := table(t, filepath.Join(p.out(), "trades.csv")); len(rows) < 3 {
		t.Errorf("%d rows", len(rows))
	}
	if _, err := os.Stat(p.footerFile()); err == nil {
		t.Error("it left a footer")
	}
}
