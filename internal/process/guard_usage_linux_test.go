package process

import (
	"strings"
	"testing"
)

func TestParseTimes(t *testing.T) {
	const line = "7 (a) Z (b c) S 5 6 6 0 -1 4194304 101 0 0 0 11 12 13 14 20 0 1 0 117010 3133440 394 18446744073709551615"
	for _, tc := range []struct {
		line string
		want procTimes
		err  string
	}{
		{line, procTimes{11, 12, 13, 14, 394}, ""},
		{strings.Replace(line, " 12 13", " 0 0", 1), procTimes{11, 0, 0, 14, 394}, ""},
		{"", procTimes{}, "no command"},
		{"7 (a) S 5 6", procTimes{}, "fields"},
		{strings.TrimSuffix(line, " 394 18446744073709551615"), procTimes{}, "fields"},
		{strings.Replace(line, " 12 13", " x 13", 1), procTimes{}, "stime"},
		{strings.Replace(line, " 394", " -1", 1), procTimes{}, "rss"},
		{strings.Replace(line, " 11 12", " 99999999999999999 12", 1), procTimes{}, "utime"},
	} {
		got, err := parseTimes([]byte(tc.line))
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: %+v, %v (want %+v, %q)", tc.line, got, err, tc.want, tc.err)
		}
	}
}

func FuzzParseTimes(f *testing.F) {
	f.Add([]byte("7 (a) S 5 6 6 0 -1 4194304 101 0 0 0 11 12 13 14 20 0 1 0 117010 3133440 394 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseTimes(b)
		if err == nil && min(got.utime, got.stime, got.cutime, got.cstime, got.rss) < 0 {
			t.Errorf("%q: %+v", b, got)
		}
	})
}
