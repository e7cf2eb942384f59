//go:build linux

package ends

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// Way is a way in which systems end a run: a row of docs/ends.md.
type Way struct {
	Name string // the row's first cell
	// Start, if not nil, changes how the run is started.
	Start func(*Plan)
	// End delivers what the system delivers. It begins when the run has
	// printed its run_id, at the earliest.
	End func(context.Context, *Run) error
	// Source, Mode and Code are what the row says: stop.source, the sources
	// joined by " or " where there are two; export_mode; and the exit code that
	// the caller sees.
	Source, Mode string
	Code         int
	// Hasty says that commands do not have their grace.
	Hasty bool
	// NoFile says that nothing is left to write the file.
	NoFile bool
}

// Sources lists the stops that the file may name.
func (w Way) Sources() []string {
	if w.Source == "" {
		return nil
	}
	return strings.Split(w.Source, " or ")
}

// Killed reports whether the coordinator is killed.
func (w Way) Killed() bool { return w.Code == killed }

// killed is the exit code of a process that SIGKILL ended, as a shell says it.
const killed = 128 + int(syscall.SIGKILL)

const (
	watchdog  = "watchdog_sigterm"
	subject   = "stop_subject"
	timeBox   = "timeout"
	recovered = "recovered"
)

// Ways lists them all: the tables "Stops" and "Kills".
func Ways() []Way {
	return append(append(append(signals(), terminals()...), messages()...), kills()...)
}

// signals are sent by systems that end processes in order.
func signals() []Way {
	return []Way{
		{Name: "`kill PID`", End: to(syscall.SIGTERM), Source: "sigterm", Mode: watchdog},
		{Name: "`kill -INT PID`", End: to(syscall.SIGINT), Source: "sigint", Mode: watchdog},
		{Name: "`kill -HUP PID`", End: to(syscall.SIGHUP), Source: "sighup", Mode: watchdog},
		{Name: "`kill -QUIT PID`", End: to(syscall.SIGQUIT), Source: "sigquit", Mode: watchdog},
		{
			Name: "`kill PID`, and again more than a second later", Source: "sigterm", Mode: watchdog, Hasty: true,
			Start: func(p *Plan) { p.Flush = 5 * time.Second }, // longer than the first signal is the only one
			End: func(ctx context.Context, r *Run) error {
				for range 2 { // each of them delivered several times, which is one stop
					for range 5 {
						if err := r.Signal(syscall.SIGTERM); err != nil {
							return err
						}
					}
					pause(ctx, 1500*time.Millisecond)
				}
				return nil
			},
		},
		{
			Name: "`docker stop`, a Kubernetes pod that ends", Source: "sigterm", Mode: watchdog, Start: container(),
			End: func(_ context.Context, r *Run) error { return kill(r.PID, syscall.SIGTERM) },
		},
		{
			Name: "the same with an init: `docker run --init`", Source: "sigterm", Mode: watchdog, Start: container("sh", "-c", initScript, "sh"),
			End: func(_ context.Context, r *Run) error { return kill(r.PID, syscall.SIGTERM) },
		},
		{
			Name: "systemd, `KillMode=mixed`", Source: "sigterm", Mode: watchdog,
			End: func(ctx context.Context, r *Run) error {
				if err := r.Signal(syscall.SIGTERM); err != nil {
					return err
				}
				if _, err := r.Ended(ctx); err != nil {
					return err
				}
				return r.SignalAll(syscall.SIGKILL) // whatever is left
			},
		},
		{
			Name: "systemd, `KillMode=control-group`, the default", Source: "sigterm", Mode: watchdog,
			End: func(_ context.Context, r *Run) error { return r.SignalAll(syscall.SIGTERM, syscall.SIGCONT) },
		},
		{
			Name: "a login session that ends (logind)", Source: "sigterm or sighup", Mode: watchdog,
			End: func(_ context.Context, r *Run) error {
				return errors.Join(r.SignalAll(syscall.SIGTERM, syscall.SIGCONT), r.SignalAll(syscall.SIGHUP))
			},
		},
		{
			Name: "Slurm: `scancel`, or the end of the time", Source: "sigterm", Mode: watchdog,
			End: func(_ context.Context, r *Run) error {
				return r.SignalAllCoordinatorLast(syscall.SIGCONT, syscall.SIGTERM)
			},
		},
		{
			Name: "Slurm: `sbatch --signal=USR1@60`, then the end of the time", Source: "sigterm", Mode: watchdog,
			End: func(_ context.Context, r *Run) error {
				return errors.Join(r.SignalAll(syscall.SIGUSR1), r.SignalAllCoordinatorLast(syscall.SIGCONT, syscall.SIGTERM))
			},
		},
		{
			Name: "`kill 0` in a shell, a supervisor that signals a process group", Source: "sigterm", Mode: watchdog,
			Start: begunBy("sh", "-c", `trap : TERM; "$@"; exit $?`, "sh"),
			End:   func(_ context.Context, r *Run) error { return r.SignalGroup(syscall.SIGTERM) },
		},
		{
			Name: "GNU `timeout --preserve-status 20m`", Source: "sigterm", Mode: watchdog, Start: begunBy("timeout", "--preserve-status", "20m"),
			End: func(_ context.Context, r *Run) error { return kill(r.PID, syscall.SIGALRM) }, // what its timer sends it
		},
		{
			Name: "GNU `timeout 20m`", Source: "sigterm", Mode: watchdog, Code: 124, Start: begunBy("timeout", "20m"),
			End: func(_ context.Context, r *Run) error { return kill(r.PID, syscall.SIGALRM) },
		},
		{
			Name: "GNU `parallel --timeout 20m --termseq TERM,10000,KILL,25`, `parallel --halt now,fail=1` with it", Source: "sigterm", Mode: watchdog,
			End: func(ctx context.Context, r *Run) error { return r.termSeq(ctx, 10*time.Second) },
		},
	}
}

