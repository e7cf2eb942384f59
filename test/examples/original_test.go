package examples

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gx1replay/test/testsize"
)

// originalPolicy has includes beside it and above it, and is laid out as no
// program would.
const originalPolicy = `# the pilot's policy
policy_name:   pilot   # two blanks
entry_config:  ../configs/entry.yaml
exit_config:   exits/exit.yaml   # a path, as the original wants it
warmup_bars:   200
`

// original is the command line of docs/exec.md that runs the original's
// replay_worker.py, on the stand-in for it.
func original(t *testing.T, p place) string {
	t.Helper()
	stand := read(t, filepath.Join("testdata", "replay_worker.py"))
	write(t, filepath.Join(p.dir, "replay_worker.py"), stand)
	m := regexp.MustCompile("(?ms)^```sh\n(coordinator run [^`]*-- python3 replay_worker.py .*?)^```$").FindStringSubmatch(read(t, filepath.Join(root, "docs", "exec.md")))
	if m == nil {
		t.Fatal("docs/exec.md has no command line for replay_worker.py")
	}
	write(t, filepath.Join(p.dir, "policies", "gx1.yaml"), originalPolicy)
	write(t, filepath.Join(p.dir, "configs", "entry.yaml"), "# thresholds\nentry_threshold:   0.6\n")
	write(t, filepath.Join(p.dir, "policies", "exits", "exit.yaml"), "exit_rules: {tp_bps: 20}\n")
	const bundle = "{}\n"
	write(t, filepath.Join(p.dir, "bundle", "model.json"), bundle)
	write(t, filepath.Join(p.dir, "prebuilt.parquet"), "features\n")
	return strings.NewReplacer(
		"--policy policy.yaml", "--policy policies/gx1.yaml", "--data XAUUSD_M5.parquet", "--data synthetic:2000 --slice-format csv --chunks 4",
		"--workers 7 --run-id pilot", "--exec-env 'STANDIN_*' --exec-env STANDIN_POLICY="+filepath.Join(p.dir, "policies", "gx1.yaml"),
		`"$BUNDLE_SHA256"`, fmt.Sprintf("%x", sha256.Sum256([]byte(bundle))), "'gx1/*'", "examples/python/gx1replay.py",
	).Replace(m[1])
}

// The original's worker is run as it is, with its footer where it leaves it, a
// chunk_id that is a number, and nulls. What it would take for a stop does not
// reach it.
func TestOriginal(t *testing.T) {
	testsize.All(t)
	p := newPlace(t)
	for _, version := range []string{"early", "later"} {
		p.must(t, original(t, p), "GX1R_RUN_ID="+version, "STANDIN_VERSION="+version, "GX1_STOP_REQUESTED=1")
		f := p.complete(t, version)
		_, rows := p.trades(t, version)
		if len(rows) < 10 || int(f.TotalTrades) != len(rows) {
			t.Errorf("%s: %d trades, %d rows", version, f.TotalTrades, len(rows))
		}
	}
}

// On a stop its claim of the whole chunk is not believed: with progress from
// its log, which is recognised too, what that said counts; without, nothing.
func TestOriginalStopped(t *testing.T) {
	testsize.All(t)
	p := newPlace(t)
	const checkpoints = "--exec-env GX1_CHECKPOINT_EVERY_BARS=10 "
	const none = "--exec-progress none"
	const regex = `--exec-progress-regex 'bars (?P<bars>\d+)/'`
	for _, c := range []struct {
		version, flags string
		bars           bool
	}{{"early", none, false}, {"early", regex, true}, {"later", none, false}, {"later", "", true}} {
		id := c.version
		if c.bars {
			id += "_progress"
		}
		t.Run(id, func(t *testing.T) {
			script := strings.Replace(original(t, p), "--stall-timeout 0", checkpoints+c.flags, 1)
			p.stopped(t, script, id, "STANDIN_VERSION="+c.version, "STANDIN_BAR_MS=10")
			f := p.perf(t, id)
			if f.Outcome != "stopped" || f.Coverage.Replayed >= 1000 || (f.Coverage.Replayed > 0) != c.bars {
				t.Errorf("outcome %s, coverage %+v (want stopped, some bars: %t)", f.Outcome, f.Coverage, c.bars)
			}
			for i, chunk := range f.Chunks {
				if chunk.BarsProcessed == chunk.PlannedBars || chunk.BarsProcessed%10 != 0 {
					t.Errorf("chunk %d: %d of %d bars", i, chunk.BarsProcessed, chunk.PlannedBars)
				}
			}
			p.must(t, "coordinator verify "+p.output("perf_"+id+".json"))
		})
	}
}

// An include that is not there is a warning, and the command gets the policy
// file all the same.
func TestMissingInclude(t *testing.T) {
	p := newPlace(t)
	write(t, filepath.Join(p.dir, "policies", "gx1.yaml"), originalPolicy)
	write(t, filepath.Join(p.dir, "configs", "entry.yaml"), "entry_threshold: 0.6\n")
	code, _, stderr := p.run(t, `coordinator run --policy policies/gx1.yaml --data synthetic:400 --run-id missing --slice-format csv \
		--engine exec --exec-footer none -- cmp {policy} "$PWD/policies/gx1.yaml"`)
	if code != 0 || !strings.Contains(stderr, "warning: policies/gx1.yaml: the included file exits/exit.yaml is not there") {
		t.Errorf("exit code %d (want 0, and a warning that names exits/exit.yaml)\n%s", code, stderr)
	}
}
