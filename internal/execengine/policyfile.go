package execengine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"gx1replay/internal/layout"
)

// writePolicy writes the policy for the command, its includes beside it, and
// returns the SHA-256 (hex) of the file that {policy} is.
func (a *attempt) writePolicy() (string, error) {
	digest := func(b []byte) string {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	// The one with all in it is kept with the attempt's logs: who replays the
	// chunk again finds the run's policy by it.
	if err := a.dir.WriteNew(layout.AttemptPolicy, a.job.PolicyContent); err != nil || len(a.job.PolicyFiles) == 0 { // a run of an earlier version
		return digest(a.job.PolicyContent), err
	}
	written := map[string]bool{}
	for _, f := range a.job.PolicyFiles {
		if !filepath.IsLocal(f.Path) {
			return "", fmt.Errorf("its file %.80q has no place beside it", f.Path)
		}
		name := path.Join(policyDir, f.Path)
		if written[name] {
			continue // it is included twice
		}
		written[name] = true
		dirs := strings.Split(path.Dir(name), "/")
		for i := range dirs {
			if err := a.dir.Mkdir(path.Join(dirs[:i+1]...)); err != nil && !errors.Is(err, fs.ErrExist) {
				return "", err
			}
		}
		if err := a.dir.WriteNew(name, f.Content); err != nil {
			return "", err
		}
	}
	first := a.job.PolicyFiles[0]
	a.paths.policy = a.dir.Path(path.Join(policyDir, first.Path))
	return digest(first.Content), nil
}
