//go:build linux

package execrun

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A command that pads its chunk by itself counts bars that are not the chunk's
// own. Its total tells how many: a stop counts the own ones alone.
func TestPaddedProgress(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("testdata/padded.py")
	if err != nil {
		t.Fatal(err)
	}
	for form, expr := range map[string]string{
		"plain": `replayed (?P<bars>\d+)/\d+ bars`,
		"tqdm":  `(?P<percent>[\d.]+)%\|`,
		"json":  "",
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			args := []string{"--exec-footer", "none"}
			if expr != "" {
				args = append(args, "--exec-progress-regex", expr)
			}
			v := command(t, plan(t).with(args...), built.python, script, form, "5")
			v.o.Behind = 2 // what it had not yet printed, or we not yet read
			v.done(v.Config.Bars / 4)
			v.must(v.Signal(syscall.SIGTERM))
			v.ends(0)
			if rep := v.judge(nil); rep.Outcome != "stopped" || rep.Replayed == 0 {
				t.Errorf("outcome %s, %d bars (want a stopped run with bars)", rep.Outcome, rep.Replayed)
			}
		})
	}
}
