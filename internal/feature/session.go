package feature

import (
	"fmt"
	"slices"
	"strings"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
)

const (
	hourNS = int64(3600) * 1e9
	dayNS  = 24 * hourNS
)

// SessionTable says which market session each hour of the UTC day belongs to.
// A market session has an id: its place, from 0, in order of its start hour.
// With the default partition EU is 0, OVERLAP 1, US 2 (as in the original)
// and ASIA 3. The zero SessionTable has no sessions; make one with
// NewSessionTable.
type SessionTable struct {
	names []string
	hours [24]uint8 // hour → id
}

// NewSessionTable makes the table of a partition of the day; the order of
// sessions does not matter. An hour that no session or two sessions hold, a
// name that is used twice, and an hour outside the day are errors.
func NewSessionTable(sessions []policy.MarketSession) (SessionTable, error) {
	sorted := slices.Clone(sessions)
	slices.SortStableFunc(sorted, func(a, b policy.MarketSession) int { return a.StartHour - b.StartHour })
	var t SessionTable
	var owner [24]string
	for id, s := range sorted {
		if s.Name == "" {
			return SessionTable{}, fmt.Errorf("sessions: the one from hour %d has no name", s.StartHour)
		}
		if slices.Contains(t.names, s.Name) {
			return SessionTable{}, fmt.Errorf("sessions: %s appears twice (want each name once)", s.Name)
		}
		if s.StartHour < 0 || s.StartHour > 23 || s.EndHour < 0 || s.EndHour > 24 {
			return SessionTable{}, fmt.Errorf("sessions: %s from hour %d to %d (want 0 to 23, and 0 to 24)", s.Name, s.StartHour, s.EndHour)
		}
		n := (s.EndHour - s.StartHour + 24) % 24
		if n == 0 {
			n = 24
		}
		for k := range n {
			h := (s.StartHour + k) % 24
			if owner[h] != "" {
				return SessionTable{}, fmt.Errorf("sessions: hour %d is in %s and in %s (want a partition of the day)", h, owner[h], s.Name)
			}
			owner[h] = s.Name
			t.hours[h] = uint8(id)
		}
		t.names = append(t.names, s.Name)
	}
	for h, name := range owner {
		if name == "" {
			return SessionTable{}, fmt.Errorf("sessions: hour %d is in none (want a partition of the day)", h)
		}
	}
	return t, nil
}

// At is the id of the market session at a time in nanoseconds since 1970 UTC.
func (t SessionTable) At(timeNS int64) int {
	in := timeNS % dayNS
	if in < 0 {
		in += dayNS
	}
	return int(t.hours[in/hourNS])
}

// fill sets ids to the market sessions of the bars of list. Bars of an hour
// follow each other.
func (t *SessionTable) fill(ids []uint8, list []bars.Bar) {
	ids = ids[:len(list)]
	for k := 0; k < len(list); {
		at := list[k].TimeNS
		id, left := uint8(t.At(at)), uint64(periodEnd(at, hourNS)-at)
		for k < len(list) && uint64(list[k].TimeNS-at) < left {
			ids[k] = id
			k++
		}
	}
}

// Name is the name of session id, 0 ≤ id < Len.
func (t SessionTable) Name(id int) string { return t.names[id] }

// Len is the number of market sessions.
func (t SessionTable) Len() int { return len(t.names) }

// Allow turns a list of session names into a table by id; an empty list
// allows all. A name that is no session is an error that starts with key, the
// policy's key, and lists the known names.
func (t SessionTable) Allow(key string, names []string) ([]bool, error) {
	allowed := make([]bool, len(t.names))
	for i := range allowed {
		allowed[i] = len(names) == 0
	}
	for _, name := range names {
		id := slices.Index(t.names, name)
		if id < 0 {
			return nil, fmt.Errorf("%s: %q is no market session (want one of %s)", key, name, strings.Join(t.names, ", "))
		}
		allowed[id] = true
	}
	return allowed, nil
}
