package process

import (
	"io"
	"sync"
	"testing"
	"time"
)

func TestInvariant2_AGroupIsSignalledOnlyWhileItsNumberIsItsOwn(t *testing.T) {
	b := newBench(t, Config{
		N: 2, MinBackoff: time.Microsecond, MaxBackoff: time.Microsecond,
		Command:   func(int) Spec { return Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 1"}} },
		LogWriter: func(int) io.Writer { return io.Discard },
	})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			for _, s := range b.pool.slots {
				select {
				case <-stop:
					return
				default:
				}
				// An unreaped leader is in its group still, so the only
				// error would come from a number that is free.
				if err := s.group.signal(0); err != nil {
					t.Errorf("signalling a group: %v", err)
					return
				}
			}
		}
	}()
	for range 100 {
		b.next(Exited)
	}
	close(stop)
	<-stopped
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

func TestInvariant3_KillEndsAllAndNothingStarts(t *testing.T) {
	for _, role := range []string{"exit 1", "wait", "orphan", "stop"} {
		t.Run(role, func(t *testing.T) {
			b := newBench(t, Config{
				N: 3, Command: all(role), MinBackoff: time.Microsecond, MaxBackoff: time.Millisecond,
				Grace: time.Hour, LogWriter: func(int) io.Writer { return io.Discard },
			})
			for range 5 { // some are running, some in between
				if role != "exit 1" && role != "orphan" {
					break
				}
				b.next(Exited)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(b.pool.Kill)
			}
			wg.Wait()
			if err := b.wait(); err != nil {
				t.Errorf("Run after Kill: %v", err)
			}
			b.pool.Kill() // when all is over, again
		})
	}
}

func TestInvariant3_KillBeforeRun(t *testing.T) {
	p, err := New(Config{N: 1, Command: func(int) Spec {
		t.Error("a start after Kill")
		return helper("exit 0")
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Run(t.Context()); err == nil {
		t.Error("a second Run is no error")
	}
}

// A watchdog kills while a start is under way: what comes out of the start
// must die too.
func TestInvariant3_KillDuringAStart(t *testing.T) {
	starting, goOn := make(chan struct{}), make(chan struct{})
	b := newBench(t, Config{N: 1, Grace: time.Hour, Command: func(int) Spec {
		close(starting)
		<-goOn
		return helper("stubborn")
	}})
	<-starting
	b.pool.Kill()
	close(goOn)
	if err := b.wait(); err != nil {
		t.Error(err)
	}
	if s := b.pool.Status()[0]; s.Starts != 1 || s.LastExit != "signal: killed" {
		t.Errorf("status is %+v (want one that was killed)", s)
	}
}
