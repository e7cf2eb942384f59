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

	"gx1replay/internal/bars"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
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
	for _, name := range policies {
		d := newStudy(t, name, data, 1<<16).do(t, cut{3, 2, run.OrderSpread, 3})
		fmt.Fprintf(&b, "%s %s trades %d\n", name, d.csv, d.taken.Len()-open(d))
	}
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if b.String() != string(want) {
		t.Errorf("on %s:\n%swant, as in %s:\n%s", runtime.GOARCH, b.String(), path, want)
	}
}

// repeatsVariable says how many repeats TestRepeats does.
const repeatsVariable = "GX1R_REPEATS"

// Chunks replayed by any number of threads in any order come to one outcome.
func TestRepeats(t *testing.T) {
	repeats := 8
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
