package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
)

// player plays the worker for one chunk: what a command gets from one, and
// what it leaves.
type player struct {
	dir string
	// chunk is [first, end) of data.
	first, end int
}

// warmupBars and tailBars are what slices have around a chunk, as the
// examples' command lines ask for.
const (
	warmupBars = 60
	tailBars   = 48
)

// play writes the slice and the task of a chunk.
func play(t *testing.T, data []bars.Bar, first, end int, params map[string]string) player {
	t.Helper()
	p := player{t.TempDir(), first, end}
	if err := os.Mkdir(p.out(), 0o755); err != nil {
		t.Fatal(err)
	}
	from, to := max(first-warmupBars, 0), min(end+tailBars, len(data))
	var slice bytes.Buffer
	if err := bars.WriteCSV(&slice, data[from:to]); err != nil {
		t.Fatal(err)
	}
	write(t, p.slice(), slice.String())
	task, err := json.Marshal(map[string]any{
		"schema": 1, "run_id": "played", "chunk_id": "3", "chunk_idx": 3, "planned_bars": end - first,
		"slice":  map[string]any{"path": p.slice(), "rows": to - from, "first_own_row": first - from, "tail_rows": to - end},
		"params": params, "out_dir": p.out(), "footer_file": p.footerFile(), "progress_file": p.progressFile(), "stop_file": p.stopFile(),
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.task(), string(task))
	return p
}

func (p player) out() string          { return filepath.Join(p.dir, "out") }
func (p player) slice() string        { return filepath.Join(p.dir, "slice.csv") }
func (p player) task() string         { return filepath.Join(p.dir, "task.json") }
func (p player) footerFile() string   { return filepath.Join(p.out(), "chunk_footer.json") }
func (p player) progressFile() string { return filepath.Join(p.dir, "progress.jsonl") }
func (p player) stopFile() string     { return filepath.Join(p.dir, "stop") }

// env is the environment of a process for this chunk alone.
func (p player) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "GX1_CHUNK_ID=3", "GX1R_TASK_FILE=" + p.task(),
		"GX1R_PROGRESS_FILE=" + p.progressFile(), "GX1R_FOOTER_FILE=" + p.footerFile(), "GX1R_STOP_FILE=" + p.stopFile(),
	}
}

// command is one that runs in the player's directory; what it prints is kept.
func command(t *testing.T, dir string, env []string, argv ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = 5 * time.Second
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// run runs a command for the chunk, which must succeed.
func (p player) run(t *testing.T, argv ...string) (stdout string) {
	t.Helper()
	cmd, out, errs := command(t, p.dir, p.env(), argv...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", argv, err, out, errs)
	}
	return out.String()
}

// report is what a test looks at of a footer or a line of progress.
type report struct {
	Status        string  `json:"status"`
	BarsProcessed int     `json:"bars_processed"`
	NTradesClosed int     `json:"n_trades_closed"`
	NModelCalls   int     `json:"n_model_calls"`
	Phase         string  `json:"phase"`
	Error         string  `json:"error"`
	Trace         string  `json:"error_traceback"`
	ChunkID       string  `json:"chunk_id"`
	Final         bool    `json:"final"`
	PnlBps        float64 `json:"pnl_bps"`
}

func (p player) footer(t *testing.T) report {
	t.Helper()
	var r report
	decode(t, read(t, p.footerFile()), &r)
	return r
}

// progress are the lines of the progress file; none if there is no file.
func (p player) progress(t *testing.T) []report {
	t.Helper()
	b, err := os.ReadFile(p.progressFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return reports(t, string(b), "")
}

// said are the lines of output that are reports.
func said(t *testing.T, stdout string) []report { return reports(t, stdout, "GX1 ") }

func reports(t *testing.T, text, prefix string) []report {
	t.Helper()
	var list []report
	for line := range strings.Lines(text) {
		object, ok := strings.CutPrefix(line, prefix)
		if !ok || !strings.HasSuffix(line, "\n") {
			continue
		}
		var r report
		decode(t, object, &r)
		list = append(list, r)
	}
	return list
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

// until waits until cond holds.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// table is a CSV file as lines, its header first.
func table(t *testing.T, path string) []string {
	t.Helper()
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(read(t, path), "\r\n", "\n"), "\n"), "\n")
}

// stamp is a bar's time as files and arguments have it.
func stamp(b bars.Bar) string {
	return time.Unix(0, b.TimeNS).UTC().Format("2006-01-02T15:04:05") + "+00:00"
}

// text is a float64 with the fewest digits that bring it back.
func text(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// number is a float as another language wrote it, as text has it.
func number(t *testing.T, cell string) string {
	t.Helper()
	if cell == "nan" {
		return cell
	}
	x, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		t.Fatal(err)
	}
	return text(x)
}
