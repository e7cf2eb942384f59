package run

import (
	"strings"
	"testing"
)

func TestPolicyFiles(t *testing.T) {
	sha := strings.Repeat("a", 64)
	for _, c := range []struct {
		name  string
		paths []string
		ok    bool
	}{
		{"none", nil, true},
		{"a policy and its includes", []string{"p/policy.yaml", "c/entry.yaml", "p/exits/x.yaml"}, true},
		{"one that is included twice", []string{"policy.yaml", "x.yaml", "x.yaml"}, true},
		{"outside", []string{"../policy.yaml"}, false},
		{"outside, hidden", []string{"p/../../policy.yaml"}, false},
		{"absolute", []string{"/etc/passwd"}, false},
		{"empty", []string{""}, false},
		{"the directory", []string{"."}, false},
		{"a zero byte", []string{"p\x00.yaml"}, false},
		{"a file as a directory", []string{"p", "p/x.yaml"}, false},
		{"too long", []string{strings.Repeat("p", maxPolicyPath+1)}, false},
		{"too many", strings.Split(strings.Repeat("p,", maxPolicyFiles)+"p", ","), false},
	} {
		var p Policy
		for _, path := range c.paths {
			p.Files = append(p.Files, PolicyFile{path, sha})
		}
		if err := p.checkFiles(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if (Policy{Files: []PolicyFile{{"p.yaml", "none"}}}).checkFiles() == nil {
		t.Error("a file without a digest is taken")
	}
}
