package thirdparty

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "gx1replay/internal/cli" // so that no cached result stands once the programs link something else
)

var update = flag.Bool("update", false, "write THIRD_PARTY.md anew")

const (
	root = "../.."
	file = "THIRD_PARTY.md"
)

// module is one that the programs link, with the licences that stand in it.
type module struct {
	path, version, dir string
	packages           map[string]bool // directories of the packages that are linked
	texts              []text
}

// text is a file of a licence.
type text struct{ name, content string }

// TestThirdParty holds THIRD_PARTY.md against what the two programs link.
func TestThirdParty(t *testing.T) {
	if _, err := os.ReadFile(filepath.Join(root, "go.mod")); err != nil { // nor once this file is another
		t.Fatal(err)
	}
	list := linked(t)
	std, ok := goItself(t)
	if !ok {
		t.Skipf("%s has no LICENSE: this Go is a distribution's", std.dir)
	}
	list = append([]module{std}, list...)
	for _, m := range list {
		if len(m.texts) == 0 {
			t.Errorf("%s %s has no file of a licence", m.path, m.version)
		}
		for _, x := range m.texts {
			for _, kind := range kindsOf(x.content) {
				if slices.Contains(forbidden, kind) {
					t.Errorf("%s %s: %s is under %s", m.path, m.version, x.name, kind)
				}
			}
		}
	}
	want := document(list)
	path := filepath.Join(root, file)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the programs link; make it anew: go test ./test/thirdparty -update", file)
	}
}

// linked lists the modules of both programs, on the systems that they are built
// for, by path.
func linked(t *testing.T) []module {
	t.Helper()
	found := map[string]*module{}
	for _, system := range []string{"linux", "darwin"} {
		for _, arch := range []string{"amd64", "arm64"} {
			cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module", "./cmd/coordinator", "./cmd/chunkworker")
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOPROXY=off")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("listing what the programs link: %v\n%s", err, stderr.Bytes())
			}
			dec := json.NewDecoder(bytes.NewReader(out))
			for {
				var p struct {
					Dir    string
					Module *struct {
						Path, Version, Dir string
						Main               bool
						Replace            *struct{ Path, Version, Dir string }
					}
				}
				if err := dec.Decode(&p); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if p.Module == nil || p.Module.Main {
					continue
				}
				if p.Module.Replace != nil {
					t.Fatalf("%s is replaced by %s: which licence has it?", p.Module.Path, p.Module.Replace.Path)
				}
				m := found[p.Module.Path]
				if m == nil {
					m = &module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir, packages: map[string]bool{}}
					found[m.path] = m
				}
				m.packages[p.Dir] = true
			}
		}
	}
	var list []module
	for _, m := range found {
		m.read(t)
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return list
}

// read reads the licences of the packages that are linked: those in their own
// directories and in the ones above, up to the module's.
func (m *module) read(t *testing.T) {
	t.Helper()
	dirs := map[string]bool{m.dir: true}
	for dir := range m.packages {
		for ; strings.HasPrefix(dir, m.dir+string(filepath.Separator)); dir = filepath.Dir(dir) {
			dirs[dir] = true
		}
	}
	for dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !isLicence(e.Name()) {
				continue
			}
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(m.dir, filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			m.texts = append(m.texts, text{filepath.ToSlash(rel), string(b)})
		}
	}
	slices.SortFunc(m.texts, func(a, b text) int { return strings.Compare(a.name, b.name) })
}

func isLicence(name string) bool {
	name = strings.ToLower(name)
	if ext := filepath.Ext(name); ext != "" && ext != ".txt" && ext != ".md" && ext != ".mit" {
		return false
	}
	for _, begin := range []string{"license", "licence", "copying", "notice", "patents", "unlicense", "copyright"} {
		if strings.HasPrefix(name, begin) {
			return true
		}
	}
	return false
}

// goItself is the standard library and the runtime, of the version that go.mod
// names.
func goItself(t *testing.T) (module, bool) {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.GoVersion}}")
	cmd.Dir = root
	version, err := cmd.Output()
	if err != nil {
		t.Fatalf("asking for the version of Go: %v", err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("asking for GOROOT: %v", err)
	}
	m := module{path: "Go: standard library and runtime", version: strings.TrimSpace(string(version)) + " or later", dir: strings.TrimSpace(string(goroot))}
	if _, err := os.Stat(filepath.Join(m.dir, "LICENSE")); errors.Is(err, fs.ErrNotExist) {
		return m, false
	}
	m.read(t)
	return m, true
}

// document is the file.
func document(list []module) []byte {
	var b bytes.Buffer
	b.WriteString(`# Third-party licences

What the programs coordinator and chunkworker link, on Linux and macOS. The names of licences are recognised by
phrases of their texts; the texts count, and stand below. Made by ` + "`go test ./test/thirdparty -update`" + `.

| module | version | licence | text |
|---|---|---|---|
`)
	var texts []text // each once, by its digest
	users := map[string][]string{}
	for _, m := range list {
		for _, x := range m.texts {
			sum := fmt.Sprintf("%x", sha256.Sum256([]byte(x.content)))
			fmt.Fprintf(&b, "| %s | %s | %s | %s, SHA-256 %.16s |\n", m.path, m.version, strings.Join(kindsOf(x.content), ", "), x.name, sum)
			if users[sum] == nil {
				texts = append(texts, text{sum, x.content})
			}
			users[sum] = append(users[sum], m.path+" "+x.name)
		}
	}
	for _, x := range texts {
		fmt.Fprintf(&b, "\n## SHA-256 %.16s\n\n%s\n\n````text\n%s\n````\n", x.name, strings.Join(users[x.name], "; "), strings.TrimRight(strings.ReplaceAll(x.content, "\r\n", "\n"), "\n"))
	}
	return b.Bytes()
}
