package run

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// PolicyFile is a file of a policy as it was written. It is the object
// FileObject(SHA256).
type PolicyFile struct {
	// Path is where it is, slash-separated, below a directory that holds all
	// files of the policy.
	Path   string `msgpack:"path" json:"path"`
	SHA256 string `msgpack:"sha256" json:"sha256"`
}

// Equal says whether p and o are the same policy, whatever the layout of the
// files that it was read from.
func (p Policy) Equal(o Policy) bool {
	return p.SHA256 == o.SHA256 && p.SHA256WithoutGate == o.SHA256WithoutGate && p.Name == o.Name && p.Content == o.Content
}

// Bounds of a policy's files.
const (
	maxPolicyFiles = 16
	maxPolicyPath  = 1024
)

// checkFiles checks the files of a policy that came from the bus or a file.
func (p Policy) checkFiles() error {
	if len(p.Files) > maxPolicyFiles {
		return fmt.Errorf("policy of %d files (at most %d)", len(p.Files), maxPolicyFiles)
	}
	for i, f := range p.Files {
		if len(f.Path) > maxPolicyPath || path.Clean(f.Path) != f.Path || !filepath.IsLocal(f.Path) || f.Path == "." || strings.ContainsAny(f.Path, "\\\x00") {
			return fmt.Errorf("policy: file %.80q (want a path below the policy's directory)", f.Path)
		}
		if err := checkSHA(f.SHA256); err != nil {
			return fmt.Errorf("policy: file %.80q: %w", f.Path, err)
		}
		for _, g := range p.Files[:i] {
			if f.Path == g.Path && f.SHA256 != g.SHA256 || strings.HasPrefix(f.Path, g.Path+"/") || strings.HasPrefix(g.Path, f.Path+"/") {
				return fmt.Errorf("policy: files %.80q and %.80q have one place", f.Path, g.Path)
			}
		}
	}
	return nil
}
