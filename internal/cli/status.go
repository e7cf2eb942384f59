package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/cli/progress"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/layout"
	"gx1replay/internal/printable"
	"gx1replay/internal/process"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
)

const (
	lookPatience = 2 * time.Second
	watchEvery   = 2 * time.Second
)

func (p Program) statusCommand() *cobra.Command {
	var asJSON, watch bool
	var connect connectFlags
	cmd := &cobra.Command{
		Use:   "status [RUN]",
		Short: "List active and orphaned runs of this machine or of a bus",
		Example: `  coordinator status
  coordinator status --nats nats://10.0.0.1:4222 --nkey observer.nk
  coordinator status pilot_on --watch
  coordinator status pilot_on --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var only run.ID
			if len(args) == 1 {
				a, err := parseRunArg(args[0])
				if err != nil {
					return err
				}
				only = a.id
			}
			look := func(ctx context.Context) ([]runStatus, error) { return p.runs(ctx, only) }
			if connect.external() {
				b, err := connect.dial(cmd.Context(), "observer", access.Observer, discard())
				if err != nil {
					return err
				}
				defer b.Close()
				look = func(ctx context.Context) ([]runStatus, error) { return runsOn(ctx, b, connect.given, only) }
			}
			if watch {
				t := time.NewTicker(watchEvery)
				defer t.Stop()
				return p.watchStatus(cmd.Context(), look, only, asJSON, t.C)
			}
			_, err := p.status(cmd.Context(), look, only, asJSON)
			return err
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "refresh every 2 s until no run is under way, then exit 0")
	bindJSON(cmd.Flags(), &asJSON)
	connect.bind(cmd.Flags(), "", "URL of a bus whose runs to list (default: the runs of this machine)")
	p.bindEnv(cmd, natsEnv)
	return cmd
}

// runStatus is one run as `status --json` prints it.
type runStatus struct {
	process.Entry
	Alive bool `json:"alive"`
	// BusAnswers: the run's bus was reached. Without it there is no standing.
	BusAnswers bool `json:"bus_answers"`
	// LeftBytes are in the state directory of a dead coordinator.
	LeftBytes int64 `json:"left_bytes"`
	// Standing is how far an active run is; null if its bus did not report it.
	Standing *coordinator.Standing `json:"standing"`

	onBus string // the state of a run that was looked up on a bus
}

// watchStatus prints the status at every tick until no run is active. A run that
// was active and is unknown now has ended and was cleaned.
func (p Program) watchStatus(ctx context.Context, look lookFunc, only run.ID, asJSON bool, tick <-chan time.Time) error {
	for seen := false; ; seen = true {
		if isTerminal(p.Stdout) && !asJSON {
			fmt.Fprint(raw(p.Stdout), "\x1b[H\x1b[2J") // the screen, anew
		}
		alive, err := p.status(ctx, look, only, asJSON)
		if unknown := (*usageError)(nil); seen && only != "" && errors.As(err, &unknown) {
			if asJSON {
				fmt.Fprintln(p.Stdout, "[]")
			} else {
				fmt.Fprintf(p.Stdout, "run %s has ended\n", only)
			}
			return nil
		}
		if err != nil || alive == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
	}
}

type lookFunc func(context.Context) ([]runStatus, error)

// status prints the runs and returns how many are active.
func (p Program) status(ctx context.Context, look lookFunc, only run.ID, asJSON bool) (alive int, err error) {
	list, err := look(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range list {
		if s.Alive {
			alive++
		}
	}
	if asJSON {
		return alive, p.printJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(p.Stdout, "no run is under way")
		return 0, nil
	}
	w := p.table()
	fmt.Fprintln(w, "RUN_ID\tSTATE\tFOR\tCHUNKS\tBARS")
	for _, e := range list {
		state, chunks, bars := stateActive, "-", "-"
		if !e.Alive {
			state = stateOrphaned
		}
		if e.onBus != "" {
			state = e.onBus
		}
		if e.Alive && !e.BusAnswers {
			state += ", bus does not answer"
		}
		if s := e.Standing; s != nil {
			chunks = fmt.Sprintf("%d of %d", s.ChunksOK, s.Chunks)
			bars = progress.Count(s.Bars) + " of " + progress.Count(s.PlannedBars)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.RunID, printable.Line(state), time.Since(e.StartedAt).Round(time.Second), chunks, bars)
	}
	if err := w.Flush(); err != nil {
		return alive, err
	}
	// Long texts stand below the table, which fits 80 columns.
	for _, e := range list {
		if e.onBus != "" {
			continue // its process and files are on another host
		}
		left := ""
		if !e.Alive {
			left = ", " + size(e.LeftBytes) + " left"
		}
		fmt.Fprintf(p.Stdout, "%s: pid %d, %s%s\n  %s\n", e.RunID, e.PID, coordinator.AccessTo(e.Entry), left, relative(e.OutputDir))
	}
	for _, e := range list {
		if e.Standing == nil {
			continue
		}
		which := "run " + string(e.RunID)
		if only != "" {
			which = "this run"
		}
		for _, u := range e.Standing.Incompatible {
			fmt.Fprintf(p.Stdout, "worker %s on %s does not serve %s: %s\n", printable.Line(u.WorkerID), printable.Line(u.Host), which, printable.Line(u.Why))
		}
	}
	return alive, nil
}

// runs lists the run registry and asks the bus of each active run how far it is.
func (p Program) runs(ctx context.Context, only run.ID) ([]runStatus, error) {
	reg, err := process.OpenRegistry("")
	if err != nil {
		return nil, err
	}
	entries, problems := reg.List()
	for _, err := range problems {
		fmt.Fprintf(p.Stderr, "warning: %v\n", err)
	}
	list := []runStatus{}
	for _, e := range entries {
		if only == "" || e.RunID == only {
			list = append(list, runStatus{Entry: e, Alive: e.Alive})
		}
	}
	if only != "" && len(list) == 0 {
		return nil, usagef("coordinator status", "no run %s is known on this machine", only)
	}
	var asked sync.WaitGroup
	for i := range list {
		s := &list[i]
		if !s.Alive {
			s.LeftBytes = coordinator.DirBytes(layout.Run{Dir: s.OutputDir, RunID: s.RunID}.StateDir())
			continue
		}
		asked.Go(func() { s.Standing, s.BusAnswers = standing(ctx, s.Entry) })
	}
	asked.Wait()
	for i := range list {
		list[i].URL = redact.URLs(list[i].URL)
	}
	return list, nil
}

// runsOn looks at the runs of a bus. One whose manifest is running counts as alive
// unless its coordinator's heartbeat is too old.
func runsOn(ctx context.Context, b *bus.Bus, where bus.Access, only run.ID) ([]runStatus, error) {
	all, err := b.Manifests(ctx)
	if err != nil {
		return nil, err
	}
	list := []runStatus{}
	for _, m := range all {
		if only != "" && m.RunID != only {
			continue
		}
		s := runStatus{
			Entry: process.Entry{RunID: m.RunID, URL: redact.URLs(where.URL), Context: where.Context, Session: m.Session, State: string(m.State)},
			Alive: m.State == run.StateRunning, BusAnswers: true, onBus: string(m.State),
		}
		if s.Alive {
			if dead, err := coordinator.Dead(ctx, b, m.Manifest); err == nil && dead {
				s.Alive, s.onBus = false, "orphaned"
			}
		}
		if n := len(m.Sessions); n > 0 {
			s.StartedAt = m.Sessions[n-1].StartedAt
		}
		asked, cancel := context.WithTimeout(ctx, lookPatience)
		if st, err := coordinator.Look(asked, b, m.RunID, discard()); err == nil && m.State != run.StateExported {
			s.Standing = &st
		}
		cancel()
		list = append(list, s)
	}
	if only != "" && len(list) == 0 {
		return nil, usagef("coordinator status --nats URL", "%s has no run %s", where, only)
	}
	return list, nil
}

// standing is how far a run is; nil if its bus does not report it in time, as while
// it starts. answers: the bus was reached.
func standing(ctx context.Context, e process.Entry) (s *coordinator.Standing, answers bool) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	b, err := coordinator.ConnectTo(ctx, e)
	if err != nil {
		return nil, false
	}
	defer b.Close()
	st, err := coordinator.Look(ctx, b, e.RunID, discard())
	if err != nil {
		return nil, b.Answers(ctx)
	}
	return &st, true
}
