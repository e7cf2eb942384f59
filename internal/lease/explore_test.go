package lease

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/test/testsize"
)

// store puts next behind the compare-and-set, which the caller has passed, and
// holds the invariants of doc.go for it.
func (e *explorer) store(w *world, i int, next *Record) {
	old, p := w.reg, w.players[i]
	defer func() { w.reg, w.seq = next, w.seq+1 }()
	if old == nil {
		if next.Attempt != 1 {
			e.breaks("invariant 4: the first attempt is %d", next.Attempt)
		}
		return
	}
	own := p.phase == holding && old.Same(*p.rec)
	claim := next.State == StateClaimed && !own
	switch {
	case p.phase == holding && !own:
		e.breaks("a lease that was lost is written: %+v over %+v", next, old)
	case own && old.State != StateClaimed:
		e.breaks("an attempt that has ended goes on: %s over %s", next.State, old.State)
	case old.State == StateClaimed && !own && p.watched != w.seq:
		e.breaks("invariant 1: %s over a live claim", next.State)
	case next.Session < old.Session:
		e.breaks("invariant 2: session %d over session %d", next.Session, old.Session)
	case old.Best != nil && (next.Best == nil || footer.Outranks(*old.Best, *next.Best)):
		e.breaks("invariant 3: best fell from %d bars to %d", bars(*old), bars(*next))
	case claim && next.Attempt != old.Attempt+1, !claim && next.Attempt != old.Attempt:
		e.breaks("invariant 4: attempt %d over attempt %d", next.Attempt, old.Attempt)
	case next.Session == old.Session && (next.Failures < old.Failures || next.Releases < old.Releases):
		e.breaks("invariant 4: failures %d after %d, releases %d after %d", next.Failures, old.Failures, next.Releases, old.Releases)
	case next.Failures > modelFailures, next.Failures == modelFailures && next.State != StateExhausted:
		e.breaks("invariant 5: %s with %d failures", next.State, next.Failures)
	case old.State == StateExhausted && next.Session == old.Session:
		e.breaks("invariant 5: %s over exhausted", next.State)
	case old.State == StateStopped && next.Session == old.Session:
		e.breaks("schedule 8: %s over its own session's stopped", next.State)
	case old.State == StateDone:
		e.breaks("invariant 6: %s over done, and the ok footer is stored", next.State)
	}
}

// key is w in a few bytes; what does not matter for the future is left out.
func (w *world) key() string {
	flag := func(b bool) byte {
		if b {
			return 1
		}
		return 0
	}
	b := make([]byte, 0, 96)
	b = append(b, w.seq, flag(w.ok), w.session, flag(w.stopped), w.lost, w.crashes)
	b = w.reg.key(b)
	for _, p := range w.players {
		b = append(b, byte(p.phase), p.life, p.session, p.expect, p.watched, p.seq, p.bars, p.deferred, byte(p.ending))
		b = p.next.key(b)
		b = p.rec.key(b)
	}
	return string(b)
}

func (r *Record) key(b []byte) []byte {
	if r == nil {
		return append(b, 0xff)
	}
	b = append(b, byte(slices.Index(allStates, r.State)), byte(r.Session), r.Holder.WorkerID[0], r.Holder.WorkerID[1], byte(r.Attempt), byte(r.Failures), byte(r.Releases))
	if r.Best == nil {
		return append(b, 0xff)
	}
	return append(b, byte(r.Best.BarsProcessed), byte(r.Best.Attempt))
}

// All interleavings of the model, up to a bound on their number.
func TestInvariants1to6_OverAllInterleavings(t *testing.T) {
	most := testsize.Of(t, 20_000, 105_000)
	began := time.Now()
	e := explore(realRules(), most)
	if e.broken != "" {
		t.Fatal(e.broken)
	}
	t.Logf("%d states, %d of them followed up, in %v", len(e.nodes), e.at, time.Since(began).Round(time.Millisecond))
	if len(e.nodes) < most {
		t.Errorf("only %d states", len(e.nodes))
	}
	// The walk meets what the rules are for.
	seen := map[string]bool{}
	for _, n := range e.nodes {
		if n.world.reg != nil {
			seen[string(n.world.reg.State)] = true
			if n.world.reg.Session == 2 && n.world.reg.Attempt > 1 {
				seen["a claim over an earlier session's record"] = true
			}
		}
		for _, event := range []string{"has watched", "adopts its claim", "adopts its late write", "crashes", string(Defer), string(LetGo)} {
			if strings.Contains(n.did, event) {
				seen[event] = true
			}
		}
	}
	for _, s := range allStates {
		if !seen[string(s)] {
			t.Errorf("no state with a record %s", s)
		}
	}
	for _, event := range []string{"a claim over an earlier session's record", "has watched", "adopts its claim", "adopts its late write", "crashes", string(Defer)} {
		if !seen[event] {
			t.Errorf("it never happens: %s", event)
		}
	}
}

