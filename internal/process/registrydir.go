package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"gx1replay/internal/safefile"
)

// OpenRegistry opens the run registry in dir, which it makes if need be. An empty
// dir means the user's own:
//
//	$XDG_RUNTIME_DIR/gx1-replay/runs      if that variable names a directory of this user's
//	<tmp>/gx1-replay-<uid>/runs           otherwise
//
// A directory that is a symbolic link, belongs to another user or is writable
// by others is refused: what stands in the registry decides where stops and keys
// go.
func OpenRegistry(dir string) (*Registry, error) {
	if dir != "" {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("opening the run registry: %w", err)
		}
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return nil, fmt.Errorf("opening the run registry: %w", err)
		}
		return openChain(dir)
	}
	parent := defaultParent(os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), os.Geteuid())
	return openChain(parent, filepath.Join(parent, "runs"))
}

// openChain makes and checks the directories, each the parent of the next. Below
// one that is ours and closed to others, no other user can exchange anything.
func openChain(dirs ...string) (*Registry, error) {
	for _, dir := range dirs {
		if err := safefile.PrivateDir(dir); err != nil {
			return nil, fmt.Errorf("opening the run registry: %w", err)
		}
	}
	return &Registry{dir: dirs[len(dirs)-1]}, nil
}

// defaultParent is the directory above runs. A runtime directory of another user,
// as sudo -E leaves it, or a missing one is passed over.
func defaultParent(runtimeDir, tmp string, uid int) string {
	if filepath.IsAbs(runtimeDir) { // the XDG specification has relative ones ignored
		if info, err := os.Stat(runtimeDir); err == nil && info.IsDir() {
			if have, ok := safefile.Owner(info); ok && have == uid {
				return filepath.Join(runtimeDir, "gx1-replay")
			}
		}
	}
	return filepath.Join(tmp, "gx1-replay-"+strconv.Itoa(uid))
}
