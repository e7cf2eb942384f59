package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

//go:embed templates/policy.yaml
var policyTemplate []byte

const initialPolicy = "policy.yaml"

func (p Program) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a commented policy, and print the command that runs it",
		Long: `init writes policy.yaml into DIR, which it makes if needed (default: here), and
prints the command that replays generated bars with it. A file that exists is
left unchanged, and is an error.`,
		Example: `  coordinator init
  coordinator init my_policies`,
		Args: takes(0, 1, "one directory at most", "coordinator init my_policies"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return p.initialize(dir)
		},
	}
	p.bindEnv(cmd, nil)
	return cmd
}

func (p Program) initialize(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the directory %s: %w", dir, err)
	}
	path := filepath.Join(dir, initialPolicy)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usagef("coordinator init DIR", "%s", path+" exists and is left unchanged")
	}
	if err != nil {
		return fmt.Errorf("writing a policy: %w", err)
	}
	_, err = f.Write(policyTemplate)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing a policy: %w", err), os.Remove(path))
	}
	fmt.Fprintf(p.Stdout, "wrote %s\nrun it on generated bars, or on your own (--data FILE):\n  coordinator run --policy %s --data synthetic:70000\n", path, quoted(path))
	return nil
}
