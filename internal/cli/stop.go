package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

const stopPatience = 30 * time.Second

func (p Program) stopCommand() *cobra.Command {
	var reason string
	var timeout time.Duration
	var connect connectFlags
	cmd := &cobra.Command{
		Use:   "stop RUN",
		Short: "Stop a run; its coordinator exports what was replayed",
		Long: `stop sends a stop over NATS and retries until it is stored. Then it returns; the
coordinator of the run drains and exports. "nats pub gx1.stop.RUN_ID" does the
same without a retry. stop finds a run of this machine by its id. For other runs,
--nats or --context names the bus.`,
		Example: `  coordinator stop pilot_on --reason "long enough"
  coordinator stop pilot_on --nats nats://10.0.0.1:4222 --nkey operator.nk`,
		Args: oneArg("RUN", "coordinator status"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.stop(cmd.Context(), args[0], reason, timeout, connect)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason of the stop, recorded in the perf JSON")
	cmd.Flags().DurationVar(&timeout, "timeout", stopPatience, "time limit of this command")
	aboveZero(cmd.Flags(), "timeout", "a duration above 0")
	connect.bind(cmd.Flags(), "", "URL of the run's bus, if the run is not on this machine")
	p.bindEnv(cmd, natsEnv)
	return cmd
}

func (p Program) stop(ctx context.Context, text, reason string, timeout time.Duration, connect connectFlags) error {
	a, err := parseRunArg(text)
	if err != nil {
		return err
	}
	id := a.id
	if len(reason) > run.MaxReasonLen {
		return usagef("", "--reason has %d bytes (at most %d)", len(reason), run.MaxReasonLen)
	}
	var e process.Entry
	if !connect.external() { // what is given goes before what is known
		if e, err = lookUp(id); err != nil {
			return err
		}
	}
	if !e.Alive && !connect.external() {
		return usagef("coordinator status", "no run %s is under way on this machine: it has ended, or never started", id)
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("making a message id: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stop, msgID := run.Stop{Source: run.SourceSubject, Reason: reason}, fmt.Sprintf("cli.%x", random)
	if connect.external() {
		return p.stopOn(ctx, connect, id, stop, msgID)
	}
	seq, err := coordinator.SendStop(ctx, e, stop, msgID)
	if err != nil {
		return fmt.Errorf("run %s: %w", id, err)
	}
	fmt.Fprintf(p.Stdout, "stop of run %s is stored (sequence %d); the perf JSON will be in %s\n", id, seq, e.OutputDir)
	return nil
}

func (p Program) stopOn(ctx context.Context, connect connectFlags, id run.ID, stop run.Stop, msgID string) error {
	b, err := connect.dial(ctx, "operator", access.Operator, discard())
	if err != nil {
		return err
	}
	defer b.Close()
	m, err := manifestInTime(ctx, b, id)
	switch {
	case errors.Is(err, bus.ErrNoRun):
		return usagef("coordinator status --nats URL", "%s has no run %s: it was cleaned after its end, or never started", connect.given, id)
	case err != nil:
		return err
	case m.State != run.StateRunning:
		return usagef("", "run %s is not under way: its epoch %d is %s", id, m.Session, m.State)
	}
	seq, err := b.StoreStop(ctx, id, stop, 0, msgID)
	if err != nil {
		return fmt.Errorf("run %s: %w", id, err)
	}
	fmt.Fprintf(p.Stdout, "stop of run %s is stored (sequence %d); its coordinator exports\n", id, seq)
	return nil
}

const stopEvery = 250 * time.Millisecond

// manifestInTime retries until ctx ends while the bus does not answer, as while a
// cluster chooses a leader.
func manifestInTime(ctx context.Context, b *bus.Bus, id run.ID) (run.Manifest, error) {
	again := time.NewTicker(stopEvery)
	defer again.Stop()
	for {
		m, _, err := b.Manifest(ctx, id)
		if err == nil || !bus.Transient(err) {
			return m, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return m, err
		}
	}
}
