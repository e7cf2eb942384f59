package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// damageBars is the data set of the runs here, damageChunks their plan.
const (
	damageBars   = 3000
	damageChunks = 12
)

// stoppedRun is a run that was stopped half-way, with its bus.
type stoppedRun struct {
	dir  string // the output directory
	args []string
	ok   map[int]string  // worker_id of the ok footer that lies on a disk, by chunk
	bars map[int]float64 // the most bars that a footer on a disk holds, by chunk
}

func aStoppedRun(t *testing.T) *stoppedRun {
	t.Helper()
	ownPlaces(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "policies", "gated.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	slow := regexp.MustCompile(`latency: \S+`).ReplaceAll(text, []byte("latency: 6ms"))
	policy := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(policy, slow, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &stoppedRun{dir: t.TempDir(), ok: map[int]string{}, bars: map[int]float64{}}
	r.args = []string{"run", "--policy", policy, "--data", "synthetic:" + strconv.Itoa(damageBars), "--run-id", "r1", "--workers", "2",
		"--chunks", strconv.Itoa(damageChunks), "--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--lease-duration", "1s"}
	for timeBox := 1500; len(r.ok) < 2; timeBox += 1000 { // on a machine that does other things
		got := coordinates(t, append(r.args, "--timeout", strconv.Itoa(timeBox)+"ms", "--output-dir", r.dir)...)
		if got.code != 0 {
			t.Fatalf("the run ended with code %d: %s%s", got.code, got.stdout, got.stderr)
		}
		r.look(t)
	}
	if len(r.ok) == damageChunks {
		t.Fatal("the run is complete: it was not stopped in time")
	}
	return r
}

// look reads the footers that lie in the workers' directories.
func (r *stoppedRun) look(t *testing.T) {
	t.Helper()
	work := filepath.Join(r.dir, ".gx1", "r1", "work")
	err := filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if path == work && errors.Is(err, fs.ErrNotExist) {
			return nil // no chunk was begun
		}
		if err != nil || d.Name() != "chunk_footer.json" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var f struct {
			Idx    int     `json:"chunk_idx"`
			Status string  `json:"status"`
			Bars   float64 `json:"bars_processed"`
			Worker string  `json:"worker_id"`
		}
		if err := json.Unmarshal(text, &f); err != nil {
			return err
		}
		if f.Status == "ok" {
			r.ok[f.Idx] = f.Worker
		}
		r.bars[f.Idx] = max(r.bars[f.Idx], f.Bars)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copied is the run in another directory.
func (r *stoppedRun) copied(t *testing.T) *stoppedRun {
	t.Helper()
	c := *r
	c.dir = t.TempDir()
	if err := os.CopyFS(c.dir, os.DirFS(r.dir)); err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"", "r1", filepath.Join("r1", "bus")} {
		if err := os.Chmod(filepath.Join(c.dir, ".gx1", private), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return &c
}

func (r *stoppedRun) bus() string { return filepath.Join(r.dir, ".gx1", "r1", "bus") }

// forget removes all that says what the run is, but the bus and the workers'
// directories.
func (r *stoppedRun) forget(t *testing.T) {
	t.Helper()
	for _, path := range []string{filepath.Join(r.dir, "perf_r1.json"), filepath.Join(r.dir, "r1"), filepath.Join(r.dir, ".gx1", "r1", "backup.json")} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

type damagedFile struct {
	Outcome  string `json:"outcome"`
	Coverage struct {
		Replayed float64 `json:"replayed_bars"`
	} `json:"coverage"`
	Chunks []struct {
		Idx    int     `json:"chunk_idx"`
		Status string  `json:"status"`
		Bars   float64 `json:"bars_processed"`
		Worker string  `json:"worker_id"`
	} `json:"chunks"`
}

func (r *stoppedRun) file(t *testing.T) (f damagedFile) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "perf_r1.json"))
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Error(err)
	}
	return f
}

// exports has `coordinator export` write the run's file, which holds at least
// what lay on the disks.
func (r *stoppedRun) exports(t *testing.T) {
	t.Helper()
	got := coordinates(t, "export", "r1", "--output-dir", r.dir, "--timeout", "30s")
	if got.code != 0 {
		t.Errorf("export ended with code %d: %s%s", got.code, got.stdout, got.stderr)
		return
	}
	have := map[int]float64{}
	for _, c := range r.file(t).Chunks {
		have[c.Idx] = c.Bars
	}
	for idx, bars := range r.bars {
		if have[idx] < bars {
			t.Errorf("the export holds %v bars of chunk %d (want at least %v, which lay in a worker's directory)", have[idx], idx, bars)
		}
	}
}

// resumes resumes the run to its end, and replays no chunk again whose ok footer
// lay on a disk. A bus that has lost its last messages may not know any more that
// its stop is done with: then the first resume obeys it, and the second does not.
func (r *stoppedRun) resumes(t *testing.T) {
	t.Helper()
	var f damagedFile
	for range 2 {
		got := coordinates(t, append(r.args, "--timeout", "60s", "--output-dir", r.dir)...)
		if got.code != 0 {
			t.Errorf("the resume ended with code %d: %s%s", got.code, got.stdout, got.stderr)
			return
		}
		if f = r.file(t); f.Outcome != "stopped" {
			break
		}
		t.Log("the resume obeyed the old stop")
	}
	if f.Outcome != "complete" || f.Coverage.Replayed != damageBars {
		t.Errorf("the resume ended %s with %v bars (want complete, %d)", f.Outcome, f.Coverage.Replayed, damageBars)
	}
	for _, c := range f.Chunks {
		if was, ok := r.ok[c.Idx]; ok && was != c.Worker {
			t.Errorf("chunk %d was replayed again: its ok footer, of %s, lay in a worker's directory", c.Idx, was)
		}
	}
}

// injury is damage to one file of a bus.
type injury struct{ path, how string }

func (i injury) String() string { return i.how + " " + i.path }

// injuries are the ways in which files are damaged here.
var injuries = []string{"truncate", "zero", "flip", "delete", "append"}

func (r *stoppedRun) injure(t *testing.T, rng *rand.Rand, i injury) {
	t.Helper()
	path := filepath.Join(r.bus(), i.path)
	b, err := os.ReadFile(path)
	if err == nil {
		switch i.how {
		case "truncate":
			b = b[:rng.IntN(len(b)+1)]
		case "zero":
			from := rng.IntN(len(b) + 1)
			clear(b[from:min(len(b), from+1+rng.IntN(4096))])
		case "flip":
			for range 1 + rng.IntN(8) {
				if len(b) > 0 {
					b[rng.IntN(len(b))] ^= byte(1 << rng.IntN(8))
				}
			}
		case "append":
			for range 1 + rng.IntN(200) {
				b = append(b, byte(rng.IntN(256)))
			}
		}
		if i.how == "delete" {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, b, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// files lists the files of the bus that a server reads.
func (r *stoppedRun) files(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir(r.bus(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			rel, errRel := filepath.Rel(r.bus(), path)
			list, err = append(list, rel), errRel
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// A bus that does not open whole blocks neither a resume nor an export, and
// nothing is lost that lay on a disk. GX1R_DAMAGE is how many runs are damaged at
// random, GX1R_SEED the first one's seed.
func TestDamagedBusAtRandom(t *testing.T) {
	testsize.All(t)
	n, seed := 4, uint64(1)
	for name, f := range map[string]func(v uint64){"GX1R_DAMAGE": func(v uint64) { n = int(v) }, "GX1R_SEED": func(v uint64) { seed = v }} {
		if text := os.Getenv(name); text != "" {
			v, err := strconv.ParseUint(text, 10, 32)
			if err != nil {
				t.Fatalf("%s=%q (want a number)", name, text)
			}
			f(v)
		}
	}
	r := aStoppedRun(t)
	for k := range n {
		t.Run(fmt.Sprint(seed+uint64(k)), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed+uint64(k), 14))
			c := r.copied(t)
			forgotten := rng.IntN(2) == 0
			if forgotten {
				c.forget(t)
			}
			var done []string
			list := c.files(t)
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			for _, path := range list[:1+rng.IntN(3)] {
				i := injury{path, injuries[rng.IntN(len(injuries))]}
				c.injure(t, rng, i)
				done = append(done, i.String())
			}
			t.Logf("forgotten: %v; %s", forgotten, strings.Join(done, ", "))
			c.copied(t).exports(t)
			c.resumes(t)
		})
	}
}

// A damaged bus is put aside as it is, and said so; the stops of the new one
// count, though its sequences begin again.
func TestDamagedBusIsSetAside(t *testing.T) {
	testsize.All(t)
	r := aStoppedRun(t)
	streams := filepath.Join(r.bus(), "jetstream", "$G", "streams")
	if err := os.Remove(filepath.Join(streams, "GX1_STOP", "meta.sum")); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(streams, "GX1_FOOTERS", "msgs", "1.blk"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan said, 1)
	args := slices.DeleteFunc(slices.Clone(r.args), func(s string) bool { return s == "--quiet" })
	started := make(chan struct{})
	go func() {
		ended <- coordinatesUntil(t, "stop it with", started, append(args, "--timeout", "60s", "--output-dir", r.dir)...)
	}()
	l := &live{t: t, id: "r1", dir: r.dir, ended: ended}
	select {
	case <-started:
	case <-time.After(patience):
		t.Fatal("the run is not under way again")
	}
	l.look()
	if _, err := l.stranger().Request("gx1.stop.r1", []byte("again"), patience); err != nil {
		t.Fatal(err)
	}
	var got said
	select {
	case got = <-ended:
	case <-time.After(patience):
		t.Fatal("the stop on the new bus is not obeyed")
	}
	aside, err := filepath.Glob(r.bus() + ".damaged-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %q, %v (want one)", aside, err)
	}
	holds(t, "the terminal", got.stderr+got.stdout, "warning: the bus is damaged", "meta.sum", "renamed to "+aside[0])
	after, err := os.ReadFile(filepath.Join(aside[0], "jetstream", "$G", "streams", "GX1_FOOTERS", "msgs", "1.blk"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the footers' block has %d bytes, %v (want the %d that it had)", len(after), err, len(before))
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "r1", "run.log"))
	if err != nil || !strings.Contains(string(log), "damaged bus renamed") {
		t.Errorf("the run's log does not say so: %v", err)
	}
	if f := r.file(t); f.Outcome != "stopped" || got.code != 0 {
		t.Errorf("code %d, outcome %s (want 0, stopped)", got.code, f.Outcome)
	}
	// The bus that took its place is whole.
	r.look(t)
	r.resumes(t)
	if now, _ := filepath.Glob(r.bus() + ".damaged-*"); !slices.Equal(now, aside) {
		t.Errorf("set aside: %q (want what there was)", now)
	}
}

// What is in the store and is not what it must be is damage, too: it holds up
// neither export nor resume, and is said.
func TestDamagedBusThatIsNoBus(t *testing.T) {
	if testing.Short() {
		t.Skip("whole runs")
	}
	r := aStoppedRun(t)
	file := func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	for _, c := range []struct {
		path string
		put  func(path string) error
	}{
		{"", file}, {"", pipe}, {"lock", pipe}, {"jetstream", file}, {"jetstream/$G/streams", file},
		{"jetstream/$G/streams/GX1_TASKS", file}, {"jetstream/$G/streams/GX1_STOP/meta.inf", pipe},
		{"jetstream/$G/streams/GX1_FOOTERS/msgs/index.db", pipe},
	} {
		t.Run(c.path, func(t *testing.T) {
			for _, do := range []func(*stoppedRun, *testing.T){(*stoppedRun).exports, (*stoppedRun).resumes} {
				d := r.copied(t)
				path := filepath.Join(d.bus(), filepath.FromSlash(c.path))
				if err := errors.Join(os.RemoveAll(path), c.put(path)); err != nil {
					t.Fatal(err)
				}
				do(d, t)
				d.isSetAside(t)
			}
		})
	}
}

func (r *stoppedRun) isSetAside(t *testing.T) {
	t.Helper()
	if list, err := filepath.Glob(r.bus() + ".damaged-*"); err != nil || len(list) != 1 {
		t.Errorf("set aside: %q, %v (want one)", list, err)
	}
}

// Footers of other data are not taken for this run's, though nothing but them is
// left.
func TestFootersOfOtherDataAreRefused(t *testing.T) {
	testsize.All(t)
	r := aStoppedRun(t)
	r.forget(t)
	if err := os.RemoveAll(r.bus()); err != nil {
		t.Fatal(err)
	}
	other := slices.Clone(r.args)
	k := slices.Index(other, "--data")
	other[k+1] = "synthetic:2990"
	got := coordinates(t, append(other, "--timeout", "60s", "--output-dir", r.dir)...)
	if got.code != 1 || !strings.Contains(got.stderr, "data set") {
		t.Errorf("code %d, %s%s (want 1 and what differs)", got.code, got.stdout, got.stderr)
	}
	r.resumes(t)
}
