package execengine

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-01-02T15:04:05Z":                at,
		"2026-01-02T15:04:05+00:00":           at,
		"2026-01-02 15:04:05+00:00":           at,
		"2026-01-02T16:34:05+01:30":           at,
		"2026-01-02T10:04:05-0500":            at,
		"2026-01-02T20:04:05+05":              at,
		"2026-01-02 15:04:05":                 at,
		"2026-01-02T15:04:05":                 at,
		"2026-01-02T15:04:05.000000000":       at,
		"2026-01-02 15:04:05.123456789+00:00": at.Add(123456789),
		"2026-01-02T15:04:05.5Z":              at.Add(500 * time.Millisecond),
		"2026-01-02":                          time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		"2026-01-02T23:30:00-02:00":           time.Date(2026, 1, 3, 1, 30, 0, 0, time.UTC),
		"1767366245":                          at,
		"1767366245000":                       at,
		"1767366245000000":                    at,
		"1767366245000000000":                 at,
		"0":                                   time.Unix(0, 0),
		"-60":                                 time.Unix(-60, 0),
	} {
		if ns, ok := ParseTime(text); !ok || ns != want.UnixNano() {
			t.Errorf("%s is %v, %v (want %v)", text, time.Unix(0, ns).UTC(), ok, want.UTC())
		}
	}
	for _, text := range []string{
		"", " ", "now", "2026-01-02T15:04", "2026-13-02T15:04:05Z", "2026-02-30T15:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T15:60:05Z",
		"2026-01-02x15:04:05Z", "2026-01-02T15:04:05.Z", "2026-01-02T15:04:05.1234567891Z", "2026-01-02T15:04:05 UTC", "2026-01-02T15:04:05+1",
		"2026-01-02T15:04:05+24:00", "2026-01-02T15:04:05+0a:00", "2026-01-02T15:04:05+", "2026-01-02T", "1.5e9", "1767366245.0", "99999999999",
		"-9223372036854775808", "1600-01-01", "9999-01-01", "2026-1-2", "2026-01-02T1a:04:05Z",
	} {
		if ns, ok := ParseTime(text); ok {
			t.Errorf("%q is taken as %v", text, time.Unix(0, ns).UTC())
		}
	}
}

// Every way in which we write a time is read.
func TestTimesAreReadBack(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(2026, 1, 2, 15, 5, 0, 0, time.UTC), time.Date(2001, 9, 9, 1, 46, 40, 0, time.UTC), time.Date(2019, 12, 31, 23, 55, 0, 250e6, time.UTC),
	} {
		for _, format := range []string{TSRFC3339, TSNaive, TSEpochMS} {
			text := newTime(at.UnixNano(), format).String()
			if ns, ok := ParseTime(text); !ok || ns != at.UnixNano() {
				t.Errorf("%s: %q is %v (want %v)", format, text, time.Unix(0, ns).UTC(), at)
			}
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"2026-01-02T15:04:05.5+01:30", "1767366245000", "2026-01-02", "-1", "2026-01-02 15:04:05+00:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ns, ok := ParseTime(text)
		if !ok {
			return
		}
		if again, ok := ParseTime(stamp(ns)); !ok || again != ns {
			t.Fatalf("%q is %d; its %s is %d, %v", text, ns, stamp(ns), again, ok)
		}
	})
}
