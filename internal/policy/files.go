package policy

import (
	"path/filepath"
	"strings"
)

// File is a file of a policy as it was written.
type File struct {
	// Path is where it is, slash-separated, below the directory that holds all
	// files of the policy.
	Path    string
	Content []byte
}

// keepFile notes a file that the document consists of: the policy file itself,
// named by its path, or an include, named by a path relative to it. An include
// with an absolute path has no place beside the policy.
func (d *document) keepFile(named string, content []byte) {
	if len(d.p.Files) > 0 && filepath.IsAbs(named) {
		return
	}
	if len(d.p.Files) > 0 {
		named = filepath.Join(d.dir, named)
	}
	d.p.Files = append(d.p.Files, File{named, content})
}

// placeFiles makes the paths of the files relative to the directory that holds
// all of them. If they cannot be placed so, there are none.
func (d *document) placeFiles() {
	var dir string
	for i := range d.p.Files {
		path, err := filepath.Abs(d.p.Files[i].Path)
		if err != nil {
			d.p.Files = nil
			return
		}
		if d.p.Files[i].Path = path; i == 0 {
			dir = filepath.Dir(path)
		}
		for !strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") {
			dir = filepath.Dir(dir)
		}
	}
	for i := range d.p.Files {
		rel, err := filepath.Rel(dir, d.p.Files[i].Path)
		if err != nil || !filepath.IsLocal(rel) {
			d.p.Files = nil
			return
		}
		d.p.Files[i].Path = filepath.ToSlash(rel)
	}
}
