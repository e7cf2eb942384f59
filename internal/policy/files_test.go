package policy

import (
	"fmt"
	"testing"
)

// The files of a policy are kept byte for byte, at the same places to each
// other.
func TestFiles(t *testing.T) {
	const exits = "#  laid out by hand\nstop_bps:   4\n"
	for _, c := range []struct {
		name, policy, entry, exit string
		at                        map[string]string // further files, by path
		want                      string            // paths
	}{
		{name: "alone", want: "[p.yaml]"},
		{name: "beside it", exit: "x.yaml", at: map[string]string{"a/d/x.yaml": exits}, want: "[p.yaml x.yaml]"},
		{name: "below it", exit: "e/x.yaml", at: map[string]string{"a/d/e/x.yaml": exits}, want: "[p.yaml e/x.yaml]"},
		{name: "above it", entry: "../c/e.yaml", exit: "x.yaml", at: map[string]string{"a/c/e.yaml": "entry_threshold: 1\n", "a/d/x.yaml": exits}, want: "[d/p.yaml c/e.yaml d/x.yaml]"},
		{name: "in the working directory", exit: "e/x.yaml", at: map[string]string{"e/x.yaml": exits}, want: "[p.yaml e/x.yaml]"},
		{name: "by an absolute path", exit: "/e/x.yaml", at: map[string]string{"/e/x.yaml": exits}, want: "[p.yaml]"},
		{name: "not there", exit: "x.yaml", want: "[p.yaml]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "# by hand\npolicy_name:  p\n"
			if c.entry != "" {
				text += "entry_config: " + c.entry + "\n"
			}
			if c.exit != "" {
				text += "exit_config:  " + c.exit + "\n"
			}
			all := map[string]string{"a/d/p.yaml": text}
			for path, content := range c.at {
				all[path] = content
			}
			p, err := Load("a/d/p.yaml", Options{GateOnly: true, ReadFile: files(all)})
			if err != nil {
				t.Fatal(err)
			}
			paths := []string{}
			for _, f := range p.Files {
				paths = append(paths, f.Path)
			}
			if got := fmt.Sprint(paths); got != c.want {
				t.Errorf("files %s (want %s)", got, c.want)
			}
			if string(p.Files[0].Content) != text {
				t.Errorf("the policy file is\n%s(want\n%s)", p.Files[0].Content, text)
			}
			if n := len(p.Files); n > 1 && string(p.Files[n-1].Content) != exits {
				t.Errorf("the last include is\n%s(want\n%s)", p.Files[n-1].Content, exits)
			}
		})
	}
}
