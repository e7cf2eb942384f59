package examples

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/bars"
)

// script writes a Python program that has the helper at hand.
func script(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "script.py")
	write(t, path, fmt.Sprintf("import sys\nsys.path.insert(0, %q)\nimport gx1replay\n", example(t, "python"))+text)
	return path
}

func chunk(t *testing.T) player {
	t.Helper()
	return play(t, bars.Generate(300, 1), 100, 200, map[string]string{"bar_ms": "0"})
}

// Few reports are written, the last one always, and before the footer: on a
// stop the worker believes the footer no more than the progress.
func TestHelperProgress(t *testing.T) {
	p := chunk(t)
	p.run(t, python(t), script(t, p.dir, `
for n in range(1, 100001):
    gx1replay.progress(n, n_model_calls=2 * n)
gx1replay.progress(100002, phase="replay")
gx1replay.finish("ok", n_trades_closed=7)
`))
	lines := p.progress(t)
	last := lines[len(lines)-1]
	if len(lines) > 50 || last.BarsProcessed != 100002 || last.NModelCalls != 200000 || last.Phase != "replay" {
		t.Errorf("%d lines of progress (want a few), the last %+v", len(lines), last)
	}
	if f := p.footer(t); f.Status != "ok" || f.BarsProcessed != 100002 || f.NTradesClosed != 7 || f.NModelCalls != 200000 {
		t.Errorf("the footer is %+v", f)
	}
	if _, err := os.Stat(p.footerFile() + ".tmp"); err == nil {
		t.Error("the file written aside is left")
	}
}

// What was reported before an exception is not lost.
func TestHelperProgressOfACrash(t *testing.T) {
	p := chunk(t)
	cmd, _, stderr := command(t, p.dir, p.env(), python(t), script(t, p.dir, `
for n in range(1, 60):
    gx1replay.progress(n)
raise ValueError("no such column")
`))
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "no such column") {
		t.Errorf("error %v, standard error %q", err, stderr)
	}
	lines := p.progress(t)
	if len(lines) == 0 || lines[len(lines)-1].BarsProcessed != 59 {
		t.Errorf("progress %+v (want 59 bars at last)", lines)
	}
	if _, err := os.Stat(p.footerFile()); err == nil {
		t.Error("there is a footer")
	}
}

// Numbers that json does not know: numpy's have item(); others become text.
func TestHelperForeignNumbers(t *testing.T) {
	p := chunk(t)
	p.run(t, python(t), script(t, p.dir, `
class Int64:
    def item(self):
        return 41
gx1replay.finish("ok", bars_processed=Int64(), pnl_bps=1.5, note=object)
`))
	if f := p.footer(t); f.BarsProcessed != 41 || f.PnlBps != 1.5 {
		t.Errorf("the footer is %+v", f)
	}
}

const untilStopped = `
import time
gx1replay.install()
n = 0
status = "ok"
while True:
    if gx1replay.stop_requested():
        status = "stopped"
        break
    n += 1
    time.sleep(0.001)
    gx1replay.progress(n)
gx1replay.finish(status)
`

// A stop is heard by its file, and by SIGTERM.
func TestHelperStop(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, p player, pid int) error{
		"file":    func(t *testing.T, p player, _ int) error { return os.WriteFile(p.stopFile(), nil, 0o644) },
		"SIGTERM": func(_ *testing.T, _ player, pid int) error { return syscall.Kill(pid, syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			p := chunk(t)
			cmd, stdout, stderr := command(t, p.dir, p.env(), python(t), script(t, p.dir, untilStopped))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			until(t, "it reports bars", func() bool { return len(p.progress(t)) > 0 })
			if err := stop(t, p, cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s%s", err, stdout, stderr)
			}
			lines, f := p.progress(t), p.footer(t)
			if f.Status != "stopped" || f.BarsProcessed < 1 || f.BarsProcessed != lines[len(lines)-1].BarsProcessed {
				t.Errorf("the footer is %+v, the last progress %+v", f, lines[len(lines)-1])
			}
		})
	}
}

// A pool's processes, made by fork, die of SIGTERM as they always did.
func TestHelperForks(t *testing.T) {
	p := chunk(t)
	out := p.run(t, python(t), script(t, p.dir, `
import os, signal, time
gx1replay.install()
ready, up = os.pipe()
child = os.fork()
if child == 0:
    os.write(up, b"!")
    for _ in range(10000):
        time.sleep(0.01)
    os._exit(0)
os.read(ready, 1)
os.kill(child, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(child, 0)[1]), gx1replay.stop_requested())
`))
	if out != "15 False\n" {
		t.Errorf("%q (want the child dead of signal 15, and no stop here)", out)
	}
}

// By hand, without an environment, everything works, and is printed.
func TestHelperByHand(t *testing.T) {
	p := chunk(t)
	cmd, stdout, stderr := command(t, p.dir, []string{"PATH=" + os.Getenv("PATH")}, python(t), script(t, p.dir, `
gx1replay.install()
task = gx1replay.task(slice={"path": "bars.csv", "first_own_row": 0}, out_dir=".")
assert task.slice.path == task["slice"]["path"] == "bars.csv" and task.get("run_id") is None
try:
    task.run_id
except AttributeError as e:
    print(e)
assert not gx1replay.stop_requested()
gx1replay.progress(1)
gx1replay.progress(2)
gx1replay.finish(bars_processed=3)
`))
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	lines := said(t, stdout.String())
	if !strings.HasPrefix(stdout.String(), "the task has no 'run_id'\n") || len(lines) != 3 || lines[2].BarsProcessed != 3 || lines[2].Status != "ok" || !lines[2].Final {
		t.Errorf("it printed %s", stdout)
	}
	if files, err := os.ReadDir(p.out()); err != nil || len(files) != 0 {
		t.Errorf("it left %v, %v", files, err)
	}
}

