package process

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// statTail is what follows the group in a line of the kernel.
const statTail = " 2685 0 -1 4194304 101 0 0 0 1 2 3 4 20 0 1 0 117010 3133440 394 18446744073709551615"

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		line string
		want procStat
		err  string
	}{
		{"7027 (cat) R 7017 7018" + statTail, procStat{'R', 7017, 7018, 117010}, ""},
		{"7 (a) Z (b c) S 5 6" + statTail, procStat{'S', 5, 6, 117010}, ""},
		{"7 (x\ny) Z 5 6" + statTail + "\n", procStat{'Z', 5, 6, 117010}, ""},
		{"", procStat{}, "no command"},
		{"7 cat R 1", procStat{}, "no command"},
		{"7 (cat) R 1 2", procStat{}, "fields"},
		{"7 (cat) RR 5 6" + statTail, procStat{}, "state"},
		{"7 (cat) R x 6" + statTail, procStat{}, "ppid"},
		{"7 (cat) R 5 x" + statTail, procStat{}, "pgrp"},
		{"7 (cat) R 5 6" + strings.Replace(statTail, "117010", "-1", 1), procStat{}, "starttime"},
	} {
		got, err := parseStat([]byte(tc.line))
		if tc.err == "" && (err != nil || got != tc.want) {
			t.Errorf("%q: %+v, %v (want %+v)", tc.line, got, err, tc.want)
		}
		if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%q: %v (want an error with %q)", tc.line, err, tc.err)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("7027 (cat) R 7017 7018" + statTail))
	f.Add([]byte("7 (a) Z (b c) S 5 6" + statTail))
	f.Fuzz(func(t *testing.T, b []byte) {
		// A name that looks like the rest of a line changes nothing.
		st, err := parseStat(b)
		if err != nil {
			return
		}
		hidden, err := parseStat(append([]byte("1 (z) Z 9 9"), b...))
		if err != nil || hidden != st {
			t.Errorf("%q: %+v alone, %+v, %v behind a name", b, st, hidden, err)
		}
	})
}

func TestStartTimeOfTheLivingAndTheDead(t *testing.T) {
	self, err := StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := StartTime(os.Getpid()); err != nil || again != self {
		t.Errorf("%q, then %q, %v", self, again, err)
	}
	if !Alive(os.Getpid(), self) || Alive(os.Getpid(), self+"1") {
		t.Error("alive does not tell the process from a later one")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = roleEnviron("exit 0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := waitExited(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if s, err := StartTime(cmd.Process.Pid); err == nil {
		t.Errorf("a dead process that nobody reaped has start time %q", s)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if s, err := StartTime(cmd.Process.Pid); err == nil {
		t.Errorf("a process that is gone has start time %q", s)
	}
}

func TestSelfCPU(t *testing.T) {
	memory := make([]byte, 64<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = byte(i)
	}
	user, _, rss := SelfCPU()
	if rss < 64<<20 || rss > 8<<30 {
		t.Errorf("peak memory is %d bytes after using 64 MiB", rss)
	}
	until(t, "CPU seconds rise with work", func() bool {
		for i := range memory[:1<<20] {
			memory[i]++
		}
		now, sys, _ := SelfCPU()
		return now > user && now < 3600 && sys >= 0
	})
}

func TestParseVmHWM(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n": 1234,
		"VmHWM:\t0 kB":                 0,
		"":                             -1,
		"VmHWM:\t5":                    -1,
		"VmHWM:\tx kB":                 -1,
		"VmHWM:\t-5 kB":                -1,
		"VmHWM:\t99999999999999999 kB": -1,
	} {
		kib, ok := parseVmHWM([]byte(status))
		if ok != (want >= 0) || ok && kib != want {
			t.Errorf("%q: %d, %v (want %d)", status, kib, ok, want)
		}
	}
}
