//go:build linux

package execrun

import (
	"os"
	"path/filepath"
	"testing"
)

// What a command's trades hold of formulas is text in the run's trades file,
// whose other rows are the command's own, byte for byte; the file is still what
// the perf JSON says.
func TestFormulasInTrades(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("testdata/formulas.py")
	if err != nil {
		t.Fatal(err)
	}
	p := small(t)
	p.Workers, p.Chunks = 1, 1
	v := command(t, p, built.python, script)
	v.ends(0)
	v.judge(nil)
	b, err := os.ReadFile(filepath.Join(v.Out, v.RunID, "trades_"+v.RunID+".csv"))
	v.must(err)
	want := "time,pnl_bps,'=note,why\n" +
		"2026-01-05T07:05:00Z,-1.5,'=cmd|' /C calc'!A0,'+1+1\n" +
		"2026-01-05T07:10:00Z,+2.5,\"plain, with a comma\",-0.25\n" +
		"2026-01-05T07:15:00Z,-0.0,'\t=1,'@SUM(1)\n"
	if string(b) != want {
		t.Errorf("the trades are\n%s(want\n%s)", b, want)
	}
	said, err := v.Command(v.ctx, "verify", v.Perf())
	v.must(err)
	if said.Code != 0 {
		t.Errorf("verify: exit code %d: %s%s", said.Code, said.Stdout, said.Stderr)
	}
}
