package policy

import (
	"os"
	"path/filepath"
	"testing"
)

const examples = "../../examples/policies"

func TestExamplesLoadStrictly(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("found %v (%v), want three or more examples", files, err)
	}
	for _, file := range files {
		p, err := Load(file, Options{NeedModel: true, Strict: true})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		checkRoundTrip(t, p, Options{NeedModel: true, Strict: true})
		if p.Exit.MaxBars == 0 {
			t.Errorf("%s: an example whose trades may last to the data's end", file)
		}
	}
}

// The two halves of the A/B example differ in the gate's switch and in their
// name alone.
func TestExamplesGatedAndUngatedDifferInTheGateAlone(t *testing.T) {
	on := load(t, filepath.Join(examples, "gated.yaml"), Options{})
	off := load(t, filepath.Join(examples, "ungated.yaml"), Options{})
	if !on.Pregate.Enabled || off.Pregate.Enabled {
		t.Errorf("gate is %t and %t, want true and false", on.Pregate.Enabled, off.Pregate.Enabled)
	}
	if on.SHA256WithoutGate != off.SHA256WithoutGate {
		t.Error("sha256_without_gate differs")
	}
	if on.SHA256 == off.SHA256 {
		t.Error("sha256 is the same")
	}
}

// The lines that an error shows to paste are a model.
func TestModelExampleIsAModel(t *testing.T) {
	var doc string
	for line := range lines(modelExample) {
		if len(line) > 2 {
			doc += line[2:] + "\n"
		}
	}
	if _, err := Parse("pasted.yaml", []byte(doc), Options{NeedModel: true, Strict: true}); err != nil {
		t.Errorf("%v\n%s", err, doc)
	}
}

func load(t *testing.T, path string, opt Options) Policy {
	t.Helper()
	p, err := Load(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t *testing.T, doc string, opt Options) Policy {
	t.Helper()
	p, err := Parse("p.yaml", []byte(doc), opt)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return p
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
