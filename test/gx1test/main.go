// Command gx1test is the coordinator with faults built in, for the campaigns
// and the fault tests. What it does differently stands in the environment, so
// that its local workers, which are this same executable, inherit it:
//
//	GX1TEST_ENGINE_VERSION=N a worker says that its engine has version N, and
//	                        a new run asks for it
//	GX1TEST_BUILD=TEXT      a worker says that its build is TEXT
//	GX1TEST_BARLOG=DIR      append "chunk attempt bar" to DIR/<pid>.log for
//	                        each bar, one write(2) a line, before it is counted
//	GX1TEST_GATE=BARS,FILE  step over BARS bars in the life of a worker process,
//	                        and wait before the next one while FILE is there
//	GX1TEST_NAN=F[=V],…     chunk i reports V (NaN, +Inf, -Inf; default NaN) in
//	                        the i-th field of the list, taken round and round
//	GX1TEST_HOLD=1          the session's goroutine blocks for ever
//	GX1TEST_BLOCK_SYNC=DIR  every sync of a file in DIR blocks for ever
//	GX1TEST_BAR_SLEEP=D     sleep D on each bar, deaf to cancels
//	GX1TEST_DIE=STEP        the coordinator kills itself, as by kill -9, at a
//	                        step of its run's end: write (the perf JSON is
//	                        written aside and not synced), rename (it is synced
//	                        and not renamed), selecting (a file about its trades
//	                        is, and a complete perf JSON without them is there),
//	                        and those that the product names: exported, manifest,
//	                        "clean bus", …
//	GX1TEST_DIE_GUARDIAN=STEP  the same for the guardian: write, rename
//
// With the verb `command` it is a command of the engine exec that needs its
// grace: see command.go.
//
// It is never shipped. A variable that it cannot read ends it with code 70.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"gx1replay/internal/cli"
)

// exitBadHook is none of the product's codes.
const exitBadHook = 70

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == commandVerb {
		return command(args[1:], stdout, stderr)
	}
	p := cli.Main(stdin, stdout, stderr)
	var err error
	if p.Hooks, err = hooks(os.Getenv, os.Getpid(), args); err != nil {
		fmt.Fprintf(stderr, "gx1test: %v\n", err)
		return exitBadHook
	}
	return p.Coordinator(ctx, args)
}
