package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Groups of verbs, as `coordinator --help` lists them.
const (
	groupRuns  = "runs"
	groupJudge = "judge"
	groupInput = "input"
	groupHost  = "host"
)

func group(root *cobra.Command, id, title string, verbs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, v := range verbs {
		v.GroupID = id
	}
	root.AddCommand(verbs...)
}

// flagGroups are the groups of a command's flags, in the order of its help. What is
// in none comes last.
type flagGroups []struct {
	title string
	names []string
}

// runFlagGroups begin with the six flags that everyone needs.
var runFlagGroups = flagGroups{
	{"Flags for every run", []string{"policy", "data", "workers", "run-id", "output-dir", "timeout"}},
	{"Chunks", []string{"chunks", "chunk-bars", "order", "max-failures", "lease-duration"}},
	{"Stopping and resuming", []string{"drain-timeout", "exit-on-stop", "retry-failed", "explain", "no-guardian", "fallback-dir"}},
	{"Data", []string{"spread-bps", "from", "to", "columns", "time-format", "tz", "sep", "decimal", "point", "repair"}},
	{"Policy and results", []string{"pregate", "strict", "lenient", "accept-newer-model", "decisions", "quiet"}},
	{"Bus", []string{"nats", "context", "creds", "nkey", "tlsca", "tlscert", "tlskey", "replicas", "listen", "stop-auth", "sync", "keep-bus"}},
	{"Your own command (--engine exec)", nil}, // what is left
}

// useHelp has -h print what fits on a screen, and --help everything.
func useHelp(root *cobra.Command, groups map[string]flagGroups) {
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		g := groups[cmd.Name()]
		if slices.Contains(args, "-h") && !slices.Contains(args, "--help") {
			shortHelp(cmd.OutOrStdout(), cmd, g)
			return
		}
		out := cmd.OutOrStdout()
		text := strings.TrimSpace(cmd.Long)
		if text == "" {
			text = cmd.Short
		}
		fmt.Fprintf(out, "%s\n\n", text)
		if g == nil {
			fmt.Fprint(out, cmd.UsageString())
			return
		}
		fmt.Fprintf(out, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		g.write(out, cmd.Flags())
	})
}

// shortHelp prints usage, examples and the first group of flags.
func shortHelp(out io.Writer, cmd *cobra.Command, g flagGroups) {
	fmt.Fprintf(out, "%s\n\nUsage:\n  %s\n", cmd.Short, cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(out, "\nCommands:")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(out, "  %-12s %s\n", c.Name(), c.Short)
			}
		}
	}
	fl := cmd.LocalFlags()
	if g != nil {
		fl = pflag.NewFlagSet("", pflag.ContinueOnError)
		fl.SortFlags = false
		for _, name := range g[0].names {
			fl.AddFlag(cmd.Flags().Lookup(name))
		}
	}
	if text := fl.FlagUsages(); text != "" {
		fmt.Fprintf(out, "\nFlags:\n%s", text)
	}
	fmt.Fprintf(out, "\n%s --help explains everything.\n", cmd.CommandPath())
}

func (g flagGroups) write(out io.Writer, fl *pflag.FlagSet) {
	named := map[string]bool{}
	for _, group := range g {
		for _, name := range group.names {
			named[name] = true
		}
	}
	for _, group := range g {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		set.SortFlags = false
		for _, name := range group.names {
			set.AddFlag(fl.Lookup(name))
		}
		if group.names == nil {
			fl.VisitAll(func(f *pflag.Flag) {
				if !named[f.Name] {
					set.AddFlag(f)
				}
			})
		}
		fmt.Fprintf(out, "\n%s:\n%s", group.title, set.FlagUsages())
	}
}