// terminals have keys, and are closed.
func terminals() []Way {
	return []Way{
		{Name: "Ctrl-C in a terminal, in tmux, over `ssh -t`", Source: "sigint", Mode: watchdog, Start: inShell(`"$@"; exit $?`), End: keys("\x03")},
		{
			Name: "Ctrl-C where the output goes to `\\| tee FILE`", Source: "sigint", Mode: watchdog, Code: 128 + int(syscall.SIGINT),
			Start: inShell(`"$@" 2>&1 | tee /dev/null; exit $?`), End: keys("\x03"),
		},
		{Name: "Ctrl-\\\\ in a terminal", Source: "sigquit", Mode: watchdog, Start: inShell(`"$@"; exit $?`), End: keys("\x1c")},
		{
			Name: "a closed window, `tmux kill-session`, a lost `ssh` with a shell", Source: "sighup", Mode: watchdog, Code: 128 + int(syscall.SIGHUP),
			Start: inShell(`"$@"; exit $?`), End: hangUp,
		},
		{
			Name: "a lost `ssh -t HOST coordinator run …`", Source: "sighup", Mode: watchdog,
			Start: func(p *Plan) { p.Terminal = true }, End: hangUp,
		},
	}
}

// messages and clocks stop a run, too.
func messages() []Way {
	return []Way{
		{
			Name: "`coordinator stop RUN_ID`", Source: "subject", Mode: subject,
			End: func(ctx context.Context, r *Run) error {
				said, err := r.Command(ctx, "stop", r.RunID)
				if err == nil && said.Code != 0 && !r.Over() {
					err = fmt.Errorf("coordinator stop exits %d: %s", said.Code, said.Stderr)
				}
				return err
			},
		},
		{
			Name: "`nats pub gx1.stop.RUN_ID ''`, ten times", Source: "subject", Mode: subject,
			End: func(ctx context.Context, r *Run) error {
				if err := r.Until(ctx, "the stop command is printed", func() bool { return r.url() != "" || r.Over() }); err != nil {
					return err
				}
				nc, err := nats.Connect(r.url(), nats.NoReconnect())
				if err != nil {
					if r.Over() {
						return nil
					}
					return fmt.Errorf("connecting to the run's bus: %w", err)
				}
				defer nc.Close()
				for range 10 {
					if err := nc.Publish("gx1.stop."+r.RunID, nil); err != nil {
						return fmt.Errorf("publishing a stop: %w", err)
					}
				}
				if err := nc.FlushWithContext(ctx); err != nil && !r.Over() {
					return fmt.Errorf("publishing a stop: %w", err)
				}
				return nil
			},
		},
		{
			Name: "`--timeout 20m`", Source: "timeout", Mode: timeBox,
			Start: func(p *Plan) { p.Args = append(p.Args, "--timeout", "3s") }, End: nothing,
		},
		{
			Name: "`GX1_MASTER_WAIT_TIMEOUT_SEC=1200`", Source: "timeout", Mode: timeBox,
			Start: func(p *Plan) { p.Env = append(p.Env, "GX1_MASTER_WAIT_TIMEOUT_SEC=3") }, End: nothing,
		},
	}
}

