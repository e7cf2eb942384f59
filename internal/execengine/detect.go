package execengine

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
)

// Progress forms that are recognised in a command's output (--exec-progress).
const (
	// ProgressAuto takes bars of tqdm and n/m that count to the chunk's bars,
	// with or without those around it in the slice; nothing else is sure to count
	// bars.
	ProgressAuto = "auto"
	// ProgressTqdm and ProgressCount take a bar of tqdm, or n/m, that counts to
	// the chunk's bars or more.
	ProgressTqdm  = "tqdm"
	ProgressCount = "n/m"
	ProgressNone  = "none"
)

// CheckProgress says whether form is one of them.
func CheckProgress(form string) error {
	if list := []string{ProgressAuto, ProgressTqdm, ProgressCount, ProgressNone}; !slices.Contains(list, form) {
		return fmt.Errorf("--exec-progress %.40q (want auto, tqdm, n/m or none; --exec-progress-regex for what looks otherwise)", form)
	}
	return nil
}

var (
	// escapes are colours, and moves of the cursor.
	escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	// tqdmBar is what stands behind a bar of tqdm: "| 42/100 [00:01<00:02, …".
	tqdmBar = regexp.MustCompile(`\|\s*([\d.]+)/([\d.]+)\s*\[`)
	// tqdmOpen is tqdm without a total: "42it [00:01, 35.2it/s]".
	tqdmOpen = regexp.MustCompile(`(?:^|[ :])(\d+)it \[\d`)
	// countOf is n/m that is no part of a path, a date or another fraction.
	countOf = regexp.MustCompile(`(?:^|[^\w.,/:'-])(\d[\d,._']*)\s*/\s*(\d[\d,._']*)(?:[^\w/:-]|$)`)
)

// tqdmCount is how far a bar of tqdm is, as it has it.
func tqdmCount(line []byte) (bars, total string, ok bool) {
	m := tqdmBar.FindSubmatch(line)
	if m == nil {
		return "", "", false
	}
	return string(m[1]), string(m[2]), true
}

// detector finds progress in the output of a command that nobody has described.
type detector struct {
	form    string
	planned int64
	// totals are what a command may count to that counts bars: its chunk's, and
	// those with the slice's warm-up, with its tail, and with both.
	totals []int64
}

func newDetector(form string, planned int64, s TaskSlice) *detector {
	return &detector{form: form, planned: planned, totals: []int64{planned, planned + s.FirstOwnRow, s.Rows}}
}

// match reads a line of output. It reports whether the line says how many bars
// are done.
func (d *detector) match(line []byte) (Report, bool) {
	if bytes.IndexByte(line, '\x1b') >= 0 {
		line = escapes.ReplaceAll(line, nil)
	}
	switch d.form {
	case ProgressTqdm:
		return d.tqdm(line)
	case ProgressCount:
		return d.count(line)
	case ProgressAuto:
		if r, ok := d.tqdm(line); ok {
			return r, ok
		}
		return d.count(line)
	}
	return Report{}, false
}

func (d *detector) tqdm(line []byte) (Report, bool) {
	if bars, total, ok := tqdmCount(line); ok {
		return d.report(bars, total)
	}
	if m := tqdmOpen.FindSubmatch(line); m != nil && d.form == ProgressTqdm {
		return d.report(string(m[1]), "")
	}
	return Report{}, false
}

func (d *detector) count(line []byte) (Report, bool) {
	if m := countOf.FindSubmatch(line); m != nil {
		return d.report(string(m[1]), string(m[2]))
	}
	return Report{}, false
}

// report is bars of total as progress. Without a total the bars are the chunk's.
func (d *detector) report(bars, total string) (Report, bool) {
	r := Report{Given: map[string]bool{}}
	if !r.digits("bars_processed", bars) || !r.Given["bars_processed"] {
		return Report{}, false
	}
	if total == "" {
		return r, true
	}
	if !r.totalDigits(total) || r.Footer.BarsProcessed > r.Total {
		return Report{}, false
	}
	if d.form == ProgressAuto {
		return r, slices.Contains(d.totals, r.Total)
	}
	return r, r.Total >= d.planned
}
