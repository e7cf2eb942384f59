package lease

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// A model of the world around the rules: one chunk, its record behind a
// compare-and-set, two workers that may be handed the task at any time, also
// by an old session's consumer, that may pause anywhere, lose answers, crash
// and come again, and a coordinator that may stop the run and start a second
// session. Whatever can happen next, happens in some branch.

// Bounds of the exploration; within them it is complete.
const (
	modelBars     = 2
	modelAttempts = 4
	modelFailures = 2
	modelLost     = 2 // answers that never come
	modelCrashes  = 1
)

type phase byte

const (
	idle     phase = iota
	watching       // a record of somebody's claim, since its sequence was expect
	storing        // next is to be stored over expect
	unknown        // the same, sent, and no answer came
	holding        // rec is ours, as we know it
)

// ending is what a holder is about to write.
type ending byte

const (
	goesOn ending = iota
	writesAgain
	releases
	stops
	fails
	isDone
)

// player is a worker. Records are never changed, only replaced.
type player struct {
	phase    phase
	life     byte // of the process; each has its own worker_id
	session  byte // of the delivery
	expect   byte
	watched  byte // the sequence that it has watched for a whole lease
	seq      byte // of rec
	bars     byte
	deferred byte // the attempt that it deferred, and whose
	ending   ending
	next     *Record
	rec      *Record
}

type world struct {
	reg           *Record
	seq           byte
	ok            bool // the ok footer is stored
	session       byte
	stopped       bool
	lost, crashes byte
	players       [2]player
}

// rulebook is what the model's workers go by; tests put broken ones in.
type rulebook struct {
	decide     func(Delivery) Decision
	afterWatch func(Delivery) Decision
	// adopts reports whether a stored record of a worker's own attempt is taken
	// for its own late write. Only claims are: a watcher may have written the
	// attempt's end in its name.
	adopts func(stored Record) bool
}

func realRules() rulebook {
	return rulebook{Decide, AfterWatch, func(stored Record) bool { return stored.State == StateClaimed }}
}

func (p player) holder(i int) Holder {
	return Holder{WorkerID: string([]byte{'A' + byte(i), '0' + p.life}), Slot: i, Host: "box"}
}

func (w *world) delivery(i int, session byte) Delivery {
	p := &w.players[i]
	return Delivery{
		Me: p.holder(i), Run: run.Ref{ID: "r"}, Session: int(session), Prev: w.reg, OK: w.ok,
		Deferred: w.reg != nil && p.deferred == byte(w.reg.Attempt), MaxFailures: modelFailures,
	}
}

// explorer walks over worlds and keeps the schedules that led to them.
type explorer struct {
	rules   rulebook
	seen    map[string]struct{}
	nodes   []node
	footers [modelAttempts + 1][modelBars + 1]*footer.Footer
	at      int
	broken  string
}

type node struct {
	world  world
	parent int
	did    string
}

func newExplorer(rules rulebook) *explorer {
	e := &explorer{rules: rules, seen: map[string]struct{}{}}
	for attempt := range e.footers {
		for bars := range e.footers[attempt] {
			e.footers[attempt][bars] = &footer.Footer{Attempt: int64(attempt), BarsProcessed: int64(bars), Seq: int64(bars)}
		}
	}
	e.add(world{session: 1}, "start")
	return e
}

// explore visits every world that can be reached, nearest first, until it
// knows most of them or finds a violation.
func explore(rules rulebook, most int) *explorer {
	e := newExplorer(rules)
	for ; e.at < len(e.nodes) && len(e.nodes) < most && e.broken == ""; e.at++ {
		e.expand()
	}
	return e
}

// wander follows one random schedule to its end or a violation; it gets
// deeper than explore can.
func wander(rules rulebook, rnd *rand.Rand, steps int) *explorer {
	e := newExplorer(rules)
	for range steps {
		clear(e.seen)
		e.expand()
		next := e.nodes[e.at+1:]
		if len(next) == 0 || e.broken != "" {
			break
		}
		e.nodes = append(e.nodes[:e.at+1], next[rnd.IntN(len(next))])
		e.at++
	}
	return e
}

// expand adds all that can happen next.
func (e *explorer) expand() {
	w := e.nodes[e.at].world
	for i := range w.players {
		e.moves(w, i)
	}
	if w.session == 1 {
		next := w
		next.session, next.stopped = 2, false
		e.add(next, "session 2 starts")
	}
	if !w.stopped {
		next := w
		next.stopped = true
		e.add(next, "a stop")
	}
}

func (e *explorer) add(w world, did string) {
	key := w.key()
	if _, known := e.seen[key]; known {
		return
	}
	e.seen[key] = struct{}{}
	e.nodes = append(e.nodes, node{w, e.at, did})
}

// breaks notes the first violation and the schedule that led to it.
func (e *explorer) breaks(format string, args ...any) {
	if e.broken != "" {
		return
	}
	var steps []string
	for at := e.at; at > 0; at = e.nodes[at].parent {
		steps = append([]string{e.nodes[at].did}, steps...)
	}
	e.broken = fmt.Sprintf(format, args...) + "\nafter: " + strings.Join(steps, "; ")
}

