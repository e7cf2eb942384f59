package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gx1replay/test/selfexec"
)

// replayVerb makes this executable a user's replay.
const replayVerb = "test-replay"

// The product starts its own executable again, as a worker or as a guard; here
// that is this one, which must not run its tests then.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case guardVerb, "worker":
			selfexec.Exit(Main(os.Stdin, os.Stdout, os.Stderr).Coordinator(context.Background(), os.Args[1:]))
		case replayVerb:
			selfexec.Exit(replayMain(os.Args[2], os.Args[3]))
		}
	}
	os.Exit(m.Run())
}

// replayTask is what a replay of these tests reads of its task.
type replayTask struct {
	ChunkIdx    int   `json:"chunk_idx"`
	Attempt     int   `json:"attempt"`
	PlannedBars int64 `json:"planned_bars"`
	Slice       struct {
		Path        string `json:"path"`
		FirstOwnRow int    `json:"first_own_row"`
		TailRows    int    `json:"tail_rows"`
	} `json:"slice"`
	OutDir     string `json:"out_dir"`
	FooterFile string `json:"footer_file"`
	StopFile   string `json:"stop_file"`
}

// replayMain is a user's replay.
func replayMain(mode, path string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "ReplayError:", err)
		return 1
	}
	text, err := os.ReadFile(path)
	var t replayTask
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil {
		return fail(err)
	}
	fmt.Printf("chunk %d, attempt %d\n", t.ChunkIdx, t.Attempt)
	mode, waiter, _ := strings.Cut(mode, "@")
	status := "ok"
	switch mode {
	case "fails":
		return fail(fmt.Errorf("chunk %d has no model", t.ChunkIdx))
	case "fails-once":
		if t.ChunkIdx == 1 && t.Attempt == 1 {
			return fail(fmt.Errorf("chunk 1 has no model yet"))
		}
	case "slots":
		if err := t.meet(4); err != nil {
			return fail(err)
		}
	case "waits":
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "waits"), nil, 0o644); err != nil {
			return fail(err)
		}
		if waiter != "" {
			c, err := net.Dial("tcp", waiter)
			if err != nil {
				return fail(err)
			}
			c.Close()
		}
		// As a user's replay that looks for the stop file at every bar.
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(t.StopFile); err == nil {
				status = "stopped"
				break
			}
		}
	}
	closes, times, err := readCloses(t.Slice.Path)
	if err == nil && status == "ok" {
		err = t.leave(mode, closes, times)
	}
	bars := t.PlannedBars
	if status != "ok" {
		bars = 0
	}
	footer := fmt.Sprintf(`{"status": %q, "bars_processed": %d, "n_trades_closed": 3, "pnl_bps": 1.5}`, status, bars)
	if err == nil {
		err = os.WriteFile(t.FooterFile, []byte(footer), 0o644)
	}
	if err != nil {
		return fail(err)
	}
	return 0
}

func readCloses(path string) (closes []float64, times []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows[1:] {
		x, err := strconv.ParseFloat(r[4], 64)
		if err != nil {
			return nil, nil, err
		}
		closes, times = append(closes, x), append(times, r[0])
	}
	return closes, times, nil
}

// meet leaves a file that names the attempt's slot and GPU, and waits until so
// many slots have left one.
func (t *replayTask) meet(slots int) error {
	dir := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(t.OutDir))), "slots")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, os.Getenv("GX1R_SLOT")+" "+os.Getenv("CUDA_VISIBLE_DEVICES")), nil, 0o600); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list, err := os.ReadDir(dir)
		switch {
		case err != nil:
			return err
		case len(list) >= slots:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d slots: %v (want %d)", len(list), list, slots)
		}
	}
}

const replayHold = 10 // bars of a trade: --exec-tail-bars

// leave writes trades, or scores, of the slice's own bars: closes that cross
// their mean, which with ema… is an EMA that begins with the slice.
func (t *replayTask) leave(mode string, closes []float64, times []string) error {
	const window, span = 20, 100
	var trades, scores strings.Builder
	trades.WriteString("trade_id,entry_time,exit_time,entry_price,exit_price\n")
	scores.WriteString("time,p_long,p_short\n")
	ema, n := closes[0], 0
	above := false
	for i, x := range closes[:len(closes)-t.Slice.TailRows] {
		mean := 0.0
		if strings.HasPrefix(mode, "ema") {
			ema += (x - ema) * 2 / (span + 1)
			mean = ema
		} else {
			for _, y := range closes[max(i+1-window, 0) : i+1] {
				mean += y / float64(min(window, i+1))
			}
		}
		was := above
		above = x > mean
		if i < t.Slice.FirstOwnRow {
			continue
		}
		fmt.Fprintf(&scores, "%s,%v,0.5\n", times[i], 0.5+(x-mean)/x)
		if exit := min(i+replayHold, len(closes)-1); above && !was {
			n++
			fmt.Fprintf(&trades, "%d,%s,%s,%v,%v\n", n, times[i], times[exit], x, closes[exit])
		}
	}
	name, text := "trades.csv", trades.String()
	if strings.HasSuffix(mode, "scores") {
		name, text = "scores.csv", scores.String()
	}
	return os.WriteFile(filepath.Join(t.OutDir, name), []byte(text), 0o644)
}

// said is what a program did.
type said struct {
	code           int
	stdout, stderr string
}

// coordinates runs the program coordinator.
func coordinates(t *testing.T, args ...string) said {
	t.Helper()
	return coordinatesUntil(t, "", nil, args...)
}

// coordinatesUntil does so and closes told as soon as standard error holds
// what.
func coordinatesUntil(t *testing.T, what string, told chan<- struct{}, args ...string) said {
	t.Helper()
	out, errOut := bytes.Buffer{}, watched{what: what, told: told}
	p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errOut, Getenv: func(string) string { return "" }}
	code := p.Coordinator(t.Context(), args)
	return said{code, out.String(), errOut.String()}
}

// watched is the standard error of a program.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	what string
	told chan<- struct{} // nil once it is closed
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.text.Write(b)
	if w.told != nil && strings.Contains(w.text.String(), w.what) {
		close(w.told)
		w.told = nil
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// ownPlaces gives a test its own register of runs and temporary directory.
func ownPlaces(t *testing.T) {
	t.Helper()
	for _, name := range []string{"XDG_RUNTIME_DIR", "TMPDIR"} {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, dir)
	}
}

// replayPolicy writes a policy for commands: its warm-up in bars, and what a
// selection goes by.
func replayPolicy(t *testing.T, warmup int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.yaml")
	text := fmt.Sprintf("timeframe: M5\nwarmup_bars: %d\nentry: {p_side_min: 0.5005}\nexit: {stop_bps: 25, max_bars: 12}\n", warmup)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// replayCommand is the command line of a replay of these tests.
func replayCommand(t *testing.T, mode string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--", exe, replayVerb, mode, "{task}"}
}

// holds fails if a text has not all of these.
func holds(t *testing.T, what, text string, want ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(text), " ")
	for _, w := range want {
		if !strings.Contains(flat, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, text)
		}
	}
}
