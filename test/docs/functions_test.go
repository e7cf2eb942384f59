package docs

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFunctionsAreThere: the functions that docs/architecture.md names beside a
// file are in that file.
func TestFunctionsAreThere(t *testing.T) {
	text := read(t, filepath.Join(root, "docs/architecture.md"))
	pairs := regexp.MustCompile("`(internal/[a-z0-9/]+\\.go)` `([A-Za-z.]+)`").FindAllStringSubmatch(text, -1)
	if len(pairs) < 30 {
		t.Errorf("%d functions beside their files found (want 30 or more)", len(pairs))
	}
	for _, p := range pairs {
		src, name := read(t, filepath.Join(root, p[1])), p[2]
		decl := "\nfunc " + regexp.QuoteMeta(name) + `\b`
		if of, method, ok := strings.Cut(name, "."); ok {
			decl = `\nfunc \((?:[a-z] )?\*?` + of + `\) ` + method + `\b`
		}
		if !regexp.MustCompile(decl).MatchString(src) {
			t.Errorf("docs/architecture.md: %s has no function %s", p[1], name)
		}
	}
}
