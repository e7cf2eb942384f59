package main

import (
	"math/rand/v2"
	"sync"
)

// perTrial calls f once for each trial, on several goroutines, and returns what
// it returned, in order. A trial's random numbers follow from seed, cell and trial
// alone.
func perTrial[T any](c config, cell uint64, f func(r *rand.Rand) T) []T {
	results := make([]T, c.trials)
	next := make(chan int, c.trials)
	for i := range c.trials {
		next <- i
	}
	close(next)
	var work sync.WaitGroup
	for range max(c.workers, 1) {
		work.Go(func() {
			for i := range next {
				results[i] = f(rand.New(rand.NewPCG(c.seed<<32|cell, uint64(i))))
			}
		})
	}
	work.Wait()
	return results
}

// count is how many trials had each of several outcomes.
func count[T ~[]bool](results []T) []rate {
	if len(results) == 0 {
		return nil
	}
	rates := make([]rate, len(results[0]))
	for _, r := range results {
		for k, yes := range r {
			rates[k].n++
			if yes {
				rates[k].hits++
			}
		}
	}
	return rates
}
