package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// defaultSessions are the original's market sessions.
func defaultSessions() []MarketSession {
	return []MarketSession{
		{Name: "EU", StartHour: 7, EndHour: 12},
		{Name: "OVERLAP", StartHour: 12, EndHour: 16},
		{Name: "US", StartHour: 16, EndHour: 22},
		{Name: "ASIA", StartHour: 22, EndHour: 7},
	}
}

const (
	hoursOfDay   = 24
	wantHours    = `two hours, such as "22-07" or [22, 7]`
	wantSessions = `each of the 24 hours in one market session, such as {ASIA: 22-07, EU: 07-12, OVERLAP: 12-16, US: 16-22}`
)

var (
	sessionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,31}$`)
	hourRange   = regexp.MustCompile(`^([0-9]{1,2})-([0-9]{1,2})$`)
	hour        = regexp.MustCompile(`^[0-9]{1,2}$`)
)

// sessions reads the policy's own market sessions, which must part the day.
func (d *document) sessions() {
	s := d.top.sub("sessions")
	if s.n == nil {
		return
	}
	var out []MarketSession
	sound := true
	for _, p := range s.n.pairs {
		m, ok := s.session(p)
		if slices.ContainsFunc(out, func(o MarketSession) bool { return o.Name == m.Name }) && ok {
			s.fail(p.key, m.Name, "appears twice") // a tag tells the keys apart
			ok = false
		}
		sound = sound && ok
		out = append(out, m)
	}
	if !sound {
		return
	}
	if gaps := unparted(out); gaps != "" {
		d.top.fail(s.n, "sessions", "do not part the day: %s (want %s)", gaps, wantSessions)
		return
	}
	slices.SortFunc(out, func(a, b MarketSession) int { return a.StartHour - b.StartHour })
	d.p.Sessions = out
}

// session reads one market session.
func (s *section) session(p pair) (MarketSession, bool) {
	name := p.key.text
	if !sessionName.MatchString(name) {
		s.bad(p.key, name, "a market session's name", "1 to 32 of A-Z a-z 0-9 _, a letter first")
		return MarketSession{}, false
	}
	start, end, ok := p.val.hours()
	if !ok {
		s.bad(p.val, name, "a part of the day", wantHours)
		return MarketSession{}, false
	}
	if end == 0 {
		end = hoursOfDay
	}
	if start >= hoursOfDay || end > hoursOfDay || start == end {
		s.fail(p.val, name, "%d to %d is not a part of the day (want a start from 0 to 23 and another end from 1 to 24)", start, end)
		return MarketSession{}, false
	}
	return MarketSession{Name: name, StartHour: start, EndHour: end}, true
}

// hours reads "HH-HH" or [start, end]. Hours have one digit or two and are
// decimal, whatever YAML makes of 07.
func (n *node) hours() (start, end int, ok bool) {
	var texts []string
	switch {
	case n.kind == list && len(n.items) == 2:
		for _, it := range n.items {
			if it.kind != scalar || !hour.MatchString(it.text) {
				return 0, 0, false
			}
			texts = append(texts, it.text)
		}
	case n.kind == scalar:
		m := hourRange.FindStringSubmatch(n.text)
		if m == nil {
			return 0, 0, false
		}
		texts = m[1:]
	default:
		return 0, 0, false
	}
	start, _ = strconv.Atoi(texts[0]) // two digits at most
	end, _ = strconv.Atoi(texts[1])
	return start, end, true
}

// Contains reports whether a UTC hour, 0 to 23, belongs to m.
func (m MarketSession) Contains(hour int) bool {
	if m.StartHour < m.EndHour {
		return m.StartHour <= hour && hour < m.EndHour
	}
	return hour >= m.StartHour || hour < m.EndHour
}

// unparted names the hours that belong to no market session or to several, in
// ranges; empty if there are none.
func unparted(sessions []MarketSession) string {
	var owners [hoursOfDay]string
	for h := range owners {
		var names []string
		for _, s := range sessions {
			if s.Contains(h) {
				names = append(names, s.Name)
			}
		}
		switch len(names) {
		case 0:
			owners[h] = "to none"
		case 1:
		default:
			owners[h] = "to " + strings.Join(names, " and ")
		}
	}
	var parts []string
	for h := 0; h < hoursOfDay; {
		end := h + 1
		for end < hoursOfDay && owners[end] == owners[h] {
			end++
		}
		if owners[h] != "" {
			parts = append(parts, fmt.Sprintf("%02d-%02d belongs %s", h, end, owners[h]))
		}
		h = end
	}
	return strings.Join(parts, ", ")
}
