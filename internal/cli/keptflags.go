package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"gx1replay/internal/redact"
)

// kept are the flags about the command that are stored with the run, for chunk:
// --NAME=VALUE, without secrets and values of the environment. Directories are
// absolute.
func (f *execFlags) kept() ([]string, error) {
	own := *f
	var err error
	if own.dir, err = f.workingDir(); err == nil {
		own.dir, err = filepath.Abs(own.dir)
	}
	if err == nil && own.files != "" {
		own.files, err = filepath.Abs(own.files)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the directories of the command: %w", err)
	}
	return redact.Args(own.list()), nil
}

// restored is f with the run's kept flags; those given here come first, and lists
// are joined. Notes report what cannot be as it was.
func (f execFlags) restored(kept []string, given *pflag.FlagSet, lookup func(name string) (string, bool)) (_ execFlags, notes []string, err error) {
	fresh := execFlags{}
	own := pflag.NewFlagSet("kept", pflag.ContinueOnError)
	fresh.bindCommand(own)
	for _, text := range kept {
		name, value, _ := strings.Cut(strings.TrimPrefix(text, "--"), "=")
		flag := own.Lookup(name)
		list := false
		if flag != nil {
			_, list = flag.Value.(pflag.SliceValue)
		}
		switch {
		case flag == nil || name == "engine":
			notes = append(notes, fmt.Sprintf("the run had a flag that is not known here: %.200s", text))
			continue
		case !list && given.Changed(name):
			continue
		case list && name != "exec-digest" && slices.ContainsFunc(valuesOf(given, name), func(g string) bool { return variableOf(g) == variableOf(value) }):
			continue // given anew
		case strings.Contains(value, redact.Removed) && name == "exec-env":
			variable := variableOf(value)
			if _, set := lookup(variable); !set {
				return f, notes, usagef("--exec-env "+variable+"=VALUE", "the run had --exec-env %s=…, but its value is not stored (want the flag again, or %s set here)", variable, variable)
			}
			notes = append(notes, fmt.Sprintf("--exec-env %s: the run's value is not stored; the value set here is used", variable))
			value = variable
		case strings.Contains(value, redact.Removed):
			return f, notes, usagef("--"+name+"=VALUE", "the run had a --%s that is not stored, because it looks like a secret (want it again)", name)
		case name == "exec-dir":
			if info, err := os.Stat(value); err != nil || !info.IsDir() {
				notes = append(notes, fmt.Sprintf("the run's working directory %.200q is not here; the command runs in this one", value))
				continue
			}
		}
		if err := own.Set(name, value); err != nil {
			return f, notes, fmt.Errorf("the run's flag --%s %.200q: %w", name, value, err)
		}
	}
	var bad error
	given.Visit(func(g *pflag.Flag) {
		flag := own.Lookup(g.Name)
		if flag == nil || g.Name == "engine" {
			return
		}
		if list, ok := g.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				if err := own.Set(g.Name, v); err != nil {
					bad = err
				}
			}
		} else if text := g.Value.String(); text != "" {
			if err := own.Set(g.Name, text); err != nil {
				bad = err
			}
		}
	})
	fresh.engine, fresh.ship = f.engine, f.ship
	return fresh, notes, bad
}

func valuesOf(given *pflag.FlagSet, name string) []string {
	if flag := given.Lookup(name); flag != nil && flag.Changed {
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			return list.GetSlice()
		}
	}
	return nil
}

func variableOf(text string) string {
	name, _, _ := strings.Cut(text, "=")
	return name
}
