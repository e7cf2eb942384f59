//go:build linux

package ends

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gx1replay/test/drive"
)

// tables are the rows of docs/ends.md below each of its headings, in cells.
func tables(t *testing.T) map[string][][]string {
	t.Helper()
	root, err := drive.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "ends.md"))
	if err != nil {
		t.Fatal(err)
	}
	found, heading := map[string][][]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			heading = name
		}
		if strings.HasPrefix(line, "|") {
			found[heading] = append(found[heading], cells(line))
		}
	}
	for heading, rows := range found {
		found[heading] = rows[min(2, len(rows)):] // below the head and its rule
	}
	return found
}

// cells splits a row of a table. A bar that is text has a backslash.
func cells(line string) (list []string) {
	const bar = "\x00"
	line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, bar)
	for cell := range strings.SplitSeq(line, "|") {
		list = append(list, strings.ReplaceAll(strings.TrimSpace(cell), bar, `\|`))
	}
	return list
}

// quoted are the values in a cell.
var quoted = regexp.MustCompile("`([^`]+)`")

// values joins what stands in a cell in backquotes.
func values(cell string) string {
	var list []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	return strings.Join(list, " or ")
}

// TestEveryRowIsATest: the tables of docs/ends.md and the lists of ways are
// the same, row by row and value by value. What each row says is what
// TestEnds, TestKills and TestHarmless find.
func TestEveryRowIsATest(t *testing.T) {
	ways := map[string]Way{}
	for _, w := range append(Ways(), Harmless()...) {
		if _, twice := ways[w.Name]; twice {
			t.Errorf("there are two ways %q", w.Name)
		}
		ways[w.Name] = w
	}
	for _, name := range everyday {
		if _, ok := ways[name]; !ok {
			t.Errorf("there is no way %q, which is to run every day", name)
		}
	}
	number := regexp.MustCompile(`^\d+`)
	all := tables(t)
	for heading, columns := range map[string]int{"Stops": 5, "Kills": 5, "What ends nothing": 3} {
		for _, row := range all[heading] {
			if len(row) != columns {
				t.Errorf("%s: %q has %d cells (expected %d)", heading, row, len(row), columns)
				continue
			}
			w, ok := ways[row[0]]
			if !ok {
				t.Errorf("%s: no test does %q", heading, row[0])
				continue
			}
			delete(ways, row[0])
			if columns == 3 {
				continue
			}
			if w.Killed() != (heading == "Kills") {
				t.Errorf("%s stands below %s", row[0], heading)
			}
			code, _ := strconv.Atoi(number.FindString(row[4])) // none is as good as a wrong one
			if source, mode := values(row[2]), values(row[3]); source != w.Source || mode != w.Mode || code != w.Code || row[4] == "" {
				t.Errorf("%s: the document says %q, %q, %d (its test finds %q, %q, %d)", row[0], source, mode, code, w.Source, w.Mode, w.Code)
			}
		}
		delete(all, heading)
	}
	for name := range ways {
		t.Errorf("docs/ends.md has no row %q", name)
	}
	for heading := range all {
		t.Errorf("docs/ends.md has a table below %q that no test holds", heading)
	}
}
