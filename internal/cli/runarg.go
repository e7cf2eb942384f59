package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// runArg is a run that an argument names: by its id, or by the path of its perf
// JSON, which may be the copy in the run's directory.
type runArg struct {
	id   run.ID
	path string // empty: it was named by its id
	dir  string // the run's output directory, as the path has it
}

// parseRunArg reads an argument. Whether the run is known is not looked at; a file
// has to be there.
func parseRunArg(text string) (runArg, error) {
	if !strings.HasSuffix(text, ".json") && !strings.ContainsRune(text, filepath.Separator) {
		id, err := run.ParseID(text)
		return runArg{id: id}, err
	}
	head, err := readHead(text)
	if err != nil {
		return runArg{}, err
	}
	path, err := filepath.Abs(text)
	if err != nil {
		return runArg{}, err
	}
	a := runArg{id: head.Report.RunID, path: path, dir: filepath.Dir(path)}
	if filepath.Base(a.dir) == string(a.id) {
		a.dir = filepath.Dir(a.dir)
	}
	return a, nil
}

// outputDir is where the run wrote: as a flag says, else as its file's path does;
// empty: neither says it.
func (a runArg) outputDir(flag string) string { return cmp.Or(flag, a.dir) }

// readHead reads the head of the perf JSON at path.
func readHead(path string) (perf.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return perf.File{}, err
	}
	defer f.Close() // it was read only
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return perf.File{}, fmt.Errorf("%s is no plain file (want a run's perf JSON)", path)
	}
	head, err := perf.ReadHead(f)
	if err != nil {
		return perf.File{}, fmt.Errorf("%s: %w", path, err)
	}
	return head, nil
}

// perfPath is the path of the perf JSON that an argument names: a file that is
// there, else the run of that id, where the run registry or the default has it.
func perfPath(text string) (string, error) {
	id, err := run.ParseID(text)
	if _, errStat := os.Stat(text); errStat == nil || err != nil {
		return text, nil
	}
	t, _, _, err := findRun(id, "")
	return t.Perf(), err
}
