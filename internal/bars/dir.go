package bars

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFiles bounds the files of a directory that are read as one data set.
const maxFiles = 100_000

// readDir reads a directory of files as one data set, as DuckDB, Spark and
// Polars write them: year=2024/month=1/part-0.parquet. Names with a dot or an
// underscore before them are left out. The files are put in the order of their
// first bars.
func readDir(dir string, opt ReadOptions, f *form) (Set, error) {
	names, err := filesOf(dir)
	if err != nil {
		return Set{}, err
	}
	// The period and what must hold in the whole are for the whole.
	each := *f
	each.period = period{}
	var parts []Set
	for _, name := range names {
		part, err := readPart(filepath.Join(dir, name), opt, &each)
		if err != nil {
			return Set{}, fmt.Errorf("%s: %w", name, err)
		}
		part.Source = name
		parts = append(parts, part)
	}
	slices.SortStableFunc(parts, func(a, b Set) int { return cmp.Compare(a.Bars[0].TimeNS, b.Bars[0].TimeNS) })
	set, err := join(parts)
	if err != nil {
		return Set{}, err
	}
	return f.period.take(set)
}

func readPart(path string, opt ReadOptions, f *form) (Set, error) {
	file, err := os.Open(path)
	if err != nil {
		return Set{}, withoutPath(err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return Set{}, withoutPath(err)
	}
	return readFormat(source{file: file, size: stat.Size(), name: path}, opt, f)
}

// filesOf lists the files below dir, in the order of their names.
func filesOf(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return withoutPath(err)
		}
		hidden := path != dir && strings.ContainsAny(d.Name()[:1], "._")
		switch {
		case hidden && d.IsDir():
			return fs.SkipDir
		case hidden || d.IsDir():
			return nil
		case len(names) == maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, name)
		return err
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("a directory without files (want files of bars, as year=2024/part-0.parquet): %w", ErrEmpty)
	}
	return names, err
}

// join makes one data set of several, each later than the one before.
func join(parts []Set) (Set, error) {
	set := parts[0]
	set.Read.Format = fmt.Sprintf("%d files, %s", len(parts), set.Read.Format)
	for _, p := range parts[1:] {
		last, first := set.Bars[len(set.Bars)-1].TimeNS, p.Bars[0].TimeNS
		if first <= last {
			return Set{}, fmt.Errorf("%s begins at %s (want a time after the last bar of the file before, %s)", p.Source, formatTime(first), formatTime(last))
		}
		if p.Read.Columns != parts[0].Read.Columns || p.SpreadBps != parts[0].SpreadBps || p.NoVolume != parts[0].NoVolume {
			return Set{}, fmt.Errorf("%s has other columns than %s: %s (want %s)", p.Source, parts[0].Source, p.Read.Columns, parts[0].Read.Columns)
		}
		if len(p.Extra) != len(set.Extra) {
			return Set{}, fmt.Errorf("%s has %d columns beside the bars (want %d as %s has)", p.Source, len(p.Extra), len(set.Extra), parts[0].Source)
		}
		for i := range p.Extra {
			if !set.Extra[i].SameShape(&p.Extra[i]) {
				return Set{}, fmt.Errorf("%s: column %s is of another type than in %s", p.Source, shorten(p.Extra[i].Name), parts[0].Source)
			}
			set.Extra[i].Append(p.Extra[i])
		}
		set.Bars = append(set.Bars, p.Bars...)
		set.Read.Repairs = append(set.Read.Repairs, p.Read.Repairs...)
	}
	return set, nil
}
