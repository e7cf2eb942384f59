package cli

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// stopSignals are the signals that ask this process to end. An ignored SIGHUP stays
// ignored, as nohup wants. Call it before any other handling of signals. Go ignores
// SIGUSR1 and SIGUSR2 unless asked.
func stopSignals() []os.Signal {
	list := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// outliveReaders makes a write without a reader fail instead of ending the process.
// The signal is caught, not ignored: commands would inherit that.
func outliveReaders() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// dumpOnQuit writes the stacks of all goroutines at a SIGQUIT and passes the signal
// on, as a stop, until end.
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

const maxStacks = 16 << 20

func stacks() []byte {
	for size := 64 << 10; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size || size >= maxStacks {
			return append([]byte("SIGQUIT: quit\n\n"), append(b[:n], '\n')...)
		}
	}
}
