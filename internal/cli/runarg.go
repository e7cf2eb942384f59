package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// runArg is a run named by its id or by the path of its perf JSON, or of the copy
// in its directory.
type runArg struct {
	id   run.ID
	path string // empty: it was named by its id
	dir  string // the run's output directory, as the path has it
}

// parseRunArg reads an argument. The run need not be known, but a file must exist.
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

// whichRun are the flags of verbs that read a run's files and its bus.
type whichRun struct {
	outputDir string
	connect   connectFlags
}

func (f *whichRun) bind(fl *pflag.FlagSet) {
	fl.StringVar(&f.outputDir, "output-dir", "", "output directory of the run (default: from the run registry, else "+defaultOutputDir+")")
	f.connect.bind(fl, "", "URL of the bus, if it is not embedded")
}

// id is the run that arg names. The path of its file gives its output directory,
// unless the flag does.
func (f *whichRun) id(arg string) (run.ID, error) {
	a, err := parseRunArg(arg)
	f.outputDir = cmp.Or(f.outputDir, a.dir)
	return a.id, err
}

// place is where a run writes: where the flag says, else the run registry, else
// the default.
func (f *whichRun) place(id run.ID) (layout.Run, process.Entry, error) {
	e, err := lookUp(id)
	if err != nil {
		return layout.Run{}, e, err
	}
	dir, err := filepath.Abs(cmp.Or(f.outputDir, e.OutputDir, defaultOutputDir))
	if err != nil {
		return layout.Run{}, e, fmt.Errorf("--output-dir: %w", err)
	}
	return layout.Run{Dir: dir, RunID: id}, e, nil
}

// lookUp finds a run in the run registry; the entry of one that is not there is
// zero.
func lookUp(id run.ID) (process.Entry, error) {
	reg, err := process.OpenRegistry("")
	if err != nil {
		return process.Entry{}, err
	}
	e, err := reg.Get(id)
	if errors.Is(err, fs.ErrNotExist) {
		return process.Entry{}, nil
	}
	return e, err
}

// find is place for a run that is active or has files there.
func (f *whichRun) find(id run.ID) (layout.Run, process.Entry, error) {
	t, e, err := f.place(id)
	if err != nil || e.Alive {
		return t, e, err
	}
	for _, path := range []string{t.RunDir(), t.StateDir(), t.Perf()} {
		if _, err := os.Stat(path); err == nil {
			return t, e, nil
		}
	}
	return t, e, usagef("--output-dir DIR: the output directory of the run; coordinator status lists active runs", "run %s has no files in %s", id, t.Dir)
}

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

// perfPath is perfPathIn where a run's files are looked for.
func perfPath(text string) (string, error) { return perfPathIn("", text) }

// perfPathIn is the perf JSON that an argument names: an existing file, else that
// of the run with this id in an output directory (empty: as whichRun finds it). The
// directory of a run has its id, too, and is no file.
func perfPathIn(outputDir, text string) (string, error) {
	id, err := run.ParseID(text)
	if info, errStat := os.Stat(text); errStat == nil && !info.IsDir() || err != nil {
		return text, nil
	}
	t, _, err := (&whichRun{outputDir: outputDir}).find(id)
	return t.Perf(), err
}
