package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lookingBack is a command that trades at every own bar whose close is above
// that of 30 bars before: what it makes of a bar needs that much warm-up.
const lookingBack = `awk -F, -v start="$1" -v end="$2" -v out="$4/trades.csv" '
	BEGIN { print "entry_time,exit_time,side,pnl_bps" > out }
	NR == 1 { for (i = 1; i <= NF; i++) if ($i == "close") at = i; next }
	{ close_of[NR] = $at }
	$1 >= start && $1 <= end && NR - 30 > 1 && $at > close_of[NR - 30] {
		printf "%s,%s,long,%.6f\n", $1, $1, $at - close_of[NR - 30] > out
	}' "$3"
`

// A command's trades of a period are those that it makes of the whole file in
// that period, however it is cut.
func TestRunPeriodOfACommand(t *testing.T) {
	p := newPeriod(t)
	script := filepath.Join(p.dir, "looking_back.sh")
	if err := os.WriteFile(script, []byte(lookingBack), 0o600); err != nil {
		t.Fatal(err)
	}
	const from, to = 1500, 1900
	command := func(id string, flags ...string) said {
		flags = append(flags, "--engine", "exec", "--slice-format", "csv", "--", "sh", script, "{start_ts}", "{end_ts}", "{slice}", "{out_dir}")
		return p.run(id, p.whole, flags...)
	}
	if got := command("all", "--chunks", "2"); got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	var want []string
	for i, row := range p.trades("all") {
		if i == 0 || row >= p.stamp(from)[:19] && row < p.stamp(to)[:19] {
			want = append(want, row)
		}
	}
	if len(want) < 50 {
		t.Fatalf("%d trades in the period", len(want)-1)
	}
	period := []string{"--from", p.stamp(from), "--to", p.stamp(to)}
	// 30 chunks of 15 bars: three lie before the period, and it begins in one.
	for _, chunks := range []int{1, 3, 30} {
		id := fmt.Sprintf("in_%d", chunks)
		got := command(id, append(slices.Clone(period), "--chunks", fmt.Sprint(chunks))...)
		if got.code != 0 || strings.Contains(got.stderr, "warm-up") {
			t.Fatalf("%d chunks: exit code %d\n%s%s", chunks, got.code, got.stdout, got.stderr)
		}
		perf := p.perf(id)
		if perf.Data.BeforeBars != 50 || perf.Data.Bars != to-from+50 || perf.TotalBars != to-from+50 || perf.TotalTrades != len(want)-1 {
			t.Errorf("%d chunks: %+v, want %d trades", chunks, perf, len(want)-1)
		}
		if rows := p.trades(id); !slices.Equal(rows, want) {
			t.Errorf("%d chunks: %d trades, want %d; the first of each\n%s\n%s", chunks, len(rows)-1, len(want)-1, rows[1], want[1])
		}
		if got := coordinates(t, "verify", filepath.Join(p.dir, "perf_"+id+".json")); got.code != 0 {
			t.Errorf("verify of %d chunks: exit code %d\n%s%s", chunks, got.code, got.stdout, got.stderr)
		}
		for _, idx := range []int{0, chunks / 9} { // before the period, and where it begins
			got := coordinates(t, "chunk", id, fmt.Sprint(idx), "--output-dir", p.dir)
			if got.code != 0 || !strings.Contains(got.stderr, "(the same in the run)") {
				t.Errorf("chunk %d of %d: exit code %d\n%s%s", idx, chunks, got.code, got.stdout, got.stderr)
			}
		}
	}
	if got := command("in_3", append(period, "--chunks", "3")...); got.code != 0 || !strings.Contains(got.stdout, "is complete already") {
		t.Errorf("the same period: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}
