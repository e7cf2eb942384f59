//go:build linux

package crash_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/drive"
)

type config = drive.Config

// says demands texts of what a program said.
func (v *victim) says(path string, want ...string) {
	v.t.Helper()
	b, err := os.ReadFile(path)
	v.must(err)
	for _, text := range want {
		if !strings.Contains(string(b), text) {
			v.t.Errorf("it does not say %q:\n%s", text, b)
		}
	}
}

// Other data, policy or plan is another run, and what differs is named.
// Nothing is touched.
func TestAnotherRunIsRefused(t *testing.T) {
	v := start(t, holding(planBars/4))
	v.done(planBars / 10)
	v.must(v.Signal(syscall.SIGTERM))
	v.ends(0)
	v.file(stopped("sigterm"))
	before, err := os.ReadFile(v.Perf())
	v.must(err)
	other := filepath.Join(v.Dir, "other.yaml")
	v.must(drive.WritePolicy(other, time.Second))
	right := v.Config
	for name, c := range map[string]struct {
		change func(*config)
		want   []string
	}{
		"data":          {func(c *config) { c.Bars++ }, []string{"data", "2401 bars", "2400 bars"}},
		"policy":        {func(c *config) { c.Policy = other }, []string{"policy", "SHA-256"}},
		"plan":          {func(c *config) { c.Args = replace(c.Args, "--chunks", "13") }, []string{"plan", "13 chunks", "12 chunks"}},
		"data and plan": {func(c *config) { c.Bars++; c.Args = replace(c.Args, "--order", "time") }, []string{"data"}},
		"order":         {func(c *config) { c.Args = append(c.Args[:len(c.Args):len(c.Args)], "--order", "time") }, []string{"order"}},
	} {
		v.Config = right
		v.again(c.change)
		if code, err := v.Wait(v.ctx); err != nil || code != 1 {
			t.Errorf("%s: code %d, error %v (expected 1)", name, code, err)
		}
		v.says(v.Stderr(), c.want...)
		if after, err := os.ReadFile(v.Perf()); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the file was touched (error %v)", name, err)
		}
	}
	if rep := v.judge(v.Perf(), nil); rep.Sessions != 1 {
		t.Errorf("%d sessions (expected 1: the others were refused)", rep.Sessions)
	}
	v.Config = right
	v.open()
	v.again(func(c *config) {
		// The number of workers is not the run's.
		c.Args = replace(replace(c.Args, "--workers", "3"), "--lease-duration", "2s")
		c.Args = append(c.Args, "--explain")
	})
	v.completes()
	both := filepath.Join(v.Dir, "said")
	var all []byte
	for _, path := range []string{v.Stdout(), v.Stderr()} {
		b, err := os.ReadFile(path)
		v.must(err)
		all = append(all, b...)
	}
	v.must(os.WriteFile(both, all, 0o644))
	v.says(both, "chunk 0 ", "chunk 11 ", "ok: ", "not started")
}

// replace puts a value behind a flag, which it adds if it is not there.
func replace(args []string, flag, value string) []string {
	list := append([]string(nil), args...)
	for i := range list {
		if list[i] == flag {
			list[i+1] = value
			return list
		}
	}
	return append(list, flag, value)
}
