package bars

import (
	"errors"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	second := time.Date(2024, 2, 29, 23, 59, 58, 0, time.UTC)
	accepted := map[string]time.Time{
		"2024-02-29 23:59:58":                 second,
		"2024-02-29T23:59:58":                 second,
		"2024-02-29T23:59:58Z":                second,
		"2024-02-29T23:59:58+00:00":           second,
		"2024-02-29 23:59:58+00:00":           second, // pandas
		"2024-02-29 23:59:58.5":               second.Add(500 * time.Millisecond),
		"2024-02-29T23:59:58.000000001+00:00": second.Add(1),
		"1900-01-01 00:00:00":                 time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC),
		"2189-12-31 23:59:59":                 time.Date(2189, 12, 31, 23, 59, 59, 0, time.UTC),
		"2024-02-29":                          second.Truncate(24 * time.Hour), // pandas, where all are midnight
		"2024-02-29 23:59":                    second.Add(-58 * time.Second),
		"2024-02-29 23:59:58+00":              second, // DuckDB, Postgres
		"2024-02-29 23:59:58+0000":            second, // Polars
		"2024-02-29 23:59:58 UTC":             second,
		"2024-02-29 23:59:58 GMT+00":          second,
		"2024.02.29 23:59:58":                 second, // MetaTrader
		"2024/2/29 11:59:58 PM":               second, // Excel
	}
	for text, want := range accepted {
		if got, err := parseTime(text); err != nil || got != want.UnixNano() {
			t.Errorf("%s: %s, %v; want %s", text, formatTime(got), err, want)
		}
	}
	refused := map[string]error{
		"":                                     errTimeForm,
		"2023-02-29 00:00:00":                  errTimeForm, // no leap year
		"2024-13-01 00:00:00":                  errTimeForm,
		"2024-00-01 00:00:00":                  errTimeForm,
		"2024-01-00 00:00:00":                  errTimeForm,
		"2024-01-01 24:00:00":                  errTimeForm,
		"2024-01-01 00:60:00":                  errTimeForm,
		"2024-01-01 00:00:60":                  errTimeForm,
		"2024-01-01 00:00:0x":                  errTimeForm,
		"2024-01-01 00:00:00.":                 errTimeForm,
		"2024-01-01 00:00:00.1234567890":       errTimeForm,
		"2024-01-01T00:00:00+01:00":            errTimeZone,
		"2024-01-01T00:00:00-00:00":            errTimeZone,
		"2024-01-01T00:00:00.5-05:00":          errTimeZone,
		"2024-01-01 00:00:00Europe/Copenhagen": errTimeZone,
		"2024-01-01 00:00:00 CET":              errTimeZone,
		"2024-01-01T":                          errTimeForm,
		"2024-01-0112:00":                      errTimeForm,
		"2024-01/01":                           errTimeForm,
		"2024-01-01 13:00 PM":                  errTimeForm,
		"2024-01-01 00:00:00+0":                errTimeZone,
	}
	for text, want := range refused {
		if got, err := parseTime(text); !errors.Is(err, want) {
			t.Errorf("%s: %s, %v; want %v", text, formatTime(got), err, want)
		}
	}
	for _, text := range []string{"1899-12-31 23:59:59", "2190-01-01 00:00:00", "9999-01-01 00:00:00"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%s: %s, want an error", text, formatTime(got))
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2024-02-29 23:59:58", "2024-02-29T23:59:58.25Z", "2024-02-30T00:00:00+00:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ns, err := parseTime(s)
		if err != nil {
			return
		}
		if ns < minTimeNS || ns >= maxTimeNS {
			t.Fatalf("%q: %d is no time of a bar", s, ns)
		}
		if again, err := parseTime(formatTime(ns)); err != nil || again != ns {
			t.Fatalf("%q: %d, written %s, read %d, %v", s, ns, formatTime(ns), again, err)
		}
		// Where the standard library reads it too, it reads the same.
		if std, err := time.Parse(time.RFC3339Nano, s); err == nil && std.UnixNano() != ns {
			t.Fatalf("%q: %d, time.Parse has %d", s, ns, std.UnixNano())
		}
	})
}

func TestBarLength(t *testing.T) {
	tests := []struct {
		name  string
		times []int64
		want  time.Duration
	}{
		{"none", nil, 0},
		{"one", []int64{5}, 0},
		{"two", []int64{5, 12}, 7},
		{"the commonest", []int64{0, 5, 10, 110, 115, 217}, 5},
		{"the smaller of two as common", []int64{0, 7, 14, 19, 24}, 5},
		{"not the smallest", []int64{0, 1, 11, 21}, 10},
	}
	for _, test := range tests {
		var bars []Bar
		for _, at := range test.times {
			bars = append(bars, flat(at, 1, 1))
		}
		if got := BarLength(bars); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
