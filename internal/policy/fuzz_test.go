package policy

import (
	"path/filepath"
	"reflect"
	"testing"
)

// A policy that parses is one that its Content parses to again; nothing else
// panics or comes without a position.
func FuzzParse(f *testing.F) {
	seeds := []string{full, "{}", "a: !!binary |\n  aGk=\n", "? |\n  x\n: [~, !t {}, !u [], '', \"\\u2028\"]\n",
		"...: 1\n---: 2\n", "a: 1\n---\nb: 2\n", "a: &x {b: 1}\nc: {<<: *x, b: 2}\n", "~: 1\n'~': 2\n1: 3\n'1': 4\n"}
	for _, pattern := range []string{"testdata/*.yaml", "testdata/original/*.yaml", examples + "/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("no seeds %s: %v", pattern, err)
		}
		for _, name := range names {
			seeds = append(seeds, string(readFile(f, name)))
		}
	}
	for i, s := range seeds {
		f.Add([]byte(s), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, doc []byte, gateOnly bool) {
		opt := Options{GateOnly: gateOnly}
		p, err := Parse("fuzz.yaml", doc, opt)
		if err != nil {
			if all, ok := err.(Errors); !ok || len(all) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := Parse("fuzz.yaml", p.Content, opt)
		if err != nil {
			t.Fatalf("content: %v\n%s", err, p.Content)
		}
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("got %+v\nwant %+v\n%s", again, p, p.Content)
		}
		checkValues(t, p, gateOnly)
	})
}