// Long random schedules of the same model.
func TestInvariants1to6_OverLongSchedules(t *testing.T) {
	deepest, attempts := 0, 0
	for seed := range testsize.Of[uint64](t, 100, 500) {
		e := wander(realRules(), rand.New(rand.NewPCG(seed, 0)), 120)
		if e.broken != "" {
			t.Fatalf("seed %d: %s", seed, e.broken)
		}
		deepest = max(deepest, e.at)
		if reg := e.nodes[e.at].world.reg; reg != nil {
			attempts = max(attempts, reg.Attempt)
		}
	}
	if deepest < 40 || attempts < modelAttempts {
		t.Errorf("the longest has %d steps, and at most %d attempts are made", deepest, attempts)
	}
}

// Rules that are broken on purpose break an invariant of the model, each its
// own, or the walk above would show nothing.
func TestModelFindsBrokenRules(t *testing.T) {
	// pretend lets a decision be made on another record than the stored one.
	pretend := func(change func(prev *Record)) func(Delivery) Decision {
		return func(d Delivery) Decision {
			if d.Prev != nil {
				prev := *d.Prev
				change(&prev)
				d.Prev = &prev
			}
			return Decide(d)
		}
	}
	claimed := func(change func(next *Record)) func(Delivery) Decision {
		return func(d Delivery) Decision {
			dec := Decide(d)
			if dec.Action == Claim {
				change(&dec.Next)
			}
			return dec
		}
	}
	blind := func(decide func(Delivery) Decision) func(Delivery) Decision {
		return func(d Delivery) Decision { d.OK = false; return decide(d) }
	}
	for _, tc := range []struct {
		name   string
		change func(*rulebook)
		want   string
	}{
		{"no watch", func(r *rulebook) {
			r.decide = pretend(func(p *Record) {
				if p.State == StateClaimed {
					p.State = StateReleased
				}
			})
		}, "invariant 1"},
		{"claims over a later session", func(r *rulebook) { r.decide = pretend(func(p *Record) { p.Session = 1 }) }, "invariant 2"},
		{"best is forgotten", func(r *rulebook) { r.decide = claimed(func(n *Record) { n.Best = nil }) }, "invariant 3"},
		{"attempts stand still", func(r *rulebook) { r.decide = claimed(func(n *Record) { n.Attempt = 1 }) }, "invariant 4"},
		{"releases are forgotten", func(r *rulebook) { r.decide = claimed(func(n *Record) { n.Releases = 0 }) }, "invariant 4"},
		{"failures are forgotten", func(r *rulebook) { r.decide = claimed(func(n *Record) { n.Failures = 0 }) }, "invariant 4"},
		{"exhausted is tried again", func(r *rulebook) {
			r.decide = pretend(func(p *Record) {
				if p.State == StateExhausted {
					p.State, p.Failures = StateReleased, 0
				}
			})
		}, "invariant"},
		{"silence is never enough", func(r *rulebook) {
			r.afterWatch = func(d Delivery) Decision { d.MaxFailures = 99; return AfterWatch(d) }
		}, "invariant 5"},
		{"blind to the footer", func(r *rulebook) { r.decide = blind(Decide) }, "invariant 6"},
		{"blind to the footer after the watch", func(r *rulebook) { r.afterWatch = blind(AfterWatch) }, "invariant 6"},
		{"stopped is no end", func(r *rulebook) {
			r.decide = pretend(func(p *Record) {
				if p.State == StateStopped {
					p.State = StateReleased
				}
			})
		}, "schedule 8"},
		{"adopts what a watcher wrote in its name", func(r *rulebook) { r.adopts = func(Record) bool { return true } }, "goes on"},
	} {
		r := realRules()
		tc.change(&r)
		e := explore(r, 120_000)
		if !strings.Contains(e.broken, tc.want) {
			t.Errorf("%s: %d states and %q, want %q", tc.name, len(e.nodes), e.broken, tc.want)
		}
		t.Logf("%s: %s", tc.name, e.broken)
	}
}
