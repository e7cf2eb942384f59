//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// drawn holds the flags of a campaign over many drawn runs. What is in it
// when they are bound is their default.
type drawn struct {
	runs, first, jobs int
	bars              int // at least two a chunk
	seed              uint64
	chunks            []int
	workers           []int // empty: 1 to 4
	verbose           bool
}

// bindMany binds the flags of which runs are done, and how; what says what is
// done to them.
func (d *drawn) bindMany(fs *flag.FlagSet, what string) {
	d.bars = 3000
	fs.IntVar(&d.runs, "runs", d.runs, "runs to "+what)
	fs.IntVar(&d.first, "first", 0, "number of the first run, to do one again")
	fs.IntVar(&d.jobs, "jobs", d.jobs, "runs at a time; more disturb what is measured")
	fs.IntVar(&d.bars, "bars", d.bars, "bars of the data set; at least two a chunk")
	fs.BoolVar(&d.verbose, "v", false, "what was done, for each run")
}

func (d *drawn) bindSeed(fs *flag.FlagSet) {
	fs.Uint64Var(&d.seed, "seed", 1, "seed of everything that is drawn")
}

// parse binds the flags of what is drawn, and reads args.
func (d *drawn) parse(fs *flag.FlagSet, args []string) error {
	d.bindSeed(fs)
	chunks := fs.String("chunks", "1,2,7,64,300", "numbers of chunks to draw from")
	workers := fs.String("workers", "1,2,3,4", "numbers of local workers to draw from")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if d.chunks, err = numbers(*chunks); err != nil {
		return fmt.Errorf("--chunks: %w", err)
	}
	if d.workers, err = numbers(*workers); err != nil {
		return fmt.Errorf("--workers: %w", err)
	}
	d.bars = max(d.bars, 2*slices.Max(d.chunks))
	return nil
}

// each does the runs from the first number on, several at a time.
func (d *drawn) each(ctx context.Context, do func(context.Context, int)) {
	next := make(chan int)
	var jobs sync.WaitGroup
	for range max(d.jobs, 1) {
		jobs.Go(func() {
			for n := range next {
				do(ctx, n)
			}
		})
	}
	for n := d.first; n < d.first+d.runs && ctx.Err() == nil; n++ {
		next <- n
	}
	close(next)
	jobs.Wait()
}

func numbers(text string) ([]int, error) {
	var list []int
	for item := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(item)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q (want numbers above 0, separated by commas)", text)
		}
		list = append(list, n)
	}
	return list, nil
}
