package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHelp(t *testing.T) {
	var out, said bytes.Buffer
	if code := run([]string{"--help"}, &out, &said); code != 0 || !strings.Contains(said.String(), "perfcheck --earlier") || !strings.Contains(said.String(), "-same-trades-as") {
		t.Errorf("code %d, %s", code, &said)
	}
}

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "perf.json")
	if err := os.WriteFile(bad, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "0 files (want one perf JSON)"},
		{[]string{"--life", "yesterday", bad}, 2, "want BEGAN,ENDED"},
		{[]string{"--life", "yesterday,today", bad}, 2, `"yesterday" is no time`},
		{[]string{filepath.Join(t.TempDir(), "none")}, 2, "reading a perf JSON"},
		{[]string{bad}, 1, "not a perf JSON"},
	} {
		var out bytes.Buffer
		if code := run(c.args, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: code %d (want %d), said %s (want %q)", c.args, code, c.code, &out, c.want)
		}
	}
}

func TestParseLife(t *testing.T) {
	l, err := parseLife("2026-03-01T12:00:00Z,2026-03-01T12:00:05.2Z,killed")
	if err != nil || !l.Killed || l.Ended.Sub(l.Began) != 5200*time.Millisecond {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err = parseLife("2026-03-01T12:00:00Z,2026-03-01T12:00:05Z"); err != nil || l.Killed {
		t.Errorf("%+v, %v", l, err)
	}
}
