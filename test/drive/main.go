package drive

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// setUpTime is far above what a build without a cache takes.
const setUpTime = 5 * time.Minute

// Main is the main function of tests that share what prepare makes in dir, which
// is removed after them. It runs so many tests at a time (0: the default), and
// ends the process.
func Main(m interface{ Run() int }, atOnce int, prepare func(ctx context.Context, dir string) error) {
	code, err := prepareAndRun(m, atOnce, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepareAndRun(m interface{ Run() int }, atOnce int, prepare func(context.Context, string) error) (int, error) {
	flag.Parse()
	if atOnce > 0 {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			return 0, fmt.Errorf("setting how many tests run at a time: %w", err)
		}
	}
	// Who starts these tests may have signals ignored, as nohup does. What is
	// caught here has its default in the programs that they start.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	dir, err := os.MkdirTemp("", "gx1-tests-")
	if err != nil {
		return 0, fmt.Errorf("making the tests' directory: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), setUpTime)
	defer cancel()
	if err := prepare(ctx, dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
