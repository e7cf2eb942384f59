package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolIsNotHeldUpByWhoLeftTheGroup(t *testing.T) {
	release, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer release.Close()
	defer hold.Close() // ends the one that escaped
	b := newBench(t, Config{N: 1, MinBackoff: time.Hour, Command: func(int) Spec {
		spec := helper("escape")
		spec.ExtraFiles = []*os.File{release}
		return spec
	}})
	if e := b.next(Exited); e.Code != 3 {
		t.Errorf("exit is %+v", e)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

func TestPoolKeepsOutputInOrder(t *testing.T) {
	const n = 1 << 20
	var got strings.Builder
	b := newBench(t, Config{
		N: 1, Command: all(fmt.Sprint("talk ", n)), MinBackoff: time.Hour,
		LogWriter: func(int) io.Writer { return &got },
	})
	if e := b.next(Exited); e.Code != 3 {
		t.Errorf("exit is %+v", e)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	const head = "one\ntwo\nthree\n"
	if !strings.HasPrefix(got.String(), head) || got.Len() != len(head)+n {
		t.Errorf("output has %d bytes and begins with %.30q (want %d, %q)", got.Len(), got.String(), len(head)+n, head)
	}
}

type brokenWriter struct{ calls atomic.Int64 }

func (w *brokenWriter) Write([]byte) (int, error) {
	w.calls.Add(1)
	return 0, errors.New("no space left")
}

func TestPoolSurvivesALogThatFails(t *testing.T) {
	w := new(brokenWriter)
	b := newBench(t, Config{
		N: 1, Command: all("talk 1000000"), MinBackoff: time.Hour,
		LogWriter: func(int) io.Writer { return w },
	})
	if e := b.next(Exited); e.Code != 3 {
		t.Errorf("exit is %+v (want 3: its writes succeeded)", e)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if w.calls.Load() == 0 {
		t.Error("the log was never written to")
	}
}

type blockedWriter struct{ release chan struct{} }

func (w blockedWriter) Write(p []byte) (int, error) {
	<-w.release
	return len(p), nil
}

func TestPoolEndsAlthoughTheLogBlocks(t *testing.T) {
	w := blockedWriter{make(chan struct{})}
	b := newBench(t, Config{
		N: 1, Command: all("talk 1000000"), Grace: time.Millisecond,
		LogWriter: func(int) io.Writer { return w },
	})
	b.next(Started)
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	close(w.release)
}

func TestPoolDiscardsOutputThatNobodyWants(t *testing.T) {
	exits := make(chan Event, 100)
	p, err := New(Config{N: 1, Command: all("talk 1000000"), MinBackoff: time.Hour, Notify: func(e Event) { exits <- e }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- p.Run(ctx) }()
	for e := range exits {
		if e.Kind == Exited {
			if e.Code != 3 {
				t.Errorf("exit is %+v", e)
			}
			break
		}
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
}
