package feature

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/policy"
)

func TestSessionTable(t *testing.T) {
	table, err := NewSessionTable(defaultSessions())
	if err != nil {
		t.Fatal(err)
	}
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

func TestSessionTableErrors(t *testing.T) {
	whole := policy.MarketSession{Name: "ALL", StartHour: 0, EndHour: 24}
	if _, err := NewSessionTable([]policy.MarketSession{whole}); err != nil {
		t.Errorf("one session of the whole day: %v", err)
	}
	for _, c := range []struct {
		want     string
		sessions []policy.MarketSession
	}{
		{"hour 0 is in none", nil},
		{"hour 23 is in none", []policy.MarketSession{{Name: "A", StartHour: 0, EndHour: 23}}},
		{"hour 5 is in A and in B", []policy.MarketSession{{Name: "A", StartHour: 0, EndHour: 6}, {Name: "B", StartHour: 5, EndHour: 24}}},
		{"A appears twice", []policy.MarketSession{{Name: "A", StartHour: 0, EndHour: 6}, {Name: "A", StartHour: 6, EndHour: 24}}},
		{"has no name", []policy.MarketSession{{StartHour: 0, EndHour: 24}}},
		{"A from hour 0 to 25", []policy.MarketSession{{Name: "A", StartHour: 0, EndHour: 25}}},
		{"A from hour 24 to 3", []policy.MarketSession{{Name: "A", StartHour: 24, EndHour: 3}}},
	} {
		if _, err := NewSessionTable(c.sessions); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v (want one with %q)", c.sessions, err, c.want)
		}
	}
}

func TestAllow(t *testing.T) {
	table, err := NewSessionTable(defaultSessions())
	if err != nil {
		t.Fatal(err)
	}
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
