package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// guardianVerb is the hidden verb of the process that exports if its
// coordinator vanishes. It is found before anything else is set up: it waits
// for as long as the run takes, and shall cost next to nothing meanwhile.
const guardianVerb = "guardian"

// guard is the life of a guardian; args are the run_id, the output directory
// and the fallback directory.
func (p Program) guard(ctx context.Context, args []string) int {
	pipe, ok := process.InheritedLifeline(p.Getenv)
	if !ok || len(args) != 3 {
		return exitUsage
	}
	// It ends when its coordinator does, and by nothing else: whoever stops
	// the run by its process group or session means the coordinator.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	id, err := run.ParseID(args[0])
	if err != nil {
		return exitUsage
	}
	target := layout.Run{RunID: id, Dir: args[1], FallbackDir: args[2]}
	// Standard error ends at the coordinator, who will not be there to read
	// when there is something to say.
	var w io.Writer = p.Stderr
	if f, _, err := openLog(target); err == nil {
		defer f.Close()
		w = f
	}
	log := logTo(w, slog.LevelInfo).With("run_id", id, "part", "guardian")
	process.ReleaseProgram()
	err = export.Guard(ctx, export.GuardConfig{
		Target: target, Pipe: pipe, Config: p.Hooks.Export, Logger: log,
		Woken: func() { runtime.GOMAXPROCS(runtime.NumCPU()) },
		Alive: func(pid int, start string) bool {
			now, err := process.StartTime(pid)
			return err == nil && now == start
		},
		Kill: func(pgid int) { _ = syscall.Kill(-pgid, syscall.SIGKILL) }, // gone already is fine
	})
	if err != nil {
		log.Error("recovering the run of a dead coordinator failed", "error", err)
		return exitFailed
	}
	return exitOK
}

// guardianSpec starts this program as a guardian.
func guardianSpec(exe string, t layout.Run) process.Spec {
	return process.Spec{
		Path: exe, Args: []string{exe, guardianVerb, string(t.RunID), t.Dir, t.FallbackDir},
		Env: append(localEnv(os.Environ()), "GOMAXPROCS=1"),
	}
}
