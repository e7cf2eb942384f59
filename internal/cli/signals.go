package cli

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// stopSignals are the signals that ask this process to end. A SIGHUP that was
// ignored when it started is still ignored: nohup has asked for that. Call it
// before anything is done about signals.
//
// SIGUSR1 and SIGUSR2 are ignored by a Go program that does not ask for them.
func stopSignals() []os.Signal {
	list := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// outliveReaders makes a write fail that nobody can read any more, instead of
// ending the process: what it has to finish is more than its output. The signal
// is caught and dropped; one that is ignored would be ignored in commands, too.
func outliveReaders() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// dumpOnQuit writes the stacks of all goroutines to each of to at a SIGQUIT, and
// passes the signal on, as a stop. It works as long as the process does: until
// end, which waits for it.
func dumpOnQuit(stops chan<- os.Signal, to ...io.Writer) (end func()) {
	quits := make(chan os.Signal, 1)
	signal.Notify(quits, syscall.SIGQUIT)
	over := make(chan struct{})
	var owned sync.WaitGroup
	owned.Go(func() {
		for {
			select {
			case <-over:
				return
			case sig := <-quits:
				dump := stacks()
				for _, w := range to {
					_, _ = w.Write(dump) // nobody may be there to read it
				}
				select {
				case stops <- sig:
				default: // one of those that wait is enough
				}
			}
		}
	})
	return func() {
		signal.Stop(quits)
		close(over)
		owned.Wait()
	}
}

// maxStacks bounds a dump.
const maxStacks = 16 << 20

// stacks are the stacks of all goroutines, as the runtime prints them.
func stacks() []byte {
	for size := 64 << 10; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size || size >= maxStacks {
			return append([]byte("SIGQUIT: quit\n\n"), append(b[:n], '\n')...)
		}
	}
}
