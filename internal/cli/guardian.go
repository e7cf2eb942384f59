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

// guardianVerb is the hidden verb of the process that exports if its coordinator
// dies. It is looked for before anything else is set up: the guardian waits as long
// as the run takes, and must cost little.
const guardianVerb = "guardian"

// guard is the life of a guardian; args are run_id, output directory and fallback
// directory.
func (p Program) guard(ctx context.Context, args []string) int {
	pipe, ok := process.InheritedLifeline(p.Getenv)
	if !ok || len(args) != 3 {
		return exitUsage
	}
	// It ends only with its coordinator: a stop of its process group or session is
	// meant for the coordinator.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	id, err := run.ParseID(args[0])
	if err != nil {
		return exitUsage
	}
	target := layout.Run{RunID: id, Dir: args[1], FallbackDir: args[2]}
	// Standard error ends at the coordinator, which is gone when there is something
	// to log.
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
		Alive: process.Alive,
		Kill:  func(pgid int) { _ = syscall.Kill(-pgid, syscall.SIGKILL) }, // gone already is fine
	})
	if err != nil {
		log.Error("recovering the run of a dead coordinator failed", "error", err)
		return exitFailed
	}
	return exitOK
}

func guardianSpec(exe string, t layout.Run) process.Spec {
	return process.Spec{
		Path: exe, Args: []string{exe, guardianVerb, string(t.RunID), t.Dir, t.FallbackDir},
		Env: append(localEnv(os.Environ()), "GOMAXPROCS=1"),
	}
}