// server is a process in serve mode.
type server struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

func (s server) say(t *testing.T, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(s.in, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
}

// final reads up to the last line on a chunk.
func (s server) final(t *testing.T) report {
	t.Helper()
	for s.out.Scan() {
		for _, r := range said(t, s.out.Text()+"\n") {
			if r.Final {
				return r
			}
		}
	}
	t.Fatal("the process has ended, without a last line")
	return report{}
}

// serving starts a serving script; wait waits for its end.
func serving(t *testing.T, dir, script string) (s server, pid int, wait func() (stderr string, err error)) {
	t.Helper()
	cmd, _, stderr := command(t, dir, []string{"PATH=" + os.Getenv("PATH"), "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"}, python(t), script)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return server{in, bufio.NewScanner(out)}, cmd.Process.Pid, func() (string, error) {
		err := cmd.Wait()
		return stderr.String(), err
	}
}

const handlers = `
def handle(task):
    what = task.params.what
    if what == "raise":
        gx1replay.progress(1)
        raise ValueError("a bad chunk")
    if what == "wait":
        n = 0
        while not gx1replay.stop_requested():
            n += 1
            gx1replay.progress(n)
        return
    print("a line without an end", end="")
    gx1replay.finish("ok", bars_processed=task.planned_bars)
gx1replay.serve(handle)
`

// One process: a chunk that fails, one that is stopped by its id, one by its
// file, and one that is fine. A word about another chunk stops nothing.
func TestHelperServe(t *testing.T) {
	dir := t.TempDir()
	s, _, wait := serving(t, dir, script(t, dir, handlers))
	task := func(what string) player {
		return play(t, bars.Generate(300, 1), 100, 200, map[string]string{"what": what})
	}

	p := task("raise")
	s.say(t, `{"task": %q}`, p.task())
	if r := s.final(t); r.ChunkID != "3" || r.Status != "failed" || !strings.Contains(r.Error, "a bad chunk") || !strings.Contains(r.Trace, "in handle") {
		t.Errorf("a handler that raised: %+v", r)
	}
	if f := p.footer(t); f.Status != "failed" || f.BarsProcessed != 1 {
		t.Errorf("its footer: %+v", f)
	}

	p = task("wait")
	s.say(t, `{"task": %q}`, p.task())
	until(t, "it reports bars", func() bool { return len(p.progress(t)) > 0 })
	s.say(t, `{"stop": "2"}`)
	n := len(p.progress(t))
	until(t, "it goes on", func() bool { return len(p.progress(t)) > n })
	s.say(t, `{"stop": "3"}`)
	if r := s.final(t); r.ChunkID != "3" || r.Status != "stopped" || r.BarsProcessed < 1 {
		t.Errorf("stopped by its id: %+v", r)
	}

	p = task("wait")
	s.say(t, `{"task": %q}`, p.task())
	until(t, "it reports bars", func() bool { return len(p.progress(t)) > 0 })
	write(t, p.stopFile(), "")
	if r := s.final(t); r.Status != "stopped" {
		t.Errorf("stopped by its file: %+v", r)
	}

	p, q := task("fine"), task("fine")
	s.say(t, "{\"task\": %q}\n{\"task\": %q}", p.task(), q.task())
	if err := s.in.Close(); err != nil { // what was asked for is done all the same
		t.Fatal(err)
	}
	for _, p := range []player{p, q} {
		if r, f := s.final(t), p.footer(t); r.Status != "ok" || r.BarsProcessed != 100 || f.Status != "ok" {
			t.Errorf("a chunk that is fine: %+v, footer %+v", r, f)
		}
	}
	if stderr, err := wait(); err != nil || !strings.Contains(stderr, "a bad chunk") {
		t.Errorf("it ended with %v, standard error %q", err, stderr)
	}
}

// SIGTERM ends a process that waits for a chunk, and stops one at work.
func TestHelperServeTerminated(t *testing.T) {
	for _, working := range []bool{false, true} {
		dir := t.TempDir()
		s, pid, wait := serving(t, dir, script(t, dir, "print('GX1 {\"final\": true}', flush=True)\nimport time"+strings.Replace(handlers, "gx1replay.serve", "gx1replay.install()\ngx1replay.serve", 1)))
		s.final(t) // it has begun
		p := play(t, bars.Generate(300, 1), 100, 200, map[string]string{"what": "wait"})
		if working {
			s.say(t, `{"task": %q}`, p.task())
			until(t, "it reports bars", func() bool { return len(p.progress(t)) > 0 })
		} else {
			q := play(t, bars.Generate(300, 1), 100, 200, map[string]string{"what": "fine"})
			s.say(t, `{"task": %q}`, q.task())
			s.final(t)
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if working {
			if r := s.final(t); r.Status != "stopped" {
				t.Errorf("the chunk at work: %+v", r)
			}
		}
		if stderr, err := wait(); err != nil {
			t.Errorf("working %t: it ended with %v\n%s", working, err, stderr)
		}
	}
}

// The helper has no import that an older Python lacks, and all examples are
// programs.
func TestExamplesCompile(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "examples", "python", "*.py"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%v, %v (want six or more examples)", files, err)
	}
	dir := t.TempDir()
	for _, path := range files {
		text := read(t, path)
		cmd, out, errs := command(t, dir, nil, python(t), "-c", "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))")
		cmd.Stdin = strings.NewReader(text)
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v\n%s%s", path, err, out, errs)
		}
		if lines := strings.Split(text, "\n"); slices.ContainsFunc(lines, func(l string) bool { return len(l) > 120 }) {
			t.Errorf("%s has a line of more than 120 characters", path)
		}
	}
}
