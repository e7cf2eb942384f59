package run

import (
	"strings"
	"testing"
	"time"
)

func TestParseID(t *testing.T) {
	long := strings.Repeat("a", MaxIDLen)
	for _, tc := range []struct {
		in   string
		want string // a part of the error; empty: accepted
	}{
		{"a", ""},
		{"20261124_103700_0f9e", ""},
		{"ABCXYZabcxyz0189_-", ""},
		{"-", ""}, // a file name of this is odd, and allowed
		{long, ""},
		{"", "run_id is empty"},
		{long + "a", "has 65 bytes (want 1 to 64)"},
		{"a.b", `byte 2 ('.')`},
		{"a b", `byte 2 (' ')`},
		{"run*", `byte 4 ('*')`},
		{">", `byte 1 ('>')`},
		{"../x", `byte 1 ('.')`},
		{`a\b`, "byte 2"},
		{"a/b", `byte 2 ('/')`},
		{"a\x00", "byte 2"},
		{"a\n", `byte 2 ('\n')`},
		{"é", "byte 1"},
		{"@", "byte 1"}, {"[", "byte 1"}, {"`", "byte 1"}, {"{", "byte 1"}, {":", "byte 1"}, // neighbours of the allowed ranges
	} {
		id, err := ParseID(tc.in)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("ParseID(%q): %v, want it accepted", tc.in, err)
		case tc.want == "" && string(id) != tc.in:
			t.Errorf("ParseID(%q) = %q", tc.in, id)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("ParseID(%q): error %v, want one with %q", tc.in, err, tc.want)
		case tc.want != "" && id != "":
			t.Errorf("ParseID(%q) = %q beside an error", tc.in, id)
		}
	}
}

// A long text is not repeated whole in its error.
func TestParseIDErrorIsShort(t *testing.T) {
	_, err := ParseID(strings.Repeat("x", 1<<20))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("the error has %d bytes, want a short one", len(err.Error()))
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", "a", "run-1_X", "a.b", "../x", "é", "\xff", strings.Repeat("a", 65)} {
		f.Add(s)
	}
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		valid := len(s) >= 1 && len(s) <= 64 && strings.Trim(s, allowed) == ""
		for _, r := range s {
			valid = valid && strings.ContainsRune(allowed, r)
		}
		if valid != (err == nil) {
			t.Fatalf("ParseID(%q): error %v, want valid %v", s, err, valid)
		}
		if err == nil && string(id) != s {
			t.Fatalf("ParseID(%q) = %q", s, id)
		}
	})
}

func TestNewID(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	for _, tc := range []struct {
		now    time.Time
		random [2]byte
		want   ID
	}{
		{time.Date(2026, 11, 24, 10, 37, 5, 999999999, time.UTC), [2]byte{0x0f, 0x9e}, "20261124_103705_0f9e"},
		{time.Date(2027, 1, 1, 0, 30, 0, 0, cet), [2]byte{0, 0}, "20261231_233000_0000"},
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), [2]byte{0xff, 0xff}, "20260102_030405_ffff"},
	} {
		got := NewID(tc.now, tc.random)
		if got != tc.want {
			t.Errorf("NewID(%v, %x) = %s, want %s", tc.now, tc.random, got, tc.want)
		}
		if _, err := ParseID(string(got)); err != nil {
			t.Errorf("NewID(%v, %x): %v", tc.now, tc.random, err)
		}
	}
}
