package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gx1replay/test/virtual"
)

// held is a disk that takes nothing until it is let go.
type held struct {
	free chan struct{}
	got  bytes.Buffer
}

func (h *held) Write(p []byte) (int, error) {
	<-h.free
	return h.got.Write(p)
}

func TestLogHoldsNobodyUp(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		disk := &held{free: make(chan struct{})}
		l := newPatientLog(disk)
		begun := time.Now()
		for i := range logQueue + 100 {
			fmt.Fprintf(l, "line %d\n", i)
		}
		if d := time.Since(begun); d != 0 {
			t.Errorf("writing took %v on a disk that hangs", d)
		}
		close(disk.free)
		synctest.Wait()
		fmt.Fprintln(l, "after")
		if !l.Close() {
			t.Error("not all was written in time")
		}
		text := disk.got.String()
		if !strings.HasPrefix(text, "line 0\nline 1\n") || !strings.HasSuffix(text, "after\n") || !strings.Contains(text, "writes to this log were lost") {
			t.Errorf("the log begins with %.40q and ends with %q", text, text[max(0, len(text)-120):])
		}
		if _, err := l.Write([]byte("late\n")); err == nil {
			t.Error("a closed log takes lines")
		}
	})
}

func TestClosingALogWaitsForNoDisk(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		disk := &held{free: make(chan struct{})}
		l := newPatientLog(disk)
		fmt.Fprintln(l, "line")
		begun := time.Now()
		if l.Close() {
			t.Error("all is said to be written")
		}
		if d := time.Since(begun); d != logPatience {
			t.Errorf("closing took %v (expected %v)", d, logPatience)
		}
		close(disk.free) // the copying goroutine ends with the bubble
	})
}
