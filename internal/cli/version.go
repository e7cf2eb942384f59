package cli

import (
	"cmp"
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

func versionText() string {
	v := version()
	return fmt.Sprintf("gx1-replay %s (commit %s, %s %s/%s)\n", v.Module, v.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// The version and commit of a release build. The linker sets them (-X, in
// scripts/release.sh), so that a build without VCS stamping has them, too.
var stampedVersion, stampedCommit string

// version is the stamped version, or else the go command's.
func version() coordinator.Version {
	v := coordinator.Version{Module: "(devel)", Commit: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v = recorded(info)
	}
	return coordinator.Version{Module: cmp.Or(stampedVersion, v.Module), Commit: cmp.Or(stampedCommit, v.Commit)}
}

func recorded(info *debug.BuildInfo) coordinator.Version {
	v := coordinator.Version{Module: cmp.Or(info.Main.Version, "(devel)"), Commit: "unknown"}
	changes := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changes = "+changes"
			}
		}
	}
	v.Commit += changes
	return v
}
