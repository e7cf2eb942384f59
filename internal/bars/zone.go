package bars

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the same zones on every machine that has none of its own
)

// zone is the clock of a source: a time zone with its rule for daylight saving
// time, and a fixed difference to it, as servers of brokers have (New York's
// clock and seven hours).
type zone struct {
	name  string
	where *time.Location
	shift int64 // ns that the clock is ahead of the zone's
}

// parseZoneName reads a zone of --tz: a name of the IANA database, an offset,
// or both, as America/New_York+7.
func parseZoneName(s string) (*zone, error) {
	bad := func() (*zone, error) {
		return nil, fmt.Errorf("time zone %s is unknown (want one as UTC, EST, Europe/Helsinki, +02:00 or America/New_York+7)", shorten(s))
	}
	if s == "" || s == "Local" {
		return bad()
	}
	if where, err := time.LoadLocation(s); err == nil {
		return &zone{name: s, where: where}, nil
	}
	at := strings.LastIndexAny(s, "+-")
	if at < 0 {
		return bad()
	}
	shift, ok := shiftOf(s[at:])
	if !ok {
		return bad()
	}
	z := &zone{name: s, where: time.UTC, shift: shift}
	if base := s[:at]; base != "" && base != "Local" {
		where, err := time.LoadLocation(base)
		if err != nil {
			return bad()
		}
		z.where = where
	} else if base == "Local" {
		return bad()
	}
	return z, nil
}

// shiftOf reads +7, +07, +0700 or +07:00.
func shiftOf(s string) (int64, bool) {
	if len(s) == 2 {
		s = s[:1] + "0" + s[1:]
	}
	return parseOffset(s)
}

const (
	day = 24 * int64(time.Hour)
	// nearSeam is how far from a change of the clock nothing needs to be looked
	// at: more than any clock is set by, and than any zone is off UTC.
	nearSeam = 2 * day
)

// toUTC makes UTC of the times of bars. Times that the clock shows twice or
// never are refused, with their places.
func (z *zone) toUTC(bars []Bar, at func(row int) string) error {
	var twice, never placeList
	var from, to, offset int64 // the clock is off by offset for times in [from, to)
	for i := range bars {
		wall := bars[i].TimeNS
		if wall < minTimeNS || wall >= maxTimeNS {
			continue // what is wrong with it, the checker says
		}
		if wall < from || wall >= to {
			var count int
			if bars[i].TimeNS, count = z.instant(wall); count != 1 {
				if count == 0 {
					never.add(i)
				} else {
					twice.add(i)
				}
				continue
			}
			from, to, offset = z.steady(bars[i].TimeNS, wall)
			continue
		}
		bars[i].TimeNS = wall - offset
	}
	if twice.count == 0 && never.count == 0 {
		return nil
	}
	var what []string
	for _, l := range []struct {
		placeList
		text string
	}{{twice, "that the clock shows twice"}, {never, "that the clock skips"}} {
		if l.count > 0 {
			what = append(what, fmt.Sprintf("%d times %s (%s)", l.count, l.text, l.names(at)))
		}
	}
	return fmt.Errorf("times of --tz %s: %s (want each time to be one instant)", z.name, strings.Join(what, ", "))
}

// instant is the time in UTC at which the clock shows wall, if count, the number
// of such times, is 1.
func (z *zone) instant(wall int64) (utc int64, count int) {
	local := wall - z.shift
	before := z.offset(local - day)
	after := z.offset(local + day)
	for _, off := range []int64{before, after} {
		if z.offset(local-off) == off {
			utc = local - off
			count++
		}
		if before == after {
			break
		}
	}
	return utc, count
}

// offset is the zone's at an instant.
func (z *zone) offset(utc int64) int64 {
	_, sec := time.Unix(0, utc).In(z.where).Zone()
	return int64(sec) * 1e9
}

// steady says for which times around wall, which is the instant utc, the clock
// is off by the same.
func (z *zone) steady(utc, wall int64) (from, to, offset int64) {
	offset = wall - utc
	begins, ends := time.Unix(0, utc).In(z.where).ZoneBounds()
	from, to = minTimeNS, maxTimeNS
	if !begins.IsZero() && begins.Unix() > minTimeNS/1e9 {
		from = begins.UnixNano() + nearSeam
	}
	if !ends.IsZero() && ends.Unix() < maxTimeNS/1e9 {
		to = ends.UnixNano() - nearSeam
	}
	return from, to, offset
}

// placeList counts rows and keeps the first ten.
type placeList struct {
	count int
	first []int
}

// listed is how many places a message names.
const listed = 10

func (p *placeList) add(row int) {
	p.count++
	if len(p.first) < listed {
		p.first = append(p.first, row)
	}
}

func (p *placeList) names(at func(row int) string) string {
	list := make([]string, 0, len(p.first)+1)
	for _, row := range p.first {
		list = append(list, at(row))
	}
	if p.count > len(p.first) {
		list = append(list, "…")
	}
	return strings.Join(list, ", ")
}
