package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usagef is the error of a wrong command line; hint is what to try, or empty.
func usagef(hint, format string, args ...any) error {
	return &usageError{msg: fmt.Sprintf(format, args...), hint: hint}
}

// oneArg demands one argument, which name stands for.
func oneArg(name, hint string) cobra.PositionalArgs { return takes(1, 1, "one "+name, hint) }

// takes demands least to most arguments, which what describes.
func takes(least, most int, what, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef(hint, "%s takes %s, got %d arguments", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

// takesBeforeCommand demands n arguments before the command after --.
func takesBeforeCommand(n int, what, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if dash := cmd.ArgsLenAtDash(); dash >= 0 {
			args = args[:dash]
		}
		return takes(n, n, what+" (a command goes after --)", hint)(cmd, args)
	}
}

func bindJSON(fl *pflag.FlagSet, to *bool) { fl.BoolVar(to, "json", false, "print JSON") }

func (p Program) printJSON(v any) error {
	enc := json.NewEncoder(p.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints in columns; cells end with a tab.
func (p Program) table() *tabwriter.Writer { return tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0) }

// failWith gives errors of cmd the exit code code, for verbs whose exit code 1
// has another meaning. Call it when all else of cmd is set.
func failWith(cmd *cobra.Command, code int) {
	with := func(err error) error {
		if has := (exitCode{}); err == nil || errors.As(err, &has) {
			return err
		}
		return exitCode{code: code, err: err}
	}
	args, pre, run := cmd.Args, cmd.PreRunE, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, list []string) error { return with(args(cmd, list)) }
	cmd.PreRunE = func(cmd *cobra.Command, list []string) error { return with(pre(cmd, list)) }
	cmd.RunE = func(cmd *cobra.Command, list []string) error { return with(run(cmd, list)) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return with(unknownFlag(cmd, err)) })
}
