package execengine

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"gx1replay/internal/safefile"
)

// logSlack is at least how much a log file may hold beyond head and tail, so
// that it is not rewritten all the time.
const logSlack = 64 << 10

// Log is a log file of bounded size: it keeps the first head bytes and the
// last tail bytes, and between them a line that says how many are left out.
// The file can be read at any time, also of a process that was killed; until
// Close it may hold more than tail bytes at the end, at most twice as many or
// 64 KiB more. In memory it holds head and at most twice tail. Its methods may
// be called from several goroutines.
type Log struct {
	head, tail int64

	mu    sync.Mutex
	f     *os.File
	err   error
	first []byte // what came first, at most head bytes
	last  []byte // what came last, at least tail bytes of it
	total int64  // bytes that came
	size  int64  // of the file, which begins as first does
}

// CreateLog makes the file at path, or empties it. Only its user can read it.
// Beside an error the Log is there all the same, and gives its Tail.
func CreateLog(path string, head, tail int64) (*Log, error) {
	l := &Log{head: max(head, 0), tail: max(tail, 0)}
	l.f, l.err = safefile.Rewrite(path)
	if l.err != nil {
		l.err = fmt.Errorf("creating a log: %w", l.err)
	}
	return l, l.err
}

// Write takes all of p and never fails: who writes must not suffer from a
// full disk. Finish returns what went wrong.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += int64(len(p))
	l.remember(p)
	switch {
	case l.f == nil || l.err != nil:
	case l.size+int64(len(p)) > l.head+l.tail+max(l.tail, logSlack):
		l.rewrite()
	default:
		l.append(p)
	}
	return len(p), nil
}

// remember keeps the beginning and the end of what came.
func (l *Log) remember(p []byte) {
	l.first = append(l.first, p[:min(int64(len(p)), l.head-int64(len(l.first)))]...)
	if int64(len(p)) >= l.tail {
		l.last = append(l.last[:0], p[int64(len(p))-l.tail:]...)
		return
	}
	if int64(len(l.last)+len(p)) > 2*l.tail {
		n := copy(l.last, l.last[int64(len(l.last))-l.tail:])
		l.last = l.last[:n]
	}
	l.last = append(l.last, p...)
}

// append writes p at the file's end.
func (l *Log) append(p []byte) {
	n, err := l.f.Write(p)
	l.size += int64(n)
	l.keep(err)
}

func (l *Log) keep(err error) {
	if l.err == nil && err != nil {
		l.err = fmt.Errorf("writing a log: %w", err)
	}
}

// rewrite makes the file head, the line about what is left out, and tail. What
// the file has of the head stays in it all the time.
func (l *Log) rewrite() {
	kept := min(l.size, int64(len(l.first)))
	if err := l.f.Truncate(kept); err != nil {
		l.keep(err)
		return
	}
	l.size = kept
	text := slices.Clone(l.first[kept:])
	tail := l.last[max(0, int64(len(l.last))-l.tail):]
	gap := l.total - int64(len(tail)) - int64(len(l.first))
	if gap > 0 {
		if len(l.first) > 0 && !bytes.HasSuffix(l.first, []byte("\n")) {
			text = append(text, '\n')
		}
		text = fmt.Appendf(text, "[… %d bytes are left out here …]\n", gap)
	}
	l.append(append(text, tail[max(0, -gap):]...))
}

// Close makes the file what it is to be and closes it. It is idempotent, and
// returns the first thing that went wrong with the file.
func (l *Log) Close() error {
	_, _, err := l.Finish(0)
	return err
}

// Finish is Close, and returns of what came at most limit bytes, its beginning
// and, more of it, its end, whatever stands at the file's path by now; info
// describes the file that was written. It is nil if the Log was closed before.
func (l *Log) Finish(limit int64) (text []byte, info os.FileInfo, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil, nil, l.err
	}
	// A write that failed may have left a gap; there may be room again by now.
	if l.total > l.head+l.tail || l.err != nil {
		l.rewrite()
	}
	info, err = l.f.Stat()
	l.keep(err)
	l.keep(l.f.Close())
	l.f = nil
	return l.ends(limit), info, l.err
}

func (l *Log) ends(limit int64) []byte {
	head := l.first
	if l.total > limit {
		head = head[:min(int64(len(head)), limit/4)]
	}
	room := min(limit, l.total) - int64(len(head))
	end := l.last[max(0, int64(len(l.last))-room):]
	if gap := l.total - int64(len(head)+len(end)); gap > 0 {
		head = fmt.Appendf(slices.Clip(head), "\n… %d bytes are left out here …\n", gap)
	}
	return slices.Concat(head, end)
}

// Tail is the end of what came, at most n characters, as a terminal would show
// it: of a line that was written over (\r) what stood there last. It begins
// with a whole line, unless the last one alone is longer, and is valid UTF-8.
func (l *Log) Tail(n int) string {
	l.mu.Lock()
	text := string(l.last)
	whole := int64(len(l.last)) == l.total
	l.mu.Unlock()
	return lastLines(text, n, whole)
}

// lastLines cuts text to its last lines of at most n characters; whole says
// that text begins with a line.
func lastLines(text string, n int, whole bool) string {
	lines := strings.Split(strings.TrimRight(validText(text), "\r\n"), "\n")
	from, room := len(lines), n+1 // one line end is not counted
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimRight(lines[i], "\r")
		line = line[strings.LastIndexByte(line, '\r')+1:]
		lines[i] = line
		if room -= utf8.RuneCountInString(line) + 1; room < 0 || i == 0 && !whole && from < len(lines) {
			break
		}
		from = i
	}
	if from < len(lines) {
		return strings.Join(lines[from:], "\n")
	}
	// One line that is too long: its end says more than its beginning.
	line := []rune(lines[len(lines)-1])
	return string(line[max(0, len(line)-max(n, 0)):])
}
