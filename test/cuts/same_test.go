package cuts_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// update writes the golden digests anew: go test ./test/cuts -update.
var update = flag.Bool("update", false, "write testdata/v1 anew")

// The digests are those of every machine: .ci/run runs this test for amd64
// with GOAMD64 v1 and v3, whose compiler fuses multiplications with additions,
// and for arm64. If the data's digest differs, the generator is the place to
// look; if a trades file's, features, models and trades: some product lacks its
// float64 conversion.
func TestGoldenDigests(t *testing.T) {
	// One file a version of the engine, and none is changed: who changes a result
	// raises replay.Version and adds a file.
	path := filepath.Join("testdata", "v1", fmt.Sprintf("digests_engine%d.txt", replay.Version))
	data := bars.Generate(70_000, 1)
	var b strings.Builder
	fmt.Fprintf(&b, "data %s\n", bars.Digest(data))
	all := *update || testsize.Of(t, false, true)
	names := policies
	if !all {
		names = names[:1]
	}
	for _, name := range names {
		d := newStudy(t, name, data, 1<<16).do(t, cut{3, 2, run.OrderSpread, 3})
		fmt.Fprintf(&b, "%s %s trades %d\n", name, d.csv, d.taken.Len()-open(d))
	}
	if all {
		d := newStudy(t, "charged", days(data), 1<<16).do(t, cut{3, 2, run.OrderSpread, 3})
		fmt.Fprintf(&b, "charged_days %s trades %d\n", d.csv, d.taken.Len()-open(d))
	}
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if all && b.String() != string(want) || !strings.HasPrefix(string(want), b.String()) {
		t.Errorf("on %s:\n%swant, as in %s:\n%s", runtime.GOARCH, b.String(), path, want)
	}
}

// days joins bars into those of days (UTC) from Monday to Friday.
func days(list []bars.Bar) []bars.Bar {
	const day = int64(24 * time.Hour)
	var out []bars.Bar
	for _, b := range list {
		if d := time.Unix(0, b.TimeNS).UTC().Weekday(); d == time.Saturday || d == time.Sunday {
			continue
		}
		if n := len(out); n > 0 && out[n-1].TimeNS == b.TimeNS/day*day {
			d := &out[n-1]
			d.BidHigh, d.AskHigh = max(d.BidHigh, b.BidHigh), max(d.AskHigh, b.AskHigh)
			d.BidLow, d.AskLow = min(d.BidLow, b.BidLow), min(d.AskLow, b.AskLow)
			d.BidClose, d.AskClose = b.BidClose, b.AskClose
			d.Volume += b.Volume
			continue
		}
		b.TimeNS = b.TimeNS / day * day
		out = append(out, b)
	}
	return out
}

// With bars of days the next bar after a week-end is the next bar: no signal
// expires there, nor at any gap of five days.
func TestDaysFollowOverWeekEnds(t *testing.T) {
	list := days(bars.Generate(20_000, 4))
	weekEnds := 0
	for i := 1; i < len(list); i++ {
		if list[i].TimeNS-list[i-1].TimeNS > int64(48*time.Hour) {
			weekEnds++
		}
	}
	s := newStudy(t, "charged", list, 1<<16)
	s.policy.Entry = policy.Entry{} // a signal at nearly every bar
	d := s.do(t, cut{3, 2, run.OrderTime, 3})
	if !strings.Contains(d.attribution, "\"entry_expired\": 1\n") || weekEnds < 5 || d.signals[len(d.signals)-1].Bar != int64(len(list)-1) {
		t.Errorf("%d week-ends in %d days, %d signals (want one expired, that of the last bar):\n%s", weekEnds, len(list), len(d.signals), d.attribution)
	}
}

// repeatsVariable says how many repeats TestRepeats does.
const repeatsVariable = "GX1R_REPEATS"

// Chunks replayed by any number of threads in any order come to one outcome.
func TestRepeats(t *testing.T) {
	repeats := testsize.Of(t, 2, 8)
	if text := os.Getenv(repeatsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q (want a number of repeats)", repeatsVariable, text)
		}
		repeats = n
	}
	const n, pieces = 4200, 8
	data := bars.Generate(n, 2)
	plan, err := run.NewPlan(n, pieces, 0, run.OrderTime)
	must(t, err)
	chunks := make([]run.Chunk, pieces)
	for i := range chunks {
		chunks[i] = plan.Chunk(i)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range policies {
		s := newStudy(t, name, data, 1024)
		want := s.do(t, cut{1, 1, run.OrderTime, n})
		if want.taken.Len() < 10 {
			t.Fatalf("%s: %d trades show nothing", name, want.taken.Len())
		}
		for k := range repeats {
			procs := 1 + k%8
			runtime.GOMAXPROCS(procs)
			got, err := s.doChunks(t.Context(), chunks, rng.Perm(pieces), cut{workers: 1 + k%5, follow: int64(k % 9)})
			must(t, err)
			if got.outcome != want.outcome {
				t.Fatalf("%s, repeat %d, GOMAXPROCS %d:\n%+v\none chunk:\n%+v", name, k, procs, got.outcome, want.outcome)
			}
		}
	}
}
