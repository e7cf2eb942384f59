package execengine

import (
	"fmt"
	"os"
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
// 64 KiB more. In memory it holds at most twice tail. Its methods may be called
// from several goroutines.
type Log struct {
	head, tail int64

	mu    sync.Mutex
	f     *os.File
	err   error
	last  []byte // what came last, at least tail bytes of it
	total int64  // bytes that came
	good  int64  // of them at the file's start, without a gap
	size  int64  // of the file
	ended bool   // the head ends with an end of line
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
// full disk. Err has what went wrong.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.head - 1 - l.total; at >= 0 && at < int64(len(p)) {
		l.ended = p[at] == '\n'
	}
	l.total += int64(len(p))
	l.remember(p)
	if l.f == nil || l.err != nil {
		return len(p), nil
	}
	n := len(p)
	if l.size+int64(n) > l.head+l.tail+max(l.tail, logSlack) {
		if room := l.head - l.good; room > 0 { // the head is not full yet
			l.append(p[:room])
		}
		l.rewrite()
		return n, nil
	}
	l.append(p)
	return n, nil
}

// remember keeps the end of what came.
func (l *Log) remember(p []byte) {
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

// append writes p at the file's end. What it writes there is good as long as
// nothing was left out before.
func (l *Log) append(p []byte) {
	n, err := l.f.Write(p)
	if l.good == l.size {
		l.good += int64(n)
	}
	l.size += int64(n)
	l.keep(err)
}

func (l *Log) keep(err error) {
	if l.err == nil && err != nil {
		l.err = fmt.Errorf("writing a log: %w", err)
	}
}

// rewrite makes the file head, the line about what is left out, and tail.
func (l *Log) rewrite() {
	tail := l.last[max(0, int64(len(l.last))-l.tail):]
	start := l.total - int64(len(tail)) // of tail, in all that came
	head := min(l.good, l.head)
	if err := l.f.Truncate(head); err != nil {
		l.keep(err)
		return
	}
	l.size = head
	if start > head {
		line := fmt.Sprintf("[… %d bytes are left out here …]\n", start-head)
		if head > 0 && !(head == l.head && l.ended) {
			line = "\n" + line
		}
		l.append([]byte(line))
	} else {
		tail = tail[head-start:]
	}
	l.append(tail)
	l.good = head // append counted what is no longer at its place
}

// Close makes the file what it is to be and closes it. It is idempotent, and
// returns Err.
func (l *Log) Close() error {
	_, _, err := l.Finish(0)
	return err
}

// Finish is Close, and returns of what the file holds at most limit bytes, its
// beginning and its end. They come from the file that was written, whatever
// stands at its path by now; info tells the two apart. It is nil if the Log was
// closed before.
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
	if info, err = l.f.Stat(); err == nil && limit > 0 {
		text, err = readEnds(l.f, info.Size(), limit)
	}
	l.keep(err)
	l.keep(l.f.Close())
	l.f = nil
	return text, info, l.err
}

// Err is the first thing that went wrong with the file; nil: nothing.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
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
