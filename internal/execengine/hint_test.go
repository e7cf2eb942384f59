package execengine

import (
	"strings"
	"testing"
)

const noPandas = `Traceback (most recent call last):
  File "/home/u/replay.py", line 3, in <module>
    import pandas as pd
ModuleNotFoundError: No module named 'pandas'
`

const noNumpy = `Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import numpy
ImportError: 

IMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!

Importing the numpy C-extensions failed. This error can happen for
many reasons, often due to issues with your setup or how NumPy was
installed.

Original error was: No module named 'numpy.core._multiarray_umath'
`

// handled is an import that failed and was handled, and another error.
const handled = `Traceback (most recent call last):
  File "x.py", line 2, in <module>
ImportError: No module named fast

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "x.py", line 4, in <module>
    raise ValueError("bad bar")
ValueError: bad bar
`

const noCUDA = "Traceback (most recent call last):\nImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory\n"

func TestHint(t *testing.T) {
	here := strings.Fields("CONDA_EXE CONDA_PREFIX JULIA_PROJECT LD_LIBRARY_PATH LS_COLORS NODE_PATH PYENV_ROOT PYTHONPATH R_LIBS_USER SECRET VIRTUAL_ENV")
	for _, c := range []struct {
		name     string
		code     int
		stderr   string
		withheld []string
		want     string
		isImport bool
	}{
		{name: "nothing", code: 1, withheld: here},
		{name: "one", code: 1, stderr: noPandas, withheld: []string{"PYTHONPATH"}, want: "PYTHONPATH is set here and was not passed: --exec-env PYTHONPATH", isImport: true},
		{
			name: "several", code: 78, stderr: noPandas, withheld: here, isImport: true,
			want: "PYTHONPATH, VIRTUAL_ENV, CONDA_EXE, CONDA_PREFIX and PYENV_ROOT are set here and were not passed: --exec-env PYTHONPATH --exec-env VIRTUAL_ENV --exec-env 'CONDA_*' --exec-env PYENV_ROOT",
		},
		{name: "none that matters", code: 1, stderr: noPandas, withheld: []string{"SECRET", "R_LIBS"}, isImport: true},
		{name: "a long message", code: 1, stderr: noNumpy, withheld: []string{"PYTHONPATH"}, want: "PYTHONPATH is set here and was not passed: --exec-env PYTHONPATH", isImport: true},
		{name: "handled", code: 1, stderr: handled, withheld: here},
		{name: "long ago", code: 1, stderr: noPandas + strings.Repeat("log\n", 50), withheld: here},
		{name: "it ended well", code: 0, stderr: noPandas, withheld: here, isImport: true},
		{name: "windows", code: 1, stderr: strings.ReplaceAll(noPandas, "\n", "\r\n"), withheld: []string{"PYTHONPATH"}, want: "PYTHONPATH is set here and was not passed: --exec-env PYTHONPATH", isImport: true},
		{name: "script", code: 2, stderr: "/usr/bin/python3: can't open file '/x/y.py': [Errno 2] No such file or directory", isImport: true},
		{name: "module", code: 1, stderr: "/opt/bin/python3.11: No module named replay\n", withheld: []string{"PYTHONPATH"}, want: "PYTHONPATH is set here and was not passed: --exec-env PYTHONPATH", isImport: true},
		{name: "library of a module", code: 1, stderr: noCUDA, withheld: []string{"LD_LIBRARY_PATH", "PYTHONPATH"}, want: "PYTHONPATH and LD_LIBRARY_PATH are set here and were not passed: --exec-env PYTHONPATH --exec-env LD_LIBRARY_PATH", isImport: true},
		{name: "library", code: 127, stderr: "./replay: error while loading shared libraries: libx.so.1: cannot open shared object file", withheld: []string{"LD_LIBRARY_PATH"}, want: "LD_LIBRARY_PATH is set here and was not passed: --exec-env LD_LIBRARY_PATH", isImport: true},
		{name: "R", code: 1, stderr: "Error in library(xts) : there is no package called ‘xts’\nExecution halted\n", withheld: here, want: "R_LIBS_USER, CONDA_EXE and CONDA_PREFIX are set here and were not passed: --exec-env R_LIBS_USER --exec-env 'CONDA_*'", isImport: true},
		{name: "node", code: 1, stderr: "node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\n\nError: Cannot find module 'fast-csv'\nRequire stack:\n- /x/y.js\n\nNode.js v18.19.0\n", withheld: here, want: "NODE_PATH is set here and was not passed: --exec-env NODE_PATH", isImport: true},
		{name: "Julia", code: 1, stderr: "ERROR: LoadError: ArgumentError: Package CSV not found in current path.\n- Run `import Pkg`\n", withheld: here, want: "JULIA_PROJECT is set here and was not passed: --exec-env JULIA_PROJECT", isImport: true},
		{name: "not there", code: 127, stderr: "", withheld: here, want: "VIRTUAL_ENV, CONDA_EXE, CONDA_PREFIX, PYENV_ROOT and LD_LIBRARY_PATH are set here and were not passed: --exec-env VIRTUAL_ENV --exec-env 'CONDA_*' --exec-env PYENV_ROOT --exec-env LD_LIBRARY_PATH"},
		{name: "not executable", code: 126, withheld: []string{"A"}},
	} {
		if got := Hint(c.code, c.stderr, c.withheld); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
		if got := ImportError(c.stderr); got != c.isImport {
			t.Errorf("%s: an import error: %v", c.name, got)
		}
	}
}

