//go:build linux

// Command bugs puts one deliberate bug after the other into the product, and
// shows that each is caught: by a property test, by a schedule on the real
// server, or by the checker's look at what a killed run and its resume leave.
//
//	go run ./test/bugs                    all of them
//	go run ./test/bugs --run best-dropped one
//	go run ./test/bugs --list
//
// The product's sources hold no switch for that, and are not touched. The
// command that catches a bug is run with an overlay of the one source file,
// in which it stands twice: as it is, unless the build tag gx1bug_<name> is
// set, and with the bug if it is. Without the tag the command has to pass;
// with it, to fail and to say what is wrong.
//
// It exits 0 if every bug was caught, 1 if one was not, 2 if it could not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"gx1replay/test/drive"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	fs := flag.NewFlagSet("bugs", flag.ContinueOnError)
	fs.SetOutput(stderr)
	names := fs.String("run", "", "the bugs to apply, separated by commas (default: all)")
	list := fs.Bool("list", false, "list them, and what catches each")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	chosen, err := choose(*names)
	if err != nil {
		fmt.Fprintf(stderr, "bugs: %v\n", err)
		return 2
	}
	if *list {
		for _, b := range chosen {
			fmt.Fprintf(stdout, "%s: %s\n  in %s, caught by: %s\n", b.name, b.what, b.file, strings.Join(b.command, " "))
		}
		return 0
	}
	root, err := drive.Root()
	if err != nil {
		fmt.Fprintf(stderr, "bugs: %v\n", err)
		return 2
	}
	caught := 0
	for _, b := range chosen {
		said, err := b.show(ctx, root)
		switch {
		case err == nil:
			caught++
			fmt.Fprintf(stdout, "caught  %s: %s\n        by %s\n        which said: %s\n", b.name, b.what, strings.Join(b.command, " "), said)
		case errors.Is(err, errMissed):
			fmt.Fprintf(stdout, "MISSED  %s: %s\n        %v\n%s\n", b.name, b.what, err, said)
		default:
			fmt.Fprintf(stderr, "bugs: %s: %v\n%s\n", b.name, err, said)
			return 2
		}
	}
	fmt.Fprintf(stdout, "%d of %d bugs are caught\n", caught, len(chosen))
	if caught < len(chosen) {
		return 1
	}
	return 0
}

func choose(names string) ([]bug, error) {
	if names == "" {
		return bugs(), nil
	}
	var list []bug
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(bugs(), func(b bug) bool { return b.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no bug %q; --list lists them", name)
		}
		list = append(list, bugs()[i])
	}
	return list, nil
}