// moves adds every world that player i can make of w next.
func (e *explorer) moves(w world, i int) {
	p := w.players[i]
	name := string(rune('A' + i))
	then := func(did string, change func(w *world, p *player)) {
		next := w
		change(&next, &next.players[i])
		e.add(next, name+" "+did)
	}
	if p.phase != idle && w.crashes < modelCrashes {
		then("crashes", func(w *world, p *player) { *p = player{life: p.life + 1}; w.crashes++ })
	}
	switch p.phase {
	case idle:
		for session := byte(1); session <= w.session; session++ {
			e.delivered(w, i, session, name)
		}
	case watching:
		if w.seq != p.expect {
			then("sees the record change", func(_ *world, p *player) { p.rest() })
			return
		}
		dec := e.rules.afterWatch(w.delivery(i, p.session))
		e.heeds(w, dec)
		then("has watched", func(_ *world, p *player) { p.watched = p.expect; p.obeys(dec) })
	case storing, unknown:
		e.claims(w, i, then)
	case holding:
		e.holds(w, i, then)
	}
}

func (p *player) rest() { *p = player{life: p.life, deferred: p.deferred} }

// obeys readies what a decision asks to store.
func (p *player) obeys(dec Decision) {
	if dec.Action != Claim && dec.Action != Exhaust || dec.Next.Attempt > modelAttempts {
		p.rest()
		return
	}
	p.phase, p.next = storing, &dec.Next
}

// heeds holds invariant 6 at the moment of a decision.
func (e *explorer) heeds(w world, dec Decision) {
	if w.ok && dec.Action != Ack {
		e.breaks("invariant 6: %s, and the ok footer is stored", dec.Action)
	}
}

func (e *explorer) delivered(w world, i int, session byte, name string) {
	dec := e.rules.decide(w.delivery(i, session))
	e.heeds(w, dec)
	p := &w.players[i]
	switch dec.Action {
	case Watch:
		p.phase = watching
	case Defer:
		p.deferred = byte(w.reg.Attempt)
	case Claim, Exhaust:
		p.obeys(dec)
	}
	if p.phase != idle {
		p.session, p.expect = session, w.seq
	}
	e.add(w, fmt.Sprintf("%s is handed session %d's task: %s", name, session, dec.Action))
}

// claims stores a claim or an exhausted record, or learns what became of it.
func (e *explorer) claims(w world, i int, then func(string, func(*world, *player))) {
	p := w.players[i]
	then("lets go", func(_ *world, p *player) { p.rest() })
	began := func(w *world, p *player) {
		if p.next.State != StateClaimed {
			p.rest()
			return
		}
		rec := *p.next
		rec.Claim = uint64(w.seq)
		*p = player{life: p.life, deferred: p.deferred, phase: holding, rec: &rec, seq: w.seq}
	}
	switch {
	case w.seq == p.expect:
		then("stores "+string(p.next.State), func(w *world, p *player) { e.store(w, i, p.next); began(w, p) })
		if w.lost < modelLost {
			then("stores "+string(p.next.State)+", the answer is lost", func(w *world, p *player) {
				e.store(w, i, p.next)
				p.phase = unknown
				w.lost++
			})
		}
	case p.phase == unknown && p.next.State == StateClaimed && w.reg.Same(*p.next) && e.rules.adopts(*w.reg):
		then("adopts its claim", func(w *world, p *player) {
			p.next = w.reg
			began(w, p)
			p.ending = writesAgain
		})
	default:
		then("is refused", func(_ *world, p *player) { p.rest() })
	}
}

// holds is a holder's next step: measure, decide to end, or write.
func (e *explorer) holds(w world, i int, then func(string, func(*world, *player))) {
	p := w.players[i]
	ends := func(did string, as ending) {
		then(did, func(_ *world, p *player) { p.ending = as })
	}
	if p.ending == goesOn {
		if p.bars < modelBars {
			then("steps over a bar", func(_ *world, p *player) { p.bars++; p.ending = writesAgain })
		} else {
			then("stores its ok footer", func(w *world, p *player) { w.ok = true; p.ending = isDone })
		}
		ends("is told to go", releases)
		ends("meets an error", fails)
		if w.stopped {
			ends("obeys the stop", stops)
		}
		return
	}
	f := e.footers[p.rec.Attempt][p.bars]
	var next Record
	switch p.ending {
	case writesAgain:
		next = p.rec.Renewed(f)
	case releases:
		next = p.rec.Released(f)
	case stops:
		next = p.rec.Stopped(f, run.Stop{Source: run.SourceWeb})
	case fails:
		next = p.rec.Failed(f, "e", "", modelFailures, false)
	case isDone:
		next = p.rec.Done(f)
	}
	wrote := func(w *world, p *player) {
		if next.State != StateClaimed {
			p.rest()
			return
		}
		p.rec, p.seq, p.ending = &next, w.seq, goesOn
	}
	switch {
	case w.seq == p.seq:
		then("writes "+string(next.State), func(w *world, p *player) { e.store(w, i, &next); wrote(w, p) })
		if w.lost < modelLost {
			then("writes "+string(next.State)+", the answer is lost", func(w *world, p *player) { e.store(w, i, &next); w.lost++ })
		}
	case w.reg.Same(*p.rec) && e.rules.adopts(*w.reg):
		then("adopts its late write", func(w *world, p *player) { p.seq = w.seq })
	default:
		then("has lost its lease, or has ended", func(_ *world, p *player) { p.rest() })
	}
}