func TestSliceHint(t *testing.T) {
	for name, c := range map[string]struct{ format, stderr, want string }{
		"parquet read as text":      {"parquet", "Traceback\nUnicodeDecodeError: 'utf-8' codec can't decode byte 0x82 in position 7: invalid start byte\n", "{slice} is a parquet file; --slice-format csv makes it CSV"},
		"by pandas":                 {"parquet", "pandas.errors.ParserError: Error tokenizing data. C error: Expected 1 fields in line 3, saw 2\n", "{slice} is a parquet file; --slice-format csv makes it CSV"},
		"by csv":                    {"parquet", "_csv.Error: line contains NUL\n", "{slice} is a parquet file; --slice-format csv makes it CSV"},
		"nothing that reads it":     {"parquet", "ImportError: Unable to find a usable engine; tried using: 'pyarrow', 'fastparquet'.\nA suitable version of pyarrow or fastparquet is required for parquet support.\n", "--slice-format csv needs no reader of parquet files"},
		"CSV read as parquet":       {"csv", "pyarrow.lib.ArrowInvalid: Could not open Parquet input source 'x': Parquet magic bytes not found in footer.\n", "{slice} is a CSV file; --slice-format parquet makes it parquet"},
		"CSV that is not UTF-8":     {"csv", "UnicodeDecodeError: 'utf-8' codec\n", ""},
		"a word in another message": {"parquet", "ValueError: not a UnicodeDecodeError\n", ""},
	} {
		if got := SliceHint(c.format, c.stderr); got != c.want {
			t.Errorf("%s: %q (want %q)", name, got, c.want)
		}
	}
}

// Nothing that a command may say is too much, and a hint names only what was
// withheld.
func FuzzHint(f *testing.F) {
	for _, s := range []string{noPandas, noNumpy, handled, noCUDA, "Cannot find module 'x'"} {
		f.Add(1, s)
	}
	f.Fuzz(func(t *testing.T, code int, stderr string) {
		got := Hint(code, stderr, []string{"PYTHONPATH", "LD_LIBRARY_PATH", "SECRET"})
		if strings.Contains(got, "SECRET") || got != "" && !strings.Contains(got, "--exec-env ") {
			t.Fatal(got)
		}
		if got != "" && code != 126 && code != 127 && !ImportError(stderr) {
			t.Fatalf("a hint without a reason: %s", got)
		}
	})
}
