// Command judgement tests the rules of internal/judge by simulation: it makes runs
// whose truth is known, judges them, and counts how often the verdict was wrong.
//
//	judgement two-runs    two runs of the same work, while the machine drifts
//	judgement border      two runs whose true speed-up is the limit of 3.0
//	judgement repeats     several runs per side
//	judgement ab          pairs of the same work, looked at after each pair
//	judgement slots       pairs in eight slots under one load: which coin is honest
//	judgement power       how small an effect is found, and after how many pairs
//	judgement early       estimates from a part of a run, at the worst moment
//	judgement replays     the same with workers, schedules and unfinished chunks
//	judgement borders     trades counted in chunks, with and without a burn-in
//	judgement daily       the interval of daily pnl
//	judgement all         all of these
//
// Each prints a Markdown table. --seed and --trials determine it, whatever the number
// of processors. --data FILE lets early use the bars of a CSV file, too. It exits 0 if
// every limit was kept, 1 if one was not, 2 if it could not run.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// config is what simulations have in common.
type config struct {
	trials  int
	seed    uint64
	data    string
	workers int  // goroutines; the results do not depend on it
	small   bool // fewer rows and shorter sessions, for the tests
}

// simulation makes tables. Its whole size takes minutes of one processor.
type simulation struct {
	name   string
	trials int // of its whole size
	run    func(config) ([]*table, error)
}

// sizes are the sizes of runs that a simulation makes, only the first if it is small.
func (c config) sizes(all ...int) []int {
	if c.small {
		return all[:1]
	}
	return all
}

// lastLook is the pair after which a session is looked at for the last time.
func (c config) lastLook() int {
	if c.small {
		return 48
	}
	return 200
}

var simulations = []simulation{
	{"two-runs", 4000, twoRuns}, {"border", 4000, border}, {"repeats", 20_000, repeats},
	{"ab", 2500, ab}, {"slots", 3000, slots}, {"power", 2000, power},
	{"early", 2000, early}, {"replays", 1000, replays}, {"borders", 200, borders}, {"daily", 2000, daily},
}

func run(args []string, stdout, stderr io.Writer) int {
	var names []string
	for _, s := range simulations {
		names = append(names, s.name)
	}
	if len(args) == 0 || args[0] != "all" && !slices.Contains(names, args[0]) {
		fmt.Fprintf(stderr, "judgement: name a simulation: %s or all\n", strings.Join(names, ", "))
		return 2
	}
	c := config{workers: runtime.GOMAXPROCS(0)}
	fs := flag.NewFlagSet("judgement "+args[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&c.trials, "trials", 0, "trials per cell (default: the whole size of the simulation)")
	fs.Uint64Var(&c.seed, "seed", 1, "seed")
	fs.StringVar(&c.data, "data", "", "CSV file with a column close, for early")
	if err := fs.Parse(args[1:]); err != nil {
		return 2
	}
	if c.trials < 0 || fs.NArg() > 0 {
		fmt.Fprintf(stderr, "judgement: trials %d, arguments %q (want 0 or more, and none)\n", c.trials, fs.Args())
		return 2
	}
	wrong := 0
	for _, s := range simulations {
		if args[0] != "all" && args[0] != s.name {
			continue
		}
		one := c
		if one.trials == 0 {
			one.trials = s.trials
		}
		tables, err := s.run(one)
		if err != nil {
			fmt.Fprintf(stderr, "judgement: %s: %v\n", s.name, err)
			return 2
		}
		fmt.Fprintf(stdout, "<!-- judgement %s --trials %d --seed %d -->\n\n", s.name, one.trials, one.seed)
		for _, t := range tables {
			t.print(stdout)
			wrong += len(t.broken)
		}
	}
	if wrong > 0 {
		fmt.Fprintf(stderr, "judgement: %d limits were not kept\n", wrong)
		return 1
	}
	return 0
}
