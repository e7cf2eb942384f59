// Command perfcheck judges a perf JSON from outside and prints each
// violation; it exits 0 for none, 1 for some, 2 if there is nothing to judge.
//
//	perfcheck [flags] PERF.json; perfcheck --help shows examples
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gx1replay/test/check"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const help = `perfcheck judges a perf JSON from outside: against itself, and against whatever
else is known of the run. It prints one line for each violation, and exits 0
for none, 1 for some, 2 if there is nothing to judge.

  perfcheck reports/perf_pilot.json
  perfcheck --bars 70000 --expect-outcome complete reports/perf_pilot.json
  perfcheck --expect-stop sigterm,sigint --wall 12.5 reports/perf_pilot.json

What each attempt really stepped over, from lines "chunk attempt bar" in
DIR/<pid>.log, and what readers find beside the file:
  perfcheck --bar-log DIR --artifacts reports/pilot reports/perf_pilot.json

A run that was killed and resumed: the files it had before, in their order, an
undisturbed run of the same plan, and from when to when each coordinator lived
(",killed" if it was):
  perfcheck --earlier killed.json --same-trades-as whole.json \
    --life 2026-03-01T12:00:00Z,2026-03-01T12:00:05.2Z,killed \
    --life 2026-03-01T12:00:09Z,2026-03-01T12:01:00Z reports/perf_pilot.json

Flags:
`

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("perfcheck", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), help)
		fs.PrintDefaults()
	}
	var o check.Options
	fs.StringVar(&o.BarLog, "bar-log", "", "directory of the bar logs of all sessions")
	fs.StringVar(&o.RunID, "run-id", "", "the run that the file must be of")
	fs.Int64Var(&o.Bars, "bars", 0, "bars of the data set")
	fs.Float64Var(&o.WallSec, "wall", 0, "seconds that the run's process lived")
	fs.Int64Var(&o.MaxUnreported, "max-unreported", -1, "bars that chunks without a last word may have lost (-1: any)")
	fs.Int64Var(&o.Behind, "behind", 0, "bars that a command may have logged and not said when a stop ended it")
	fs.StringVar(&o.Outcome, "expect-outcome", "", "complete, stopped or failed")
	fs.BoolVar(&o.Early, "early", false, "the file was written while the run was still ending")
	fs.BoolVar(&o.FreshBus, "fresh-bus", false, "a session began on another bus, so attempts were numbered from 1 again")
	fs.StringVar(&o.SameTradesAs, "same-trades-as", "", "perf JSON of an undisturbed run of the same plan")
	fs.StringVar(&o.Artifacts, "artifacts", "", "the run's directory for readers")
	list := func(to *[]string) func(string) error {
		return func(text string) error { *to = append(*to, strings.Split(text, ",")...); return nil }
	}
	fs.Func("expect-stop", "sources that the stop may have, separated by commas", list(&o.Stop))
	fs.Func("expect-mode", "values that export_mode may have, separated by commas", list(&o.Mode))
	fs.Func("earlier", "an earlier file of the run; again for each, in their order", func(path string) error {
		o.Earlier = append(o.Earlier, path)
		return nil
	})
	fs.Func("life", "BEGAN,ENDED[,killed] of a coordinator; again for each, in their order", func(text string) error {
		l, err := parseLife(text)
		o.Lives = append(o.Lives, l)
		return err
	})
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if fs.NArg() != 1 {
		fmt.Fprintf(stderr, "perfcheck: %d files (want one perf JSON)\ntry: perfcheck --help\n", fs.NArg())
		return 2
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
	fmt.Fprintf(stdout, "outcome=%s mode=%s stop=%s sessions=%d planned=%d replayed=%d chunks=%v\n",
		r.Outcome, r.Mode, r.StopSource, r.Sessions, r.Planned, r.Replayed, r.Statuses)
	if o.BarLog != "" {
		fmt.Fprintf(stdout, "logged=%d unreported=%d\n", r.Logged, r.Unreported)
	}
	return 0
}

func parseLife(text string) (check.Life, error) {
	parts := strings.Split(text, ",")
	var l check.Life
	if len(parts) == 3 && parts[2] == "killed" {
		l.Killed, parts = true, parts[:2]
	}
	if len(parts) != 2 {
		return l, fmt.Errorf("%q (want BEGAN,ENDED or BEGAN,ENDED,killed)", text)
	}
	for i, to := range []*time.Time{&l.Began, &l.Ended} {
		t, err := time.Parse(time.RFC3339, parts[i])
		if err != nil {
			return l, fmt.Errorf("%q is no time (want RFC 3339, as 2026-03-01T12:00:05.2Z)", parts[i])
		}
		*to = t
	}
	return l, nil
}
