package bars

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gx1replay/internal/atomicfile"
)

// Set is a data set with where it came from.
type Set struct {
	Bars      []Bar
	SpreadBps float64 // the assumed spread
	// SpreadAssumed: the file has one price only. SpreadBps may then be 0, too.
	SpreadAssumed bool
	Source        string // the path or the specification, as it was given

	// Read says how the file was read.
	Read Reading
	// NoVolume: the file has none, and each bar's is 0.
	NoVolume bool
	// Before is how many of the bars are a warm-up before the period that was
	// asked for.
	Before int

	// Extra are the columns of the file that are none of a bar's, in the file's
	// order, if ReadOptions.Extra asked for them. They are no part of the
	// canonical content.
	Extra []Column
	// ExtraSkipped names the columns that Extra leaves out, each with the
	// reason: nested ones, types that Column has none for, what is out of bounds.
	ExtraSkipped []string

	instrument string   // that the file names; empty: none
	raw        *rawBars // what a tolerant reader keeps
}

// Describe says what the set holds.
func (s Set) Describe() Info {
	info := Describe(s.Bars)
	info.Source, info.AssumedSpreadBps, info.SpreadAssumed = s.Source, s.SpreadBps, s.SpreadAssumed
	if s.Read.Format != "" {
		info.Read = &s.Read
	}
	return info
}

// Open reads the data set of a --data argument: a file or directory (ReadFile), or
// synthetic:BARS[,seed=S], which is generated.
func Open(spec string, opt ReadOptions) (Set, error) {
	if !strings.HasPrefix(spec, syntheticPrefix) {
		return ReadFile(spec, opt)
	}
	n, seed, err := ParseSynthetic(spec)
	if err != nil {
		return Set{}, err
	}
	form, err := opt.Form.compile()
	if err != nil {
		return Set{}, err
	}
	told := opt.Form
	told.From, told.To, told.Warmup = "", "", ""
	if told != (Form{}) {
		return Set{}, fmt.Errorf("data %s: generated bars are of one form only (want none of --columns, --time-format, --tz, --sep, --decimal, --point, --repair)", shorten(spec))
	}
	set, err := form.period.take(Set{Bars: Generate(n, seed), Source: spec, Read: Reading{Form: opt.Form}})
	if err != nil {
		return Set{}, fmt.Errorf("data %s: %w", shorten(spec), err)
	}
	return set, nil
}

// ReadFile reads a data set from a file, or from a directory of files
// (readDir). The content tells the format, see formats; a compressed text is
// read as what it holds. Errors name the file.
func ReadFile(path string, opt ReadOptions) (Set, error) {
	set, err := readFile(path, opt)
	if err != nil {
		return Set{}, fmt.Errorf("reading bars from %s: %w", path, err)
	}
	return set, nil
}

func readFile(path string, opt ReadOptions) (Set, error) {
	form, err := opt.Form.compile()
	if err != nil {
		return Set{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return Set{}, withoutPath(err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return Set{}, withoutPath(err)
	}
	var set Set
	if stat.IsDir() {
		set, err = readDir(path, opt, &form)
	} else {
		set, err = readFormat(source{file: file, size: stat.Size(), name: path}, opt, &form)
	}
	if err != nil {
		return Set{}, withoutPath(err)
	}
	set.Source, set.Read.Form = path, opt.Form
	return set, nil
}

// WriteFile writes a data set; the extension chooses the format, .parquet
// (WriteParquet) or .csv (WriteCSV). Bars that are not valid are refused:
// nobody could read them back. The file is written aside, synced and
// renamed, so on an error what was at path is untouched. Errors name the
// file.
func WriteFile(path string, bars []Bar) error {
	if err := writeFile(path, bars); err != nil {
		return fmt.Errorf("writing bars to %s: %w", path, err)
	}
	return nil
}

func writeFile(path string, bars []Bar) error {
	write, err := writerFor(path)
	if err != nil {
		return err
	}
	if err := Validate(bars); err != nil {
		return err
	}
	// Readable by whom the umask lets.
	return atomicfile.Write(path, atomicfile.Options{Mode: 0o666, Sync: true}, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<18)
		if err := write(bw, bars); err != nil {
			return err
		}
		return bw.Flush()
	})
}

// writerFor is that of the format that the path's extension names.
func writerFor(path string) (func(io.Writer, []Bar) error, error) {
	ext := strings.ToLower(filepath.Ext(path))
	var want []string
	for _, f := range formats() {
		if f.write == nil {
			continue
		}
		if f.ext == ext {
			return f.write, nil
		}
		want = append(want, f.ext)
	}
	return nil, fmt.Errorf("extension %s names no format (want %s)", shorten(ext), strings.Join(want, " or "))
}

// withoutPath takes the path out of an error that will be wrapped with it.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
