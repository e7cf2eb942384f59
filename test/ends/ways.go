//go:build linux

package ends

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Way is a way in which systems end a run.
type Way struct {
	Name string
	// Start, if not nil, changes how the run is started.
	Start func(*Plan)
	End   func(*Run) error
	// Sources are the stops that the file may name.
	Sources []string
	// Killed says that the coordinator has no time to export.
	Killed bool
}

// termSeq is how long GNU parallel waits after each SIGTERM, in its --termseq.
var termSeq = []time.Duration{200 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond}

// termSeqMost is well below the second after which a signal is another stop.
const termSeqMost = 500 * time.Millisecond

// Ways lists them all.
func Ways() []Way {
	signal := func(sig syscall.Signal) func(*Run) error {
		return func(r *Run) error { return r.Signal(sig) }
	}
	inTerminal := func(p *Plan) { p.Terminal = true }
	return []Way{
		{Name: "kill, docker stop, a pod that ends", End: signal(syscall.SIGTERM), Sources: []string{"sigterm"}},
		{Name: "kill -INT", End: signal(syscall.SIGINT), Sources: []string{"sigint"}},
		{Name: "kill -HUP", End: signal(syscall.SIGHUP), Sources: []string{"sighup"}},
		{Name: "kill -QUIT", End: signal(syscall.SIGQUIT), Sources: []string{"sigquit"}},
		{
			Name: "parallel --termseq without its last step", Sources: []string{"sigterm"},
			End: func(r *Run) error {
				begun := time.Now()
				for _, wait := range termSeq {
					// On a machine too busy to keep parallel's times, no signal is
					// sent that would be a second stop.
					if time.Since(begun) > termSeqMost {
						return nil
					}
					if err := r.Signal(syscall.SIGTERM); err != nil {
						return err
					}
					time.Sleep(wait) // as parallel does
				}
				return nil
			},
		},
		{
			Name: "systemd, KillMode=control-group", Sources: []string{"sigterm"},
			End: func(r *Run) error { return r.SignalAll(syscall.SIGTERM) },
		},
		{
			Name: "a login session that ends", Sources: []string{"sigterm", "sighup"},
			End: func(r *Run) error { return r.SignalAll(syscall.SIGTERM, syscall.SIGHUP) },
		},
		{
			Name: "scancel, the coordinator last", Sources: []string{"sigterm"},
			End: func(r *Run) error {
				coordinator := r.Coordinator()
				for _, p := range slices.Backward(r.Alive()) {
					if p.PID != coordinator {
						if err := kill(p.PID, syscall.SIGTERM); err != nil {
							return err
						}
					}
				}
				return kill(coordinator, syscall.SIGTERM)
			},
		},
		{
			Name: "Slurm, --signal=USR1 and then its end", Sources: []string{"sigterm"},
			End: func(r *Run) error { return r.SignalAll(syscall.SIGUSR1, syscall.SIGTERM) },
		},
		{
			Name: "kill 0", Sources: []string{"sigterm"},
			Start: func(p *Plan) { p.Before = []string{"sh", "-c", `trap : TERM; "$@"; exit $?`, "sh"} },
			End:   func(r *Run) error { return r.SignalGroup(syscall.SIGTERM) },
		},
		{
			Name: "timeout", Sources: []string{"sigterm"},
			Start: func(p *Plan) { p.Before = []string{"timeout", "--preserve-status", "10m"} },
			End:   func(r *Run) error { return kill(r.PID, syscall.SIGTERM) }, // as at its time: to its child, and to its group
		},
		{Name: "Ctrl-C", Start: inTerminal, End: func(r *Run) error { return r.Type("\x03") }, Sources: []string{"sigint"}},
		{
			Name: "a closed window, ssh -t, tmux kill-session", Start: inTerminal, Sources: []string{"sighup"},
			End: func(r *Run) error {
				r.Deaf()
				return nil
			},
		},
		{
			Name: "nohup, and its terminal closed", Sources: []string{"sigterm"},
			Start: func(p *Plan) { p.Before = []string{"nohup"} },
			End: func(r *Run) error {
				return errors.Join(r.Signal(syscall.SIGHUP), r.Signal(syscall.SIGTERM))
			},
		},
		{
			Name: "a pipe without a reader, and then kill", Sources: []string{"sigterm"},
			End: func(r *Run) error {
				r.Deaf()
				return r.Signal(syscall.SIGTERM)
			},
		},
		{Name: "kill -9", End: signal(syscall.SIGKILL), Sources: []string{""}, Killed: true},
	}
}

// Announced reports whether the run has printed its run_id: from then on it
// leaves a file, whatever ends it.
func (r *Run) Announced() bool {
	_, err := os.Stat(r.Log())
	return err == nil && strings.Contains(r.Said(), "run_id "+r.RunID)
}
