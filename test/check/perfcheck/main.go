// Command perfcheck judges a perf JSON from outside and prints each
// violation; it exits 0 for none, 1 for some, 2 if there is nothing to judge.
//
//	perfcheck [--bar-log DIR] [--bars N] [--wall SEC] [--expect-stop SOURCE,…] PERF.json
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"gx1replay/test/check"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("perfcheck", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var o check.Options
	fs.StringVar(&o.BarLog, "bar-log", "", "directory of the bar logs")
	fs.StringVar(&o.RunID, "run-id", "", "the run that the file must be of")
	fs.Int64Var(&o.Bars, "bars", 0, "bars of the data set")
	fs.Float64Var(&o.WallSec, "wall", 0, "seconds that the run's process lived")
	fs.Int64Var(&o.MaxUnreported, "max-unreported", -1, "bars that chunks without a last word may have lost (-1: any)")
	fs.StringVar(&o.Outcome, "expect-outcome", "", "complete, stopped or failed")
	stop := fs.String("expect-stop", "", "sources that the stop may have, separated by commas")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if fs.NArg() != 1 {
		fmt.Fprintf(stderr, "perfcheck: %d files (want one perf JSON)\n", fs.NArg())
		return 2
	}
	if *stop != "" {
		o.Stop = strings.Split(*stop, ",")
	}
	r, err := check.File(fs.Arg(0), o)
	if err != nil {
		fmt.Fprintf(stderr, "perfcheck: %v\n", err)
		return 2
	}
	for _, v := range r.Violations {
		fmt.Fprintln(stdout, v)
	}
	if !r.OK() {
		return 1
	}
	fmt.Fprintf(stdout, "outcome=%s stop=%s planned=%d replayed=%d chunks=%v\n", r.Outcome, r.StopSource, r.Planned, r.Replayed, r.Statuses)
	if o.BarLog != "" {
		fmt.Fprintf(stdout, "logged=%d unreported=%d\n", r.Logged, r.Unreported)
	}
	return 0
}
