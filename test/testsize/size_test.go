package testsize

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// recorder is a test that ends as t would, and keeps what it was told.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.failed = fmt.Sprint(args...)
	runtime.Goexit()
}

// record runs f as a test.
func record(f func(t testing.TB)) (r recorder, ended bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(&r)
		ended = true
	}()
	<-done
	return r, ended
}

func TestTheVariableDecides(t *testing.T) {
	for _, c := range []struct {
		value, want, wantSkip, wantError string
	}{
		{"", "small", "GX1R_TEST=all", ""},
		{"all", "whole", "", ""},
		{"1", "", "", `GX1R_TEST: "1" (want all`},
		{"ALL", "", "", `GX1R_TEST: "ALL" (want all`},
	} {
		t.Setenv(variable, c.value)
		got := ""
		of, _ := record(func(t testing.TB) { got = Of(t, "small", "whole") })
		if got != c.want || !strings.Contains(of.failed, c.wantError) || (of.failed != "") != (c.wantError != "") {
			t.Errorf("%s=%s: Of is %q, error %q (want %q, %q)", variable, c.value, got, of.failed, c.want, c.wantError)
		}
		all, ran := record(All)
		if !strings.Contains(all.skipped, c.wantSkip) || (all.skipped != "") != (c.wantSkip != "") || (all.failed != "") != (c.wantError != "") || ran != (c.value == "all") {
			t.Errorf("%s=%s: All skips with %q, fails with %q, goes on: %v (want %q, %q)", variable, c.value, all.skipped, all.failed, ran, c.wantSkip, c.wantError)
		}
	}
}
