package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"gx1replay/internal/coordinator"
)

func (p Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(p.Stdout, versionText())
			return err
		},
	}
}

// versionText is the line that tells the version.
func versionText() string {
	v := version()
	return fmt.Sprintf("gx1-replay %s (commit %s, %s %s/%s)\n", v.Module, v.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version reads what the linker knows of this program.
func version() coordinator.Version {
	v := coordinator.Version{Module: "(devel)", Commit: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Module = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	v.Commit += dirty
	return v
}
