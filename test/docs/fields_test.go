package docs

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/perf"
)

// TestFieldsAreDocumented holds docs/perf-json.md against the file of a real
// run: every field of the file has its row, and every row its field.
func TestFieldsAreDocumented(t *testing.T) {
	s := newShell(t)
	s.run(t, "coordinator run --policy examples/policies/minimal.yaml --data synthetic:600 --chunks 2 --run-id fields")
	var file map[string]any
	decode(t, read(t, filepath.Join(s.dir, "reports", "replay_eval", "GATED", "perf_fields.json")), &file)
	text := read(t, filepath.Join(root, "docs", "perf-json.md"))

	run := rows(t, text, "The run")
	same(t, "the run", file, run)
	// What is in an object stands in its row.
	for name, v := range file {
		if list, ok := v.([]any); ok && name != "chunks" && len(list) > 0 {
			v = list[0]
		}
		object, ok := v.(map[string]any)
		if !ok || name == "chunks_statuses" {
			continue
		}
		if by, ok := object["by_status"].(map[string]any); ok {
			maps.Copy(object, by["ok"].(map[string]any))
		}
		for field := range object {
			if !slices.Contains(spans(run[name]), field) {
				t.Errorf("docs/perf-json.md, %s: %s.%s is not documented", name, name, field)
			}
		}
	}

	chunks := file["chunks"].([]any)
	same(t, "the footer", chunks[0].(map[string]any), rows(t, text, "The footer"))

	b, err := perf.AppendStub(nil, perf.Stub{RunID: "fields"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stub map[string]any
	decode(t, string(b), &stub)
	same(t, "the stub", stub, rows(t, text, "The stub"))
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
}

// rows reads the table of a section: each code span of a first cell, with the
// rest of its row.
func rows(t *testing.T, text, section string) map[string]string {
	t.Helper()
	_, text, ok := strings.Cut(text, "\n## "+section+"\n")
	if !ok {
		t.Fatalf("docs/perf-json.md has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (.*?) \|(.*)$`).FindAllStringSubmatch(text, -1) {
		for _, name := range spans(m[1]) {
			if _, twice := found[name]; twice {
				t.Errorf("docs/perf-json.md, %s: %s has two rows", section, name)
			}
			found[name] = m[2]
		}
	}
	return found
}

func same(t *testing.T, what string, file map[string]any, documented map[string]string) {
	t.Helper()
	for name := range file {
		if _, ok := documented[name]; !ok {
			t.Errorf("docs/perf-json.md, %s: %s is not documented", what, name)
		}
	}
	for name := range documented {
		if _, ok := file[name]; !ok {
			t.Errorf("docs/perf-json.md, %s: there is no field %s", what, name)
		}
	}
}
