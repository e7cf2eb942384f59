package execengine

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// lastWords is how many lines at the end of standard error are looked at: what
// a command died of stands there, and numpy explains a failed import in twenty.
const lastWords = 40

// missing is a way in which a command finds that something is not there.
type missing struct {
	text *regexp.Regexp // in the last lines of standard error
	vars []string       // variables, or globs of them, that say where to look
}

var (
	pythonVars  = []string{"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV", "CONDA_*", "PYENV_*"}
	libraryVars = []string{"LD_LIBRARY_PATH", "DYLD_*", "CONDA_*"}
	programVars = []string{"VIRTUAL_ENV", "CONDA_*", "PYENV_*", "NVM_*", "JAVA_HOME", "LD_LIBRARY_PATH"}
)

// noLibrary is what the dynamic linkers of Linux and macOS say.
var noLibrary = regexp.MustCompile(`error while loading shared libraries: |cannot open shared object file|(?i:library not loaded)`)

// missings are those that we know, beside an exception of Python.
var missings = []missing{
	{regexp.MustCompile(`(?m)^\S*python\S*: (No module named |can't open file |Error while finding module specification )`), pythonVars},
	{noLibrary, libraryVars},
	{regexp.MustCompile(`there is no package called `), []string{"R_LIBS", "R_LIBS_*", "R_HOME", "R_PROFILE*", "R_ENVIRON*", "RENV_*", "CONDA_*"}},
	{regexp.MustCompile(`Cannot find (module|package) ['"]`), []string{"NODE_PATH", "NODE_OPTIONS", "NVM_*"}},
	{regexp.MustCompile(`ArgumentError: Package .* not found in current path`), []string{"JULIA_*"}},
	{regexp.MustCompile(`(?m)^Error: Could not find or load main class `), []string{"CLASSPATH", "JAVA_*"}},
}

// An exception's line at the end of a traceback of Python: it begins with its
// type.
var (
	pythonException = regexp.MustCompile(`^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning|Failure|Timeout)\b(?::|$)`)
	pythonImport    = regexp.MustCompile(`^(?:ModuleNotFoundError|ImportError)\b`)
)

// ImportError says that the end of standard error is that of a program which
// found its modules, libraries or packages missing.
func ImportError(stderr string) bool { return len(lookedFor(stderr)) > 0 }

// lookedFor are the variables that matter to what was missing; none: nothing
// was.
func lookedFor(stderr string) []string {
	lines := strings.Split(strings.TrimRight(stderr, "\r\n \t"), "\n")
	lines = lines[max(0, len(lines)-lastWords):]
	// Of Python's exceptions the last one counts: an import that failed and was
	// handled is no matter.
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimRight(line, "\r"); pythonException.MatchString(line) {
			if !pythonImport.MatchString(line) {
				return nil
			}
			if noLibrary.MatchString(line) {
				return slices.Concat(pythonVars, libraryVars)
			}
			return pythonVars
		}
	}
	text := strings.Join(lines, "\n")
	for _, m := range missings {
		if m.text.MatchString(text) {
			return m.vars
		}
	}
	return nil
}

var (
	// notText is what readers of text say of a parquet file.
	notText = regexp.MustCompile(`(?m)^(?:[\w.]+\.)?(?:UnicodeDecodeError|ParserError|Error: line contains NUL|_csv\.Error)\b`)
	// noParquet is what pandas says where nothing reads parquet files, and what
	// readers of parquet files say of CSV.
	noParquet = regexp.MustCompile(`parquet support|(?i:parquet magic|magic bytes not found)`)
)

// SliceHint says that a command whose last lines on standard error are these
// may want its slices in the other format. Empty: there is nothing to say.
func SliceHint(format, stderr string) string {
	switch {
	case format == "parquet" && notText.MatchString(stderr):
		return "{slice} is a parquet file; --slice-format csv makes it CSV"
	case format == "parquet" && noParquet.MatchString(stderr):
		return "--slice-format csv needs no reader of parquet files"
	case format == "csv" && noParquet.MatchString(stderr):
		return "{slice} is a CSV file; --slice-format parquet makes it parquet"
	}
	return ""
}

// Hint says which variables that are set here, and that --exec-env did not let
// through (withheld), may be what a command missed that ended with that exit
// code (126, 127) or these last lines on standard error. Empty: there is
// nothing to say.
func Hint(code int, stderr string, withheld []string) string {
	if code == 0 {
		return ""
	}
	vars := lookedFor(stderr)
	if len(vars) == 0 && (code == exitNotExecutable || code == exitNotFound) {
		vars = programVars
	}
	var names, flags []string
	for _, pattern := range vars {
		var some []string
		for _, name := range withheld {
			if ok, _ := path.Match(pattern, name); ok && !slices.Contains(names, name) {
				some = append(some, name)
			}
		}
		names = append(names, some...)
		switch len(some) {
		case 0:
		case 1:
			flags = append(flags, "--exec-env "+some[0])
		default:
			flags = append(flags, "--exec-env '"+pattern+"'")
		}
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s is set here and was not passed: %s", names[0], flags[0])
	}
	return fmt.Sprintf("%s and %s are set here and were not passed: %s",
		strings.Join(names[:len(names)-1], ", "), names[len(names)-1], strings.Join(flags, " "))
}
