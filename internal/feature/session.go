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
// and ASIA 3. The zero SessionTable has no sessions.
type SessionTable struct {
	names []string
	hours [24]uint8 // hour → id
}

// NewSessionTable makes the table of a policy's partition of the day; the order
// of sessions does not matter.
func NewSessionTable(sessions []policy.MarketSession) SessionTable {
	var t SessionTable
	for id, s := range slices.SortedFunc(slices.Values(sessions), func(a, b policy.MarketSession) int { return a.StartHour - b.StartHour }) {
		t.names = append(t.names, s.Name)
		for h := range t.hours {
			if s.Contains(h) {
				t.hours[h] = uint8(id)
			}
		}
	}
	return t
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
