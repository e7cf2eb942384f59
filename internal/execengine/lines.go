package execengine

import "bytes"

// Lines splits a stream into lines, which end with \n, \r\n or \r, as progress
// bars do. Empty lines are dropped; of a line longer than max bytes the
// beginning counts. It is used from one goroutine.
type Lines struct {
	max  int
	line func([]byte)
	part []byte // of a line that has not ended, at most max bytes
}

// NewLines calls line for each line, without its end. The bytes are line's
// only until it returns.
func NewLines(max int, line func([]byte)) *Lines {
	return &Lines{max: max, line: line}
}

// Write takes all of p.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			l.keep(p)
			break
		}
		if len(l.part) == 0 {
			l.emit(p[:min(end, l.max)])
		} else {
			l.keep(p[:end])
			l.flush()
		}
		p = p[end+1:]
	}
	return n, nil
}

// Close ends the last line. The stream may go on after it.
func (l *Lines) Close() error {
	l.flush()
	return nil
}

func (l *Lines) keep(p []byte) {
	l.part = append(l.part, p[:min(len(p), l.max-len(l.part))]...)
}

func (l *Lines) flush() {
	l.emit(l.part)
	l.part = l.part[:0]
}

func (l *Lines) emit(line []byte) {
	if len(line) > 0 {
		l.line(line)
	}
}

// GX1Line returns the JSON object of a line by which a command reports on its
// standard output: GX1 {…}.
func GX1Line(line []byte) (object []byte, ok bool) {
	const mark = "GX1 "
	if !bytes.HasPrefix(line, []byte(mark+"{")) {
		return nil, false
	}
	return line[len(mark):], true
}
