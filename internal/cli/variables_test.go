package cli

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write variables.txt anew")

// TestVariablesOfTheFlags: the list of variables is that of the flags.
func TestVariablesOfTheFlags(t *testing.T) {
	var names []string
	var add func(cmd *cobra.Command)
	add = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, envName(f.Name)) })
		for _, c := range cmd.Commands() {
			add(c)
		}
	}
	for _, cmd := range (Program{}).Commands() {
		add(cmd)
	}
	slices.Sort(names)
	want := strings.Join(slices.Compact(names), "\n") + "\n"
	if *update {
		if err := os.WriteFile("variables.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if flagVariables != want {
		t.Errorf("variables.txt is\n%s\nwant\n%s\n(go test ./internal/cli -run %s -update)", flagVariables, want, t.Name())
	}
}
