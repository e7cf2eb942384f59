package check

import (
	"math"
	"time"
)

// Life is the life of one coordinator as its parent saw it.
type Life struct {
	Began, Ended time.Time
	// Killed: it could not say when it ended, and whoever wrote the file
	// learned of it a little later.
	Killed bool
}

const (
	// rounding is what a time of the file, in whole milliseconds, may be off.
	rounding = 2 * time.Millisecond
	// deathNews is how long the news of a coordinator's death may take to
	// those who outlive it.
	deathNews = time.Second
	// orphanSec is how many seconds a worker may outlive its coordinator.
	orphanSec = 2.0
	// clockStep is how many seconds the two clocks of a session, the wall's
	// and the one that only goes forward, may differ.
	clockStep = 0.1
)

// longest is the longest life of a process that an attempt may have had, in
// seconds; 0: not known.
func (o Options) longest() float64 {
	most := o.WallSec
	for _, l := range o.Lives {
		sec := l.Ended.Sub(l.Began).Seconds()
		if l.Killed {
			sec += orphanSec
		}
		most = max(most, sec)
	}
	return most
}

// judgeSessions holds the sessions against their sum, against each other and
// against the lives of the coordinators, and returns how many there are.
func judgeSessions(d *doc, o Options) int {
	list, ok := d.m["sessions"].([]any)
	if !ok {
		d.r.fail("sessions is no list")
		return 0
	}
	if len(list) == 0 && d.r.Mode != recovered {
		d.r.fail("sessions is empty")
	}
	sum := 0.0
	lives := o.Lives
	var last time.Time // the end of the session before
	for i, v := range list {
		m, _ := v.(map[string]any)
		f := d.item("sessions", i, m)
		if n := f.whole("session"); n != int64(i+1) {
			d.r.fail("%ssession is %d (expected %d)", f.at, n, i+1)
		}
		wall := f.number("wall_clock_sec")
		sum += wall
		if wall < 0 {
			d.r.fail("%swall_clock_sec is %v (expected 0 or more)", f.at, wall)
		}
		began, ended := f.time("started_at"), f.time("ended_at")
		if ended.IsZero() { // it lives
			if i < len(list)-1 {
				d.r.fail("%sended_at is empty of a session that another has followed", f.at)
			}
			ended = began.Add(time.Duration(wall * float64(time.Second)))
		}
		if length := ended.Sub(began).Seconds(); math.Abs(length-wall) > clockStep {
			d.r.fail("%swall_clock_sec is %v (from started_at to ended_at are %v s)", f.at, wall, length)
		}
		if began.Before(last) {
			d.r.fail("%sstarted_at is %s (the session before ended at %s)", f.at, stamp(began), stamp(last))
		}
		last = ended
		if len(o.Lives) > 0 {
			lives = judgeLife(f, began, ended, lives)
		}
	}
	if total := d.number("total_wall_clock_sec"); math.Abs(total-sum) > 1e-6*float64(1+len(list)) {
		d.r.fail("total_wall_clock_sec is %v (expected %v over the sessions)", total, sum)
	}
	return len(list)
}

// judgeLife looks for the life that the session lies in, and returns those
// after it. A coordinator may have died before it became a session.
func judgeLife(f *doc, began, ended time.Time, lives []Life) []Life {
	for i, l := range lives {
		last := l.Ended.Add(rounding)
		if l.Killed {
			last = last.Add(deathNews)
		}
		if !began.Before(l.Began.Add(-rounding)) && !began.After(last) && !ended.After(last) {
			return lives[i+1:]
		}
	}
	text := ""
	for _, l := range lives {
		text += " " + stamp(l.Began) + "–" + stamp(l.Ended)
	}
	f.r.fail("%sit went from %s to %s, in the life of no coordinator left:%s", f.at, stamp(began), stamp(ended), text)
	return lives
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
