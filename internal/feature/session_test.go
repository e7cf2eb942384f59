package feature

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSessionTable(t *testing.T) {
	table := NewSessionTable(defaultSessions())
	for _, c := range []struct {
		at   string
		name string
		id   int
	}{
		{"2024-03-01T06:59:59.999999999Z", "ASIA", 3},
		{"2024-03-01T07:00:00Z", "EU", 0},
		{"2024-03-01T12:00:00Z", "OVERLAP", 1},
		{"2024-03-01T15:59:00Z", "OVERLAP", 1},
		{"2024-03-01T16:00:00Z", "US", 2},
		{"2024-03-01T22:00:00Z", "ASIA", 3},
		{"1969-12-31T23:30:00Z", "ASIA", 3}, // before 1970 the day still starts at 0
		{"1969-12-31T11:30:00Z", "EU", 0},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if id := table.At(at.UnixNano()); id != c.id || table.Name(id) != c.name {
			t.Errorf("%s: session %d %s (want %d %s)", c.at, id, table.Name(id), c.id, c.name)
		}
	}
}

func TestAllow(t *testing.T) {
	table := NewSessionTable(defaultSessions())
	if got, err := table.Allow("k", nil); err != nil || slices.Contains(got, false) {
		t.Errorf("an empty list: %v, %v (want all)", got, err)
	}
	if got, err := table.Allow("k", []string{"US"}); err != nil || !slices.Equal(got, []bool{false, false, true, false}) {
		t.Errorf("US: %v, %v", got, err)
	}
	if _, err := table.Allow("entry.sessions", []string{"us"}); err == nil || !strings.Contains(err.Error(), `entry.sessions: "us" is no market session (want one of EU, OVERLAP, US, ASIA)`) {
		t.Errorf("an unknown name: %v", err)
	}
}
