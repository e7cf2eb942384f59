package cli

import (
	"time"

	"gx1replay/internal/footer"
)

const (
	paceOver = 5 * time.Second
	// paceAfter is how long bars must have moved before there is a figure: the
	// first report alone is off by hours.
	paceAfter = 2 * time.Second
)

type pace struct {
	// marks begin, while nothing has moved, with the last look; later with
	// the first look at which something had, or with one that is paceOver
	// old.
	marks  []mark
	moving bool
}

type mark struct {
	at   time.Time
	bars int64
}

// look notes that the run is at bars. Nothing moves before a worker has taken
// a task: bars that are there by then are an earlier session's.
func (p *pace) look(at time.Time, bars int64, taken bool) {
	if !p.moving {
		p.moving = taken && len(p.marks) > 0 && bars > p.marks[0].bars
		p.marks = append(p.marks[:0], mark{at, bars})
		return
	}
	p.marks = append(p.marks, mark{at, bars})
	for len(p.marks) > 2 && at.Sub(p.marks[1].at) >= paceOver {
		p.marks = p.marks[1:]
	}
}

// barsPerSec is the pace by the looks of the last paceOver; 0: not known yet,
// or nothing moved in that time.
func (p *pace) barsPerSec() float64 {
	if !p.moving {
		return 0
	}
	first, last := p.marks[0], p.marks[len(p.marks)-1]
	d := last.at.Sub(first.at)
	if d < paceAfter {
		return 0
	}
	return footer.Rate(last.bars-first.bars, d.Seconds())
}
