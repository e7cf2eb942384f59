package docs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gx1replay/internal/cli"
	"gx1replay/internal/process"
	"gx1replay/test/selfexec"
)

// TestMain is both programs, too, when it is called by their names: the
// documents' commands then run what these tests were built from.
func TestMain(m *testing.M) {
	p := cli.Main(os.Stdin, os.Stdout, os.Stderr)
	switch filepath.Base(os.Args[0]) {
	case "coordinator", process.GuardName:
		selfexec.Exit(p.Coordinator(context.Background(), os.Args[1:]))
	case "chunkworker":
		selfexec.Exit(p.ChunkWorker(context.Background(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// root is the module's directory; tests run in their package's.
const root = "../.."

// document is one Markdown file.
type document struct {
	name string // below root
	text string
}

// documents reads every document but the two that ownDocuments reads.
func documents(t *testing.T) []document {
	t.Helper()
	var list []document
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "deploy/*.md", "deploy/*/*.md", "examples/*.md", "examples/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			if name == "docs/policy.md" || name == "docs/engine.md" {
				continue
			}
			list = append(list, document{name, read(t, path)})
		}
	}
	if len(list) < 8 {
		t.Fatalf("%d documents found (want README, CONTRIBUTING, CHANGELOG, docs and decisions)", len(list))
	}
	return list
}

// ownDocuments reads the documents of the policy and the engine. They mention
// keys and columns that are held by the tests of their packages.
func ownDocuments(t *testing.T) []document {
	t.Helper()
	var list []document
	for _, name := range []string{"docs/policy.md", "docs/engine.md"} {
		list = append(list, document{name, read(t, filepath.Join(root, name))})
	}
	return list
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// block is a fenced block.
type block struct {
	info string // what stands behind the fence: "sh run"
	text string
}

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

func (d document) blocks() []block {
	var list []block
	for _, m := range fence.FindAllStringSubmatch(d.text, -1) {
		list = append(list, block{m[1], m[2]})
	}
	return list
}

var span = regexp.MustCompile("`([^`\n]+)`")

// spans are the code spans outside of fenced blocks.
func spans(text string) []string {
	var list []string
	for _, m := range span.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		list = append(list, m[1])
	}
	return list
}

// snippets are the code spans and the lines of shell blocks.
func (d document) snippets() []string {
	list := spans(d.text)
	for _, b := range d.blocks() {
		if strings.HasPrefix(b.info, "sh") {
			list = append(list, strings.Split(strings.TrimSpace(b.text), "\n")...)
		}
	}
	return list
}

// install puts both programs into dir.
func install(t *testing.T, dir string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"coordinator", "chunkworker"} {
		if err := link(exe, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// link makes a hard link, or a copy where that cannot be.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
