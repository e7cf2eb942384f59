//go:build linux

package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gx1replay/test/drive"
)

// Every bug still applies to the sources as they are, and leaves Go.
func TestBugsApply(t *testing.T) {
	root, err := drive.Root()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(bugs()); n != 8 {
		t.Errorf("there are %d bugs (want the eight)", n)
	}
	for _, b := range bugs() {
		source, err := os.ReadFile(filepath.Join(root, b.file))
		if err != nil {
			t.Error(err)
			continue
		}
		wrong, err := b.apply(string(source))
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
			continue
		}
		if wrong == string(source) {
			t.Errorf("%s: nothing is changed", b.name)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), b.file, wrong, 0); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		if !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(b.name) || b.what == "" || b.says == "" {
			t.Errorf("%s: it lacks words, or its name makes no build tag", b.name)
		}
	}
}

// The tests that are to catch a bug are there, so that a name that was
// changed does not pass for a caught bug.
func TestCatchersAreThere(t *testing.T) {
	root, err := drive.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs() {
		i := slices.Index(b.command, "-run")
		if i < 0 {
			t.Errorf("%s: no test is named that catches it", b.name)
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, b.command[len(b.command)-1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		there := slices.ContainsFunc(files, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(text), "func "+b.command[i+1]+"(")
		})
		if !there {
			t.Errorf("%s: there is no %s in %s", b.name, b.command[i+1], b.command[len(b.command)-1])
		}
	}
}

// A substitution whose text is not there once fails loudly.
func TestApplyIsStrict(t *testing.T) {
	b := bug{file: "x.go", subs: []substitution{{"a", "b"}}}
	for source, want := range map[string]string{"": "0 times", "aa": "2 times"} {
		if _, err := b.apply(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v (want %s)", source, err, want)
		}
	}
	if got, err := b.apply("xay"); err != nil || got != "xby" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestChoose(t *testing.T) {
	if list, err := choose("best-dropped,ack-first"); err != nil || len(list) != 2 || list[1].name != "ack-first" {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := choose("none"); err == nil {
		t.Error("a bug that does not exist is chosen")
	}
}
