package execengine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gx1replay/internal/safefile"
)

const (
	// pollBytes bounds what one look at a progress file reads, and a line of it.
	pollBytes = 1 << 20
	// pollReports bounds how many reports one look returns one by one.
	pollReports = 1024
	// anchorBytes are read again before what is new, to see that the file is
	// still the one that was read.
	anchorBytes = 256
)

// ProgressFile follows a file to which a command appends JSON objects, one a
// line. A command that rewrites it each time is understood as well. It is used
// from one goroutine.
type ProgressFile struct {
	path   string
	open   opener
	offset int64  // of what was not taken yet
	anchor []byte // what stands before offset
	line   int64  // lines before offset
	skip   bool   // the rest of a line that is too long
}

// followFile follows what open opens, which need not be there yet.
func followFile(path string, open opener) *ProgressFile {
	return &ProgressFile{path: path, open: open}
}

// opener opens a plain file that a command may have written.
type opener func() (*os.File, fs.FileInfo, error)

// opens opens what is at path.
func opens(path string) opener {
	return func() (*os.File, fs.FileInfo, error) { return safefile.Open(path) }
}

// Poll returns what came since the last time, in order: of at most 1 MiB, and
// more the next time, so whoever wants all of it calls again until nothing
// comes. An object that is not finished waits. Where there are more than
// pollReports, the later ones are merged into the last. A file that does not
// go on where it was left, shorter or not, was rewritten, and is read from its
// start.
//
// The error says why the file cannot be read, or names the first line that is
// no report; such lines are passed over, and the reports are good beside it.
func (p *ProgressFile) Poll() ([]Report, error) {
	f, info, err := p.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading progress: %w", err)
	}
	defer f.Close()
	b, err := p.fresh(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("reading progress: %w", err)
	}
	from := p.offset
	list, err := p.take(b)
	before := append(p.anchor, b[:p.offset-from]...)
	p.anchor = bytes.Clone(before[max(0, len(before)-anchorBytes):])
	return list, err
}

// fresh reads what stands behind offset, after it has made sure that offset
// still means something.
func (p *ProgressFile) fresh(f *os.File, size int64) ([]byte, error) {
	b, err := readAt(f, p.offset-int64(len(p.anchor)), size, len(p.anchor)+pollBytes)
	if err != nil {
		return nil, err
	}
	if rest, same := bytes.CutPrefix(b, p.anchor); same {
		return rest, nil
	}
	*p = *followFile(p.path, p.open)
	return readAt(f, 0, size, pollBytes)
}

// readAt reads up to most bytes at offset of a file that has that size, or
// less since.
func readAt(f io.ReaderAt, offset, size int64, most int) ([]byte, error) {
	b := make([]byte, max(0, min(size-offset, int64(most))))
	n, err := f.ReadAt(b, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// take reads the lines of b, and an unfinished one at the end if its object
// is whole: who rewrites a file often writes no end of line.
func (p *ProgressFile) take(b []byte) (list []Report, first error) {
	for line := range bytes.Lines(b) {
		ended := bytes.HasSuffix(line, []byte("\n"))
		if !ended && len(line) >= pollBytes {
			p.skip = true // it fills all that is read at once: nothing that we know is as long
		}
		r, err := Report{}, error(nil)
		blank := len(bytes.TrimSpace(line)) == 0
		if !p.skip && !blank {
			r, err = ParseReport(line)
		}
		if !ended && !p.skip && (blank || err != nil) {
			break
		}
		switch {
		case p.skip && ended, err != nil:
			if err == nil {
				err = fmt.Errorf("it is longer than %d bytes", pollBytes)
			}
			if first == nil {
				first = fmt.Errorf("%s: line %d: %w", p.path, p.line+1, err)
			}
		case p.skip || blank:
		case len(list) >= pollReports:
			list[len(list)-1].Merge(r)
		default:
			list = append(list, r)
		}
		if ended {
			p.line++
			p.skip = false
		}
		p.offset += int64(len(line))
	}
	return list, first
}

// readFooter reads the footer that a command leaves at path, and whether there
// is one. While the command runs (final is false) a file that is no report yet
// is one that is being written, and no error; once it has ended that is an
// error. A file that is no plain file, or has more than 1 MiB, is an error at
// any time.
func readFooter(path string, read func(path string, most int64) ([]byte, error), final bool) (Report, bool, error) {
	b, err := read(path, maxReportBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, false, nil
	}
	if err != nil {
		return Report{}, false, fmt.Errorf("reading the command's footer: %w", err)
	}
	r, err := ParseReport(b)
	if err == nil {
		return r, true, nil
	}
	if !final {
		return Report{}, false, nil
	}
	return Report{}, false, fmt.Errorf("the command's footer %s: %w", path, err)
}
