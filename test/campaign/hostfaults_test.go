//go:build linux

package main

import (
	"testing"
	"time"
)

func TestMishapFollowsFromSeedAndNumber(t *testing.T) {
	a, b, other := &drawn{seed: 7}, &drawn{seed: 7}, &drawn{seed: 8}
	seen := map[trouble]int{}
	same := 0
	for n := range 10 * len(troubles) {
		m := a.mishap(n)
		if m != b.mishap(n) {
			t.Fatalf("run %d is %v and %v", n, m, b.mishap(n))
		}
		if m == other.mishap(n) {
			same++
		}
		if m.share < 0 || m.share >= 1 {
			t.Errorf("run %d: %v is at %v of the length", n, m, m.share)
		}
		least, most := time.Duration(0), time.Duration(0)
		switch m.trouble {
		case serverKilled:
			most = 10 * time.Second
		case workerCut:
			least, most = m.lease+time.Second, m.lease+9*time.Second
			if m.host == 0 {
				t.Errorf("run %d: %v is the coordinator's host", n, m)
			}
		case leaderCut, leaderCutStop:
			least, most = time.Second, time.Minute
			if m.host != 0 {
				t.Errorf("run %d: %v is not the coordinator's host", n, m)
			}
		case badNetwork:
			least, most = time.Second, 8*time.Second
		}
		if m.lasts < least || m.lasts > most || m.stopAfter < 0 || m.stopAfter > m.lasts {
			t.Errorf("run %d: %v (want a trouble of %v to %v, and a stop within it)", n, m, least, most)
		}
		seen[m.trouble]++
		if round := n/len(troubles) + 1; n%len(troubles) == len(troubles)-1 {
			for _, kind := range troubles {
				if seen[kind] != round {
					t.Fatalf("%d rounds of runs have %s %d times (want each once a round)", round, kind, seen[kind])
				}
			}
		}
	}
	if same > 0 {
		t.Errorf("%d runs are the same with another seed", same)
	}
}

// What a run may lose by a trouble, as docs/reliability.md has it.
func TestHarmless(t *testing.T) {
	for _, c := range []struct {
		trouble
		lasts time.Duration
		want  bool
	}{
		{noTrouble, 0, true}, {serverKilled, 10 * time.Second, true}, {workerTerm, 0, true},
		{workerKilled, 0, false}, {workerCut, 4 * time.Second, false},
		{leaderCut, harmlessFor, true}, {leaderCut, harmlessFor + 1, false},
		{leaderCutStop, harmlessFor + 1, false}, {badNetwork, harmlessFor, true}, {badNetwork, harmlessFor + 1, false},
	} {
		if got := (mishap{trouble: c.trouble, lasts: c.lasts}).harmless(); got != c.want {
			t.Errorf("%s for %v: harmless is %v", c.trouble, c.lasts, got)
		}
	}
}
