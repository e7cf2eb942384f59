package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/execengine"
	"gx1replay/internal/nearest"
	"gx1replay/internal/process"
)

const maxWord = 64

// unknownVerb is the error of a verb that does not exist, to which cobra would
// print help with exit code 0.
func unknownVerb(root *cobra.Command, args []string) error {
	cmd := root
	for _, arg := range args {
		if !cmd.HasSubCommands() || strings.HasPrefix(arg, "-") || strings.HasPrefix(arg, "__") { // a flag, or a shell that completes
			return nil
		}
		var names []string
		var next *cobra.Command
		for _, c := range cmd.Commands() {
			if c.Name() == arg || c.HasAlias(arg) {
				next = c
			}
			if !c.Hidden {
				names = append(names, c.Name())
			}
		}
		if next == nil {
			return misspelt(fmt.Sprintf("%s has no verb %.64q", cmd.CommandPath(), arg), arg, names, cmd.CommandPath())
		}
		cmd = next
	}
	return nil
}

func unknownFlag(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return usagef(cmd.CommandPath()+" --help", "%v", err)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return misspelt(err.Error(), "--"+missing.GetSpecifiedName(), names, cmd.CommandPath())
}

func misspelt(msg, word string, names []string, path string) error {
	hint := path + " --help"
	if len(word) <= maxWord {
		if name := nearest.Of(word, names); name != "" {
			msg += fmt.Sprintf(" (the nearest is %s)", name)
		}
	}
	return usagef(hint, "%s", msg)
}

// flagVariables are the variables of all flags of the two programs, one a line.
// A list, because chunkworker would otherwise link the coordinator's verbs to
// make it. The test of it writes it anew with -update.
//
//go:embed variables.txt
var flagVariables string

// otherVariables are set by a program of ours for another or for what it starts,
// or by our tests.
var otherVariables = []string{variablesVar, slotVar, process.LifelineEnv, process.GuardEnv, envPrefix + "TEST"}

// warnUnknownVariables names each variable of ours that no flag of the two
// programs has. Values are not printed: they may be secrets.
func (p Program) warnUnknownVariables() {
	if p.Environ == nil {
		return
	}
	names := strings.Fields(flagVariables)
	for _, v := range p.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, envPrefix) || execengine.IsVariable(name) || slices.Contains(otherVariables, name) || slices.Contains(names, name) {
			continue
		}
		text := fmt.Sprintf("warning: the environment variable %.64s matches no flag and has no effect", name)
		if len(name) <= maxWord {
			if near := nearest.Of(name, names); near != "" {
				text += " (the nearest is " + near + ")"
			}
		}
		fmt.Fprintln(p.Stderr, text)
	}
}