// kills leave the coordinator no time.
func kills() []Way {
	slow := func(p *Plan) { p.Exec, p.Flush = true, 5*time.Second } // only a command has the coordinator wait
	return []Way{
		{Name: "`kill -9 PID`, out of memory", End: to(syscall.SIGKILL), Mode: recovered, Code: killed, Hasty: true},
		{
			Name: "GNU `parallel --timeout 20m`, `parallel --halt now,fail=1`", Source: "sigterm", Mode: recovered, Code: killed, Hasty: true,
			Start: slow, End: func(ctx context.Context, r *Run) error {
				return r.termSeq(ctx, 200*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond)
			},
		},
		{
			Name: "systemd after `TimeoutStopSec`, Slurm after `KillWait`", Source: "sigterm", Mode: watchdog, Code: killed, Hasty: true,
			Start: slow, End: func(ctx context.Context, r *Run) error {
				return errors.Join(r.SignalAll(syscall.SIGTERM, syscall.SIGCONT), r.exported(ctx), r.SignalAll(syscall.SIGKILL))
			},
		},
		{
			Name: "`docker stop` after 10 s, a pod after `terminationGracePeriodSeconds`", Source: "sigterm", Mode: watchdog, Code: killed, Hasty: true,
			Start: func(p *Plan) { slow(p); container()(p) },
			End: func(ctx context.Context, r *Run) error {
				return errors.Join(kill(r.PID, syscall.SIGTERM), r.exported(ctx), kill(r.PID, syscall.SIGKILL))
			},
		},
		{
			Name: "`docker kill`, a container out of memory, a unit with `OOMPolicy=kill`", Code: killed, Hasty: true, NoFile: true, Start: container(),
			End: func(_ context.Context, r *Run) error { return kill(r.PID, syscall.SIGKILL) },
		},
	}
}

// Harmless lists what ends nothing: the table of that name. Each End leaves a
// run that goes on, and that still writes its file when it is stopped.
func Harmless() []Way {
	return []Way{
		{Name: "`nohup`, and its terminal is closed", Start: inShell(`nohup "$@"; exit $?`), End: hangUp, Code: 128 + int(syscall.SIGHUP)},
		{
			Name: "SIGUSR1, SIGUSR2",
			End:  func(_ context.Context, r *Run) error { return r.SignalAll(syscall.SIGUSR1, syscall.SIGUSR2) },
		},
		{Name: "`\\| head`, journald restarted, a lost `ssh` without `-t`", End: hangUp},
		{
			Name: "Ctrl-Z, and later `fg`", Start: inShell(`"$@"; sleep 3; fg; exit $?`), // that is more than a lease
			End: func(ctx context.Context, r *Run) error {
				if err := r.Type("\x1a"); err != nil {
					return err
				}
				for _, suspended := range []bool{true, false} {
					if err := r.Until(ctx, fmt.Sprintf("it is suspended: %v", suspended), func() bool { return r.Suspended() == suspended || r.Over() }); err != nil {
						return err
					}
				}
				return nil
			},
		},
		{
			Name: "SIGTERM or SIGHUP to a local worker alone",
			End: func(_ context.Context, r *Run) error {
				for i, w := range r.Workers() {
					if err := kill(w.PID, []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP}[i%2]); err != nil {
						return err
					}
				}
				return nil
			},
		},
	}
}

// HarmlessThenStopped lists the same, each followed by SIGTERM to the
// coordinator.
func HarmlessThenStopped() []Way {
	list := Harmless()
	for i, w := range list {
		list[i].Source, list[i].Mode = "sigterm", watchdog
		list[i].End = func(ctx context.Context, r *Run) error {
			return errors.Join(w.End(ctx, r), r.Signal(syscall.SIGTERM))
		}
	}
	return list
}

// to signals the coordinator alone.
func to(sig syscall.Signal) func(context.Context, *Run) error {
	return func(_ context.Context, r *Run) error { return r.Signal(sig) }
}

func keys(text string) func(context.Context, *Run) error {
	return func(_ context.Context, r *Run) error { return r.Type(text) }
}

// hangUp closes what reads the run's output.
func hangUp(_ context.Context, r *Run) error {
	r.Deaf()
	return nil
}

func nothing(context.Context, *Run) error { return nil }

func begunBy(line ...string) func(*Plan) {
	return func(p *Plan) { p.Before = line }
}

// inShell starts the run in a terminal, by a shell with job control, as a
// person does: the shell leads the session, and the run has the foreground.
func inShell(script string) func(*Plan) {
	return func(p *Plan) {
		p.Terminal = true
		p.Before = []string{"sh", "-mc", script, "sh"}
	}
}

// container starts the run in a PID namespace, as process 1 or below the init
// that line is. What ends process 1 ends all.
func container(line ...string) func(*Plan) {
	return func(p *Plan) { p.Container, p.Before = true, line }
}

// initScript passes SIGTERM on to its child and to nobody else, as tini does.
const initScript = `"$@" & trap "kill -TERM $!" TERM; wait $!; code=$?
while kill -0 $! 2>/dev/null; do wait $!; code=$?; done; exit $code`

// Announced reports whether the run has printed its run_id: from then on it
// leaves a file, whatever ends it.
func (r *Run) Announced() bool {
	_, err := os.Stat(r.Log())
	return err == nil && strings.Contains(r.Said(), "run_id "+r.RunID)
}
