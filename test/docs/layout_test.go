package docs

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/layout"
	"gx1replay/internal/run"
)

// TestPathsAreListed: docs/architecture.md lists every path that package layout
// knows, once, as that package makes it.
func TestPathsAreListed(t *testing.T) {
	paths := map[string]bool{}
	r := layout.Run{Dir: "<output-dir>", FallbackDir: "<fallback-dir>", RunID: "<run_id>"}
	for _, v := range []reflect.Value{reflect.ValueOf(r), reflect.ValueOf(layout.Work("<work-dir>"))} {
		for i := range v.NumMethod() {
			m := v.Method(i)
			if kind := m.Type(); kind.NumOut() != 1 || kind.Out(0) != reflect.TypeFor[string]() {
				continue
			}
			paths[pathOf(t, v.Type().Method(i).Name, m)] = true
		}
	}
	for _, name := range []string{
		layout.FooterFile, layout.StdoutLog, layout.StderrLog, layout.OutArchive, layout.OutDir, layout.TaskFile,
		layout.AttemptPolicy, layout.ProgressFile, layout.StopFile, layout.ReproduceScript,
	} {
		paths[filepath.Join("<attempt>", name)] = true
	}
	text := read(t, filepath.Join(root, "docs/architecture.md"))
	_, text, _ = strings.Cut(text, "\n## Files of a run\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		listed = append(listed, m[1])
	}
	for path := range paths {
		if !slices.Contains(listed, path) {
			t.Errorf("docs/architecture.md does not list `%s`", path)
		}
	}
	for at, path := range listed {
		if !paths[path] {
			t.Errorf("docs/architecture.md lists %s, which package layout does not make", path)
		}
		if slices.Index(listed, path) != at {
			t.Errorf("docs/architecture.md lists %s twice", path)
		}
	}
}

// pathOf calls a method of package layout with arguments that stand for any, in
// the order in which all of them take these.
func pathOf(t *testing.T, name string, m reflect.Value) string {
	t.Helper()
	ints, texts := []int{1111, 2222}, []string{"<sha256>", "<name>"}
	var args []reflect.Value
	for i := range m.Type().NumIn() {
		var arg any
		switch in := m.Type().In(i); in {
		case reflect.TypeFor[int]():
			arg, ints = ints[0], ints[1:]
		case reflect.TypeFor[string]():
			arg, texts = texts[0], texts[1:]
		case reflect.TypeFor[run.Ref]():
			arg = run.Ref{ID: "<run_id>", Incarnation: "<incarnation>"}
		default:
			t.Fatalf("method %s of package layout takes %s: add it here", name, in)
		}
		args = append(args, reflect.ValueOf(arg))
	}
	path := m.Call(args)[0].String()
	return strings.NewReplacer("1111", "<i>", "2222", "<n>").Replace(path)
}
