package docs

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestStopSourcesAreDocumented holds the row `stop` of docs/perf-json.md against
// the sources that a stop may have.
func TestStopSourcesAreDocumented(t *testing.T) {
	sources := regexp.MustCompile(`(?m)^\tSource\w+ +Source = "(\w+)"`).FindAllStringSubmatch(read(t, filepath.Join(root, "internal/run/stop.go")), -1)
	if len(sources) < 2 {
		t.Fatalf("internal/run/stop.go: %d sources of a stop were found (want all)", len(sources))
	}
	_, row, _ := strings.Cut(read(t, filepath.Join(root, "docs/perf-json.md")), "\n| `stop` |")
	row, _, _ = strings.Cut(row, "\n")
	for _, s := range sources {
		if !strings.Contains(row, "`"+s[1]+"`") {
			t.Errorf("docs/perf-json.md: the row of `stop` lacks the source `%s`", s[1])
		}
	}
}
