package docs

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPackagesAreListedInOrder: CONTRIBUTING.md lists every package of
// internal/, and each imports only packages above it.
func TestPackagesAreListedInOrder(t *testing.T) {
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^internal/([a-z0-9]+) `).FindAllStringSubmatch(read(t, filepath.Join(root, "CONTRIBUTING.md")), -1) {
		listed = append(listed, m[1])
	}
	entries, err := os.ReadDir(filepath.Join(root, "internal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(listed, e.Name()) {
			t.Errorf("CONTRIBUTING.md does not list internal/%s", e.Name())
		}
	}
	for at, name := range listed {
		if slices.Index(listed, name) != at {
			t.Errorf("CONTRIBUTING.md lists internal/%s twice", name)
		}
		used, err := imports(filepath.Join(root, "internal", name))
		if err != nil {
			t.Errorf("internal/%s, which CONTRIBUTING.md lists: %v", name, err)
		}
		for _, other := range used {
			if other != name && slices.Index(listed, other) > at {
				t.Errorf("internal/%s imports internal/%s, which stands below it in CONTRIBUTING.md", name, other)
			}
		}
	}
}

// imports lists the packages of internal/ that the product's files below dir
// import.
func imports(dir string) ([]string, error) {
	var list []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if rest, ours := strings.CutPrefix(name, "gx1replay/internal/"); ours {
				name, _, _ = strings.Cut(rest, "/")
				list = append(list, name)
			}
		}
		return nil
	})
	return list, err
}
