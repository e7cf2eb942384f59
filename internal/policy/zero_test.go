package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// scalars are the paths of all values of a map that are numbers or durations.
func numbersOf(n *node, path string) []string {
	var out []string
	for _, p := range n.pairs {
		at := join(path, p.key.text)
		out = append(out, numbersOf(p.val, at)...)
		_, isNumber := p.val.number()
		_, err := time.ParseDuration(p.val.text)
		if p.val.kind == scalar && (isNumber || err == nil) {
			out = append(out, at)
		}
	}
	return out
}

// A number that is given as 0 is 0, or it is refused by its name: for every
// number of ownedPolicy, which has every key (TestOwnedPolicyIsWhole).
func TestZeroIsAValue(t *testing.T) {
	var errs Errors
	root := parseTree("p.yaml", []byte(ownedPolicy), &errs)
	paths := numbersOf(root, "")
	if len(paths) < 30 || len(errs) > 0 {
		t.Fatalf("%d numbers, %v", len(paths), errs)
	}
	kept, refused := 0, 0
	for _, path := range paths {
		root := parseTree("p.yaml", []byte(ownedPolicy), &errs)
		n := root
		for _, step := range strings.Split(path, ".") {
			n = n.get(step)
		}
		if _, isNumber := n.number(); isNumber {
			n.text, n.tag = "0", "!!int"
		} else {
			n.text = "0s"
		}
		p, err := Parse("p.yaml", root.content(), Options{RefuseMistakes: true, NeedModel: true})
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), "want") {
				t.Errorf("%s of 0: %v (want the key and what it takes)", path, err)
			}
			continue
		}
		kept++
		b, err := p.Values(false)
		if err != nil {
			t.Fatal(err)
		}
		v := parseTree("values", b, &errs)
		for _, step := range strings.Split(path, ".") {
			v = v.get(step)
		}
		if v == nil {
			t.Errorf("%s of 0 is no value in effect: %s", path, b)
			continue
		}
		if f, ok := v.number(); (!ok || f != 0) && v.text != "0s" {
			t.Errorf("%s of 0 is %s in effect", path, fmt.Sprint(v.text))
		}
	}
	if kept < 8 || refused < 12 || len(errs) > 0 {
		t.Errorf("%d kept, %d refused, %v", kept, refused, errs)
	}
	// As files and values of earlier versions have it.
	if p := parse(t, "entry: {max_gap: 0s}", Options{}); p.Entry.MaxGap != 0 {
		t.Errorf("max_gap %v", p.Entry.MaxGap)
	}
}
