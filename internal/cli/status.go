package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/coordinator"
	"gx1replay/internal/export"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

func (p Program) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status [RUN_ID]",
		Short:   "List the runs under way on this machine",
		Example: "  coordinator status\n  coordinator status pilot_on --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var only run.ID
			if len(args) == 1 {
				id, err := run.ParseID(args[0])
				if err != nil {
					return err
				}
				only = id
			}
			return p.status(only, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	p.bindEnv(cmd, nil)
	return cmd
}

// runStatus is one run as `status --json` prints it.
type runStatus struct {
	process.Entry
	Alive bool `json:"alive"`
	// LeftBytes is what a dead coordinator has left in its state directory.
	LeftBytes int64 `json:"left_bytes"`
}

func (p Program) status(only run.ID, asJSON bool) error {
	reg, err := process.OpenRegister("")
	if err != nil {
		return err
	}
	entries, problems := reg.List()
	for _, err := range problems {
		fmt.Fprintf(p.Stderr, "warning: %v\n", err)
	}
	list := []runStatus{}
	for _, e := range entries {
		if only == "" || e.RunID == only {
			s := runStatus{Entry: e, Alive: e.Alive}
			if !e.Alive {
				s.LeftBytes = coordinator.DirBytes(export.Target{Dir: e.OutputDir, RunID: e.RunID}.StateDir())
			}
			list = append(list, s)
		}
	}
	if only != "" && len(list) == 0 {
		return &usageError{msg: fmt.Sprintf("no run %s is known on this machine", only), hint: "coordinator status"}
	}
	if asJSON {
		enc := json.NewEncoder(p.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(p.Stdout, "no run is under way on this machine")
		return nil
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN_ID\tSTATE\tFOR\tPID\tBUS\tLEFT\tOUTPUT")
	for _, e := range list {
		state, left := "under way", "-"
		if !e.Alive {
			state, left = "its coordinator is gone", size(e.LeftBytes)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.RunID, state, time.Since(e.StartedAt).Round(time.Second), e.PID, e.URL, left, e.OutputDir)
	}
	return w.Flush()
}
