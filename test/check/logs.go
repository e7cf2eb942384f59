package check

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Logs are the bars that attempts have stepped over, in the order in which
// each attempt did.
type Logs struct {
	bars map[attempt][]int64
}

// attempt is one attempt in one process: two processes never share one, and
// if they do it must show.
type attempt struct {
	chunk, n int64
	file     string
}

// ReadLogs reads every *.log in dir: lines of "chunk attempt bar".
func ReadLogs(dir string) (*Logs, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, fmt.Errorf("listing the bar logs: %w", err)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("reading the bar logs: %w", err)
	}
	l := &Logs{bars: map[attempt][]int64{}}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading the bar logs: %w", err)
		}
		err = l.read(filepath.Base(path), f)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *Logs) read(name string, r io.Reader) error {
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		a := attempt{file: name}
		var bar int64
		var rest string
		if k, _ := fmt.Sscanf(s.Text(), "%d %d %d %s", &a.chunk, &a.n, &bar, &rest); k != 3 {
			return fmt.Errorf("bar log %s:%d: %q (want chunk, attempt and bar)", name, n, s.Text())
		}
		l.bars[a] = append(l.bars[a], bar)
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("bar log %s: %w", name, err)
	}
	return nil
}

// Attempt is one attempt as the logs tell it.
type Attempt struct {
	Chunk, N, Bars int64
	File           string // the log that it stands in
}

// Attempts lists all attempts that stepped over a bar.
func (l *Logs) Attempts() []Attempt {
	var list []Attempt
	for a, bars := range l.bars {
		list = append(list, Attempt{a.chunk, a.n, int64(len(bars)), a.file})
	}
	slices.SortFunc(list, func(a, b Attempt) int {
		return cmp.Or(cmp.Compare(a.Chunk, b.Chunk), cmp.Compare(a.N, b.N), strings.Compare(a.File, b.File))
	})
	return list
}

// byChunk orders attempts by chunk, number and process.
func byChunk(a, b attempt) int {
	return cmp.Or(cmp.Compare(a.chunk, b.chunk), cmp.Compare(a.n, b.n), strings.Compare(a.file, b.file))
}

// judgeLogs holds the chunks against what was really stepped over.
func judgeLogs(r *Report, chunks []chunk, l *Logs, o Options) {
	type key struct{ chunk, n int64 }
	most := map[int64]int64{} // of a chunk's attempts
	last := map[int64]int64{} // of a chunk's last attempt
	said := map[int64]int64{} // of the attempt that speaks for a chunk
	owner := map[key]string{} // the file that an attempt stands in
	at := func(a attempt) string { return fmt.Sprintf("bar log %s, chunk %d, attempt %d", a.file, a.chunk, a.n) }
	for _, a := range slices.SortedFunc(maps.Keys(l.bars), byChunk) {
		bars, k := l.bars[a], key{a.chunk, a.n}
		if other, twice := owner[k]; twice && !o.FreshBus {
			r.fail("%s: it stands in %s too", at(a), other)
			continue
		}
		owner[k] = a.file
		most[a.chunk] = max(most[a.chunk], int64(len(bars)))
		last[a.chunk] = int64(len(bars)) // attempts come in order
		if a.chunk < 0 || a.chunk >= int64(len(chunks)) {
			r.fail("%s: %d bars, and the file has %d chunks", at(a), len(bars), len(chunks))
			continue
		}
		c := chunks[a.chunk]
		if c.spokenBy(a, a.chunk) {
			said[a.chunk] = int64(len(bars))
		}
		if int64(len(bars)) > c.planned() {
			r.fail("%s: %d bars (the chunk has %d)", at(a), len(bars), c.planned())
		}
		for i, bar := range bars {
			if bar != c.first+int64(i) {
				r.fail("%s: bar %d at place %d (expected %d: each once and in order)", at(a), bar, i, c.first+int64(i))
				break
			}
		}
	}
	lost := int64(0) // of chunks that gave no last word
	for i, c := range chunks {
		id := int64(i)
		if logged := said[id]; c.bars > logged {
			r.fail("chunks[%d].bars_processed is %d (attempt %d of process %d has logged %d bars)", i, c.bars, c.attempt, c.pid, logged)
		}
		r.Logged += most[id]
		unreported := most[id] - c.bars
		r.Unreported += max(unreported, 0)
		switch {
		case c.status == "ok", c.status == "stopped", c.status == "missing" && !o.Early:
			// The last attempt has had its last word. One before it may have
			// been killed.
			allowed := int64(0)
			if c.exec && c.status == "stopped" {
				allowed = o.Behind
			}
			if last[id] > c.bars+allowed {
				r.fail("chunks[%d].bars_processed is %d of a chunk that is %s (its last attempt has logged %d bars: %d are unreported)",
					i, c.bars, c.status, last[id], last[id]-c.bars)
			}
		default:
			lost += max(unreported, 0)
		}
	}
	if o.MaxUnreported >= 0 && lost > o.MaxUnreported {
		r.fail("%d logged bars of chunks without a last word are not in the file (at most %d may be)", lost, o.MaxUnreported)
	}
}
