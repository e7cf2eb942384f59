package cli

import (
	"cmp"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

func complete(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "stop", "status", "show", "export", "bundle", "verify", "audit", "gc":
			cmd.ValidArgsFunction = completeRuns
		case "logs", "chunk":
			cmd.ValidArgsFunction = completeChunks
		}
		for name, values := range map[string][]string{
			"engine": {footer.EngineBuiltin, footer.EngineExec}, "order": {string(run.OrderSpread), string(run.OrderTime), string(run.OrderSample)},
			"sync": {syncDefault, syncAlways}, "pregate": {"true", "false"},
		} {
			if cmd.Flags().Lookup(name) != nil {
				// Each name is registered once, on a command of its own.
				_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
			}
		}
		if cmd.Flags().Lookup("policy") != nil {
			_ = cmd.MarkFlagFilename("policy", "yaml", "yml")
		}
	}
}

func completeRuns(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	dir := defaultOutputDir
	if f := cmd.Flags().Lookup("output-dir"); f != nil && f.Value.String() != "" {
		dir = f.Value.String()
	}
	list, _, err := listRuns(dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var ids []string
	for _, l := range list {
		ids = append(ids, fmt.Sprintf("%s\t%s, %s", l.RunID, l.State, l.At.Local().Format(time.DateTime)))
	}
	return ids, cobra.ShellCompDirectiveDefault
}

// completeChunks completes a run's id, and then the numbers of its chunks.
func completeChunks(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeRuns(cmd, args, text)
	}
	dir := defaultOutputDir
	if f := cmd.Flags().Lookup("output-dir"); f != nil && f.Value.String() != "" {
		dir = f.Value.String()
	}
	a, err := parseRunArg(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	head, err := readHead(cmp.Or(a.path, filepath.Join(dir, "perf_"+string(a.id)+".json")))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var list []string
	for i := range min(head.Totals.ChunksTotal, maxCompleted) {
		list = append(list, fmt.Sprint(i))
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

const maxCompleted = 1000
