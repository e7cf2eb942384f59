package bars

import (
	"cmp"
	"fmt"
	"io/fs"
	"math"
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
		part.instrument = cmp.Or(part.instrument, instrumentInPath(name))
		parts = append(parts, part)
	}
	slices.SortStableFunc(parts, func(a, b Set) int { return cmp.Compare(a.firstNS(), b.firstNS()) })
	if opt.tolerant {
		return joinRaw(parts), nil
	}
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

// instrumentInPath is that of symbol=A/year=2024/part-0.parquet; empty: none is
// named.
func instrumentInPath(name string) string {
	for folder := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(name)), "/") {
		if key, value, ok := strings.Cut(folder, "="); ok && slices.Contains(instrumentNames(), strings.ToLower(key)) {
			return value
		}
	}
	return ""
}

// join makes one data set of several, each later than the one before.
func join(parts []Set) (Set, error) {
	set := parts[0]
	set.Read.Format = fmt.Sprintf("%d files, %s", len(parts), set.Read.Format)
	for i, p := range parts[1:] {
		if err := p.follows(&parts[i], &parts[0]); err != nil {
			return Set{}, err
		}
		if len(p.Extra) != len(set.Extra) {
			return Set{}, fmt.Errorf("%s has %d columns beside the bars (want %d as %s has)", p.Source, len(p.Extra), len(set.Extra), parts[0].Source)
		}
		for i := range p.Extra {
			if set.Extra[i].Shape != p.Extra[i].Shape {
				return Set{}, fmt.Errorf("%s: column %s is of another type than in %s", p.Source, shorten(p.Extra[i].Name), parts[0].Source)
			}
			set.Extra[i].Append(p.Extra[i])
		}
		set.Bars = append(set.Bars, p.Bars...)
		set.Read.Repairs = append(set.Read.Repairs, p.Read.Repairs...)
	}
	return set, nil
}

// firstNS is the time of the first bar, the latest there is where there is none.
func (s *Set) firstNS() int64 {
	if len(s.Bars) == 0 {
		return math.MaxInt64
	}
	return s.Bars[0].TimeNS
}

// follows says what is against s as the part after before, of a data set that
// begins with first.
func (s *Set) follows(before, first *Set) error {
	if s.Read.Columns != first.Read.Columns || s.SpreadBps != first.SpreadBps || s.NoVolume != first.NoVolume {
		return fmt.Errorf("%s has other columns than %s: %s (want %s)", s.Source, first.Source, s.Read.Columns, first.Read.Columns)
	}
	if s.instrument != first.instrument {
		return fmt.Errorf("%s: %w", s.Source, errInstruments(first.instrument, s.instrument))
	}
	if len(s.Bars) == 0 || len(before.Bars) == 0 {
		return nil
	}
	if begin, last := s.Bars[0].TimeNS, before.Bars[len(before.Bars)-1].TimeNS; begin <= last {
		return fmt.Errorf("%s begins at %s (want a time after the last bar of the file before, %s)", s.Source, formatTime(begin), formatTime(last))
	}
	return nil
}

// joinRaw makes one of parts that were read tolerantly.
func joinRaw(parts []Set) Set {
	set, raw := parts[0], &rawBars{}
	set.Read.Format = fmt.Sprintf("%d files, %s", len(parts), set.Read.Format)
	for i := range parts {
		p := &parts[i]
		if i > 0 && raw.refused == nil {
			raw.refused = p.follows(&parts[i-1], &parts[0])
		}
		raw.parts = append(raw.parts, rawPart{len(raw.bars), p.Source, p.raw})
		raw.bars = append(raw.bars, p.raw.bars...)
		raw.unreadable += p.raw.unreadable
		for _, cell := range p.raw.cells {
			if len(raw.cells) < listed {
				raw.cells = append(raw.cells, fmt.Errorf("%s: %w", p.Source, cell))
			}
		}
	}
	set.Bars, set.raw = raw.bars, raw
	return set
}
