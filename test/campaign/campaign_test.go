//go:build linux

package main

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A failing run is done again by its seed and number alone.
func TestPlanFollowsFromSeedAndNumber(t *testing.T) {
	a, b := &stops{drawn: drawn{seed: 7, chunks: []int{1, 64}}}, &stops{drawn: drawn{seed: 7, chunks: []int{1, 64}}}
	other := &stops{drawn: drawn{seed: 8, chunks: []int{1, 64}}}
	same := 0
	for n := range 50 {
		p := a.plan(n)
		if p != b.plan(n) {
			t.Fatalf("run %d is %v and %v", n, p, b.plan(n))
		}
		if p.way != ways[n%len(ways)] {
			t.Errorf("run %d is stopped by %s (expected each way in turn)", n, p.way)
		}
		if p.share < 0 || p.share > 1.15 || p.plus < -120*time.Millisecond || p.plus >= 300*time.Millisecond {
			t.Errorf("run %d is stopped at %v×length%+v", n, p.share, p.plus)
		}
		if p == other.plan(n) {
			same++
		}
	}
	if same > 5 {
		t.Errorf("%d of 50 runs are the same with another seed", same)
	}
}

func TestOrdealFollowsFromSeedAndNumber(t *testing.T) {
	a, b, other := &stops{drawn: drawn{seed: 7, chunks: []int{1, 64}}}, &stops{drawn: drawn{seed: 7, chunks: []int{1, 64}}}, &stops{drawn: drawn{seed: 8, chunks: []int{1, 64}}}
	same := 0
	for n := range 50 {
		o := a.ordeal(n)
		if !reflect.DeepEqual(o, b.ordeal(n)) {
			t.Fatalf("run %d is %v and %v", n, o, b.ordeal(n))
		}
		if n < len(sequences) && !slices.Equal(o.events, sequences[n]) {
			t.Errorf("run %d has the events %v (expected %v)", n, o.events, sequences[n])
		}
		if len(o.shares) != len(o.events) || len(o.delays) != len(o.events) || len(o.events) == 0 {
			t.Errorf("run %d: %d events, %d moments, %d delays", n, len(o.events), len(o.shares), len(o.delays))
		}
		if n >= len(sequences) && reflect.DeepEqual(o.events, other.ordeal(n).events) {
			same++
		}
	}
	if same > 5 {
		t.Errorf("%d of 50 runs are the same with another seed", same)
	}
}

// The defaults of the campaigns over many runs, and what a flag makes of them.
func TestDrawnFlags(t *testing.T) {
	d := drawn{runs: 100, jobs: 2}
	fs := flag.NewFlagSet("campaign", flag.ContinueOnError)
	d.bindMany(fs, "kill")
	if err := d.parse(fs, []string{"--runs", "2", "--first", "7", "--seed", "3", "--chunks", "5,4000", "--workers", "3", "-v"}); err != nil {
		t.Fatal(err)
	}
	want := drawn{runs: 2, first: 7, jobs: 2, bars: 8000, seed: 3, chunks: []int{5, 4000}, workers: []int{3}, verbose: true}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("%+v (expected %+v)", d, want)
	}
	for _, bad := range []string{"--chunks", "--workers"} {
		fs := flag.NewFlagSet("campaign", flag.ContinueOnError)
		if err := new(drawn).parse(fs, []string{bad, "0"}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s 0: error %v, want one that names it", bad, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	got, err := numbers("1,64,300")
	if err != nil || !slices.Equal(got, []int{1, 64, 300}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "0", "1,", "-1", "a"} {
		if _, err := numbers(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDelays(t *testing.T) {
	got, err := parseDelays("alone,5ms,1s")
	if err != nil || !slices.Equal(got, []time.Duration{withoutTerm, 5 * time.Millisecond, time.Second}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "5", "-1ms", "alone,"} {
		if _, err := parseDelays(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestQuantile(t *testing.T) {
	list := []time.Duration{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 1: 5} {
		if got := quantile(slices.Clone(list), q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := quantile([]float64(nil), 0.5); got != 0 {
		t.Errorf("quantile of nothing is %v", got)
	}
}

// The watcher sees a rename to the name and nothing else.
func TestWatcher(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "perf.json")
	w, err := watchFor(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := w.wait(time.Now(), 50*time.Millisecond); err == nil {
		t.Fatal("another file is taken for it")
	}
	begun := time.Now()
	if _, err := bareWrite(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	d, err := w.wait(begun, 10*time.Second)
	if err != nil || d <= 0 || d > time.Since(begun) {
		t.Errorf("seen after %v, error %v", d, err)
	}
	if _, err := watchFor(path); err == nil {
		t.Error("a file that is there already is watched for")
	}
}
