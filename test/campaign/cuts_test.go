//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"gx1replay/test/testsize"
)

// The real programs, on a small set of cuts: any number of chunks and workers
// gives the same files and counters. The whole set, with kills, is
// `campaign cuts --kill`.
func TestCuts(t *testing.T) {
	var out, said bytes.Buffer
	args := []string{"cuts", "--dir", t.TempDir(), "--bars", "4500", "--chunks", "1,3,7", "--workers", "1,3", "--orders", "spread", "--jobs", "2"}
	args = append(args, testsize.Of(t, []string{"--bars", "2000", "--chunks", "1,7", "--policies", "dense"}, nil)...)
	if code := run(context.Background(), args, &out, &said); code != 0 {
		t.Errorf("code %d\n%s%s", code, said.String(), out.String())
	}
}

// What differs is said by its name, with both values, and is not right.
func TestCutsAreHeldAgainstTheFirst(t *testing.T) {
	first := sameness{TradesSHA: "aa", Trades: 3, PnlBps: 1.5, Bars: 100, Reasons: "skips map[] drops map[]"}
	if wrong := first.judge(&first); len(wrong) != 0 {
		t.Errorf("against itself: %v", wrong)
	}
	for name, change := range map[string]func(*sameness){
		"the trades file: bb":   func(s *sameness) { s.TradesSHA = "bb" },
		"the attribution: x":    func(s *sameness) { s.AttributionSHA = "x" },
		"total_trades: 4":       func(s *sameness) { s.Trades++ },
		"total_pnl_bps: 1.75":   func(s *sameness) { s.PnlBps += 0.25 },
		"total_bars: 99":        func(s *sameness) { s.Bars-- },
		"bars_skipped_warmup":   func(s *sameness) { s.Warmup++ },
		"total_model_calls: 1 ": func(s *sameness) { s.ModelCalls++ },
		"reasons: skips":        func(s *sameness) { s.Reasons = "skips map[a:1] drops map[]" },
		"scope":                 func(s *sameness) { s.odd = []string{"selection.scope is \"chunks\""} },
	} {
		other := first
		change(&other)
		if wrong := other.judge(&first); len(wrong) != 1 || !strings.Contains(wrong[0], name) {
			t.Errorf("%s: %v", name, wrong)
		}
	}
}

// A kill is drawn from seed and combination alone.
func TestCutsDrawTheSameKills(t *testing.T) {
	s, other := &cuts{stops: &stops{drawn: drawn{seed: 7, bars: 1000}}}, &cuts{stops: &stops{drawn: drawn{seed: 8, bars: 1000}}}
	seen, same := map[string]int{}, 0
	for n := 1; n <= 100; n++ {
		c := combination{Policy: "dense", Chunks: n, Workers: 3, Order: "time"}
		how, m := s.draw(c, 1e9)
		if h, again := s.draw(c, 1e9); h != how || again != m {
			t.Fatalf("%v: %s %v, then %s %v", c, how, m, h, again)
		}
		if m.after < 0 || m.after > 1e9 || m.bars < 0 || m.bars > 1000 || (m.after > 0) == (m.bars > 0) {
			t.Errorf("%v: killed %v", c, m)
		}
		if h, drawn := other.draw(c, 1e9); h == how && drawn == m {
			same++
		}
		seen[how]++
	}
	if len(seen) != 2 || same > 5 {
		t.Errorf("drawn %v, %d of 100 the same with another seed", seen, same)
	}
}

// With --json there is one object a line and nothing else.
func TestCutsTellJSON(t *testing.T) {
	var out bytes.Buffer
	s := &cuts{stops: newStops(&campaign{out: &out, keep: true}), json: true}
	s.tell(doneRun{combination: combination{Policy: "ten", Chunks: 7}, sameness: sameness{Trades: 5}})
	s.tell(doneRun{wrong: []string{"total_trades: 4"}})
	if err := s.verdict(context.Background()); err != errWrong {
		t.Errorf("the verdict is %v", err)
	}
	var got []map[string]any
	for d := json.NewDecoder(&out); d.More(); {
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	if len(got) != 3 || got[0]["chunks"] != 7.0 || got[0]["total_trades"] != 5.0 || got[0]["right"] != true || got[1]["right"] != false || got[2]["wrong"] != 1.0 {
		t.Errorf("%v", got)
	}
}
