package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/coordinator"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// stopPatience bounds how long a stop is retried.
const stopPatience = 30 * time.Second

func (p Program) stopCommand() *cobra.Command {
	var reason string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "stop RUN_ID",
		Short: "Stop a run under way on this machine; it exports what it has",
		Long: `stop does what "nats pub gx1.stop.RUN_ID" does, but tries until the stop is
stored. It returns then; the run drains and exports by itself.`,
		Example: `  coordinator stop pilot_on --reason "long enough"`,
		Args:    oneArg("RUN_ID", "coordinator status"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.stop(cmd.Context(), args[0], reason, timeout)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands in the perf JSON")
	cmd.Flags().DurationVar(&timeout, "timeout", stopPatience, "how long to try")
	p.bindEnv(cmd, nil)
	return cmd
}

func (p Program) stop(ctx context.Context, text, reason string, timeout time.Duration) error {
	id, err := run.ParseID(text)
	if err != nil {
		return err
	}
	if len(reason) > run.MaxReasonLen {
		return &usageError{msg: fmt.Sprintf("--reason has %d bytes (at most %d)", len(reason), run.MaxReasonLen)}
	}
	reg, err := process.OpenRegister("")
	if err != nil {
		return err
	}
	e, err := reg.Get(id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !e.Alive {
		return &usageError{msg: fmt.Sprintf("no run %s is under way on this machine: it has ended, or never began", id), hint: "coordinator status"}
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("making a message id: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	seq, err := coordinator.SendStop(ctx, e, run.Stop{Source: run.SourceSubject, Reason: reason}, fmt.Sprintf("cli.%x", random))
	if err != nil {
		return fmt.Errorf("run %s: %w", id, err)
	}
	fmt.Fprintf(p.Stdout, "stop of run %s is stored (sequence %d); the perf JSON will be in %s\n", id, seq, e.OutputDir)
	return nil
}

// oneArg demands one argument and says which.
func oneArg(name, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return &usageError{msg: fmt.Sprintf("%s takes one %s, got %d", cmd.CommandPath(), name, len(args)), hint: hint}
		}
		return nil
	}
}
