package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/execengine"
	"gx1replay/internal/process"
)

// nearest is the one of names that word is most likely a misspelling of; empty:
// none is near.
func nearest(word string, names []string) string {
	best, at := "", len(word)/3+2
	for _, name := range names {
		if d := editDistance(word, name); d < at {
			best, at = name, d
		}
	}
	return best
}

// editDistance is the number of bytes to insert, remove, replace, or exchange
// with the next one, to make b of a (optimal string alignment).
func editDistance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, now := rows[(i-1)%3], rows[i%3], rows[(i+1)%3]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			change := 0
			if a[i-1] != b[j-1] {
				change = 1
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}

// maxWord bounds what is compared with the names that there are.
const maxWord = 64

// unknownVerb is the error of a command line whose verb does not exist, which
// cobra would answer with help and exit code 0.
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

// unknownFlag adds the nearest flag to the error of one that does not exist.
func unknownFlag(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return &usageError{msg: err.Error(), hint: cmd.CommandPath() + " --help"}
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
		if name := nearest(word, names); name != "" {
			msg += fmt.Sprintf(" (the nearest is %s)", name)
		}
	}
	return &usageError{msg: msg, hint: hint}
}

// warnUnknownVariables names each variable of ours that no flag of the two
// programs has. Values are not printed: they may be secrets.
func (p Program) warnUnknownVariables() {
	if p.Environ == nil {
		return
	}
	var names []string // of variables; made when one is there
	for _, v := range p.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, envPrefix) || execengine.IsVariable(name) || name == process.LifelineEnv || name == variablesVar || name == slotVar {
			continue
		}
		if names == nil {
			names = variables(p.coordinatorRoot())
		}
		if slices.Contains(names, name) {
			continue
		}
		text := fmt.Sprintf("warning: the environment variable %.64s belongs to no flag and has no effect", name)
		if len(name) <= maxWord {
			if near := nearest(name, names); near != "" {
				text += " (the nearest is " + near + ")"
			}
		}
		fmt.Fprintln(p.Stderr, text)
	}
}

// variables are those of all flags of cmd and of what is below it.
func variables(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, envName(f.Name)) })
	for _, c := range cmd.Commands() {
		names = append(names, variables(c)...)
	}
	return names
}
