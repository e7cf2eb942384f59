package bars

import (
	"strings"
	"testing"
	"time"
)

// The whole file tells what a row leaves open.
func TestDateOrder(t *testing.T) {
	for _, test := range []struct{ rows, want string }{
		{"01/02/2024,13/02/2024", "2024-02-01"},
		{"01/02/2024,01/13/2024", "2024-01-02"},
		{"01-02-2024,13-02-2024", "2024-02-01"},
		{"1/2/2024 0:00,1/13/2024 0:05", "2024-01-02"},
		{"01.02.2024,02.02.2024", "2024-02-01"},
	} {
		text := "time,open,high,low,close\n"
		for row := range strings.SplitSeq(test.rows, ",") {
			text += row + ",1,1,1,1\n"
		}
		if set := mustOpenText(t, text, Form{}); set.Bars[0].TimeNS != at(t, test.want+" 00:00:00") {
			t.Errorf("%s: begins at %s, want %s", test.rows, formatTime(set.Bars[0].TimeNS), test.want)
		}
	}
}

// Hours that a clock shows twice or never are refused with their lines; others
// around them are read by the right offset.
func TestZones(t *testing.T) {
	read := func(zone string, times ...string) ([]Bar, error) {
		text := "time,open,high,low,close\n"
		for _, s := range times {
			text += s + ",1,1,1,1\n"
		}
		set, err := openText(t, text, Form{TZ: zone})
		return set.Bars, err
	}
	for _, test := range []struct{ zone, local, utc string }{
		{"Europe/Helsinki", "2024-03-31 02:59:59", "2024-03-31 00:59:59"},
		{"Europe/Helsinki", "2024-03-31 04:00:00", "2024-03-31 01:00:00"},
		{"Europe/Helsinki", "2024-10-27 02:59:59", "2024-10-26 23:59:59"},
		{"Europe/Helsinki", "2024-10-27 04:00:00", "2024-10-27 02:00:00"},
		{"EET", "2024-07-01 12:00:00", "2024-07-01 09:00:00"},
		{"EST", "2024-07-01 12:00:00", "2024-07-01 17:00:00"},
		{"America/New_York+7", "2024-03-10 08:59:00", "2024-03-10 06:59:00"},
		{"America/New_York+7", "2024-03-10 10:00:00", "2024-03-10 07:00:00"},
		{"America/New_York+7", "2024-03-20 00:00:00", "2024-03-19 21:00:00"}, // Europe has its winter clock still
		{"Asia/Kolkata", "2024-01-01 00:00:00", "2023-12-31 18:30:00"},
		{"UTC+5:30", "2024-01-01 00:00:00", ""},
		{"+05:30", "2024-01-01 00:00:00", "2023-12-31 18:30:00"},
		{"UTC-3", "2024-01-01 00:00:00", "2024-01-01 03:00:00"},
		{"Pacific/Apia", "2012-01-01 00:00:00", "2011-12-31 10:00:00"}, // two days after it left one out
	} {
		bars, err := read(test.zone, test.local)
		if test.utc == "" {
			if err == nil {
				t.Errorf("%s was taken", test.zone)
			}
			continue
		}
		if err != nil || bars[0].TimeNS != at(t, test.utc) {
			t.Errorf("%s in %s: %v, %v; want %s", test.local, test.zone, bars, err, test.utc)
		}
	}
	_, err := read("Europe/Helsinki", "2024-10-27 02:00:00", "2024-10-27 03:00:00", "2024-10-27 03:30:00", "2024-10-27 04:00:00")
	if err == nil || !strings.Contains(err.Error(), "2 times that the clock shows twice (line 3, line 4)") {
		t.Errorf("hours that are there twice: %v", err)
	}
	_, err = read("Europe/Helsinki", "2024-03-31 02:00:00", "2024-03-31 03:30:00", "2024-03-31 04:00:00")
	if err == nil || !strings.Contains(err.Error(), "1 times that the clock skips (line 3)") {
		t.Errorf("an hour that is not there: %v", err)
	}
	// Every hour of years, by a clock that is a slow and different way.
	where, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	z, err := parseZoneName("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for u := time.Date(2023, 1, 1, 0, 30, 0, 0, time.UTC); u.Year() < 2026; u = u.Add(time.Hour) {
		local := u.In(where)
		wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC)
		bars := []Bar{{TimeNS: at(t, "2022-06-01 12:00:00")}, {TimeNS: wall.UnixNano()}}
		err := z.toUTC(bars, func(int) string { return "" })
		twice := 0
		for _, shift := range []time.Duration{4 * time.Hour, 5 * time.Hour} {
			if got := wall.Add(shift).In(where); got.Hour() == wall.Hour() && got.Day() == wall.Day() {
				twice++
			}
		}
		if (err == nil) != (twice == 1) || err == nil && bars[1].TimeNS != u.UnixNano() {
			t.Fatalf("%v: %v, %v (is there %d times)", local, bars[1].time(), err, twice)
		}
	}
}
