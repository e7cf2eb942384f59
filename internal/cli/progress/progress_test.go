package progress

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"gx1replay/internal/printable"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

var underWay = State{
	RunID: "20261124_101500_ab12", ChunksDone: 3, ChunksRunning: 4, ChunksTotal: 7,
	BarsDone: 41230, BarsTotal: 70000, BarsPerSec: 4119.6, Left: 7 * time.Second, Trades: 12, Taken: true,
	StopCommand: "nats pub gx1.stop.20261124_101500_ab12",
}

// with is underWay, changed.
func with(change func(*State)) State {
	s := underWay
	change(&s)
	return s
}

func TestRenderGolden(t *testing.T) {
	states := []struct {
		name  string
		state State
	}{
		{"under way", underWay},
		{"nobody has come", with(func(s *State) {
			s.ChunksDone, s.ChunksRunning, s.BarsDone, s.BarsPerSec, s.Trades, s.Left, s.Taken = 0, 0, 0, 0, 0, -1, false
		})},
		{"stopping", with(func(s *State) { s.Stopping = true })},
		{"without its bus", with(func(s *State) { s.BusLost, s.Stopping = true, true })},
		{"uploading", with(func(s *State) {
			s.ChunksDone, s.ChunksRunning, s.BarsDone, s.BarsPerSec, s.Trades, s.Left, s.Taken = 0, 0, 0, 0, 0, -1, false
			s.Uploaded, s.Uploads = 12, 1600
		})},
		{"some failed", with(func(s *State) { s.ChunksFailed = 2 })},
		{"slow command", with(func(s *State) { s.BarsPerSec, s.Left, s.Trades = 0.53, 15*time.Hour+7*time.Minute, 1 })},
		{"nothing known yet", with(func(s *State) { s.BarsPerSec, s.Left = math.NaN(), -1 })},
		{"large", with(func(s *State) {
			s.ChunksDone, s.ChunksRunning, s.ChunksTotal = 9120, 64, 10000
			s.BarsDone, s.BarsTotal, s.BarsPerSec, s.Trades = 98765432, 123456789, 1234567, 54321
			s.Left = 30 * time.Hour
		})},
		{"no plan", State{Left: -1}},
		{"one chunk", with(func(s *State) { s.ChunksDone, s.ChunksRunning, s.ChunksTotal = 0, 1, 1 })},
	}
	for _, width := range []int{20, 40, 80, 120, 200} {
		var b strings.Builder
		for _, s := range states {
			line := Render(s.state, width, false)
			if n := columns(line); n > width {
				t.Errorf("%s at %d: %d columns", s.name, width, n)
			}
			fmt.Fprintf(&b, "%-20s|%s|\n", s.name, line)
		}
		golden(t, fmt.Sprintf("render_%d.txt", width), b.String())
	}
}

func TestRenderColorGolden(t *testing.T) {
	golden(t, "render_color.txt", Render(underWay, 200, true)+"\n"+Render(with(func(s *State) { s.ChunksFailed, s.Stopping = 1, true }), 200, true)+"\n")
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func genState(t *rapid.T) State {
	count := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, math.MaxInt))
	return State{
		RunID:      "r",
		ChunksDone: count.Draw(t, "done"), ChunksRunning: count.Draw(t, "running"),
		ChunksFailed: count.Draw(t, "failed"), ChunksTotal: count.Draw(t, "total"),
		BarsDone: rapid.Int64().Draw(t, "bars"), BarsTotal: rapid.Int64().Draw(t, "of"),
		BarsPerSec: rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(1))).Draw(t, "rate"),
		Left:       time.Duration(rapid.Int64().Draw(t, "left")), Trades: rapid.Int64().Draw(t, "trades"),
		Taken: rapid.Bool().Draw(t, "taken"), Stopping: rapid.Bool().Draw(t, "stopping"),
		StopCommand: rapid.String().Draw(t, "stop"),
	}
}

func TestRenderNeverExceedsItsWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genState(t)
		width := rapid.IntRange(-1, 300).Draw(t, "width")
		line := Render(s, width, false)
		if n := columns(line); n > max(width, 0) {
			t.Errorf("%d columns of %d: %q", n, width, line)
		}
		if strings.ContainsAny(line, "\x1b\r\n\t") || !utf8.ValidString(line) {
			t.Errorf("the line moves the cursor: %q", line)
		}
		if colored := Render(s, width, true); escapes.ReplaceAllString(colored, "") != line {
			t.Errorf("colour changes the text: %q, %q", colored, line)
		}
		if s.StopCommand != "" && strings.Contains(line, "stop: ") && !strings.HasSuffix(line, printable.Line(s.StopCommand)) {
			t.Errorf("half a stop command: %q", line)
		}
		// Nothing but the room decides what is left out.
		if full := Render(s, 100000, false); width >= columns(full) && line != full {
			t.Errorf("%q although there is room for %q", line, full)
		}
	})
}

func TestColumns(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "한글": 4, "ｱ": 1, "Ａ": 2, "🚀": 2, "–·…": 3, "a\u200bb": 2,
	} {
		if got := columns(text); got != want {
			t.Errorf("%q has %d columns (want %d)", text, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 70000: "70,000", 123456789: "123,456,789", -1: "-1", -1234: "-1,234", -123: "-123",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) is %s (want %s)", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 40 * time.Millisecond: "0s", 440 * time.Millisecond: "0.4s", 7 * time.Second: "7s", 7250 * time.Millisecond: "7.3s",
		9949 * time.Millisecond: "9.9s", 9950 * time.Millisecond: "10s", 59499 * time.Millisecond: "59s", 59500 * time.Millisecond: "1m 00s",
		200 * time.Second: "3m 20s", 3599*time.Second + 600*time.Millisecond: "1h 00m", 2*time.Hour + 5*time.Minute + 59*time.Second: "2h 05m",
		28 * time.Hour: "1d 04h", 24000 * time.Hour: "1,000d 00h", -time.Minute: "-1m 00s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) is %s (want %s)", d, got, want)
		}
	}
	for _, tc := range []struct {
		done, total int64
		want        string
	}{
		{0, 0, "0%"}, {1, 0, "0%"}, {0, 5, "0%"}, {1, 1000, "0%"}, {29, 100, "29%"}, {999, 1000, "99%"}, {5, 5, "100%"}, {6, 5, "100%"},
		{math.MaxInt64 - 1, math.MaxInt64, "99%"}, {-1, 5, "0%"},
	} {
		if got := percent(tc.done, tc.total); got != tc.want {
			t.Errorf("percent(%d, %d) is %s (want %s)", tc.done, tc.total, got, tc.want)
		}
	}
	for r, want := range map[float64]string{
		0: "–", -1: "–", math.Inf(1): "–", 0.53: "0.5", 9.94: "9.9", 9.95: "10", 4119.6: "4,120", 1e300: "1,000,000,000,000,000",
	} {
		if got := rate(r); got != want+" bars/s" {
			t.Errorf("rate(%g) is %s (want %s)", r, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	log := func(s State) string {
		var b bytes.Buffer
		h := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		slog.New(h).LogAttrs(context.Background(), slog.LevelInfo, "progress", Line(s)...)
		return b.String()
	}
	golden(t, "line.txt", log(underWay)+
		log(with(func(s *State) { s.Taken, s.BarsPerSec, s.Left = false, 0, -1 }))+
		log(with(func(s *State) { s.Stopping = true }))+
		log(with(func(s *State) { s.BusLost = true }))+
		log(with(func(s *State) { s.Taken, s.Uploaded, s.Uploads = false, 12, 1600 }))+
		log(State{RunID: "r", Left: -1}))
}

func TestSummaryGolden(t *testing.T) {
	complete := SummaryState{
		RunID: "20261124_101500_ab12", Outcome: "complete", Wall: 16990 * time.Millisecond, Workers: 7,
		BarsPlanned: 70000, BarsReplayed: 70000, BarsPerSec: 4120.1,
		ChunksTotal: 7, Chunks: []StatusCount{{"ok", 7}, {"stopped", 0}},
		Phases: []Phase{{"pregate", 0.5}, {"features", 31}, {"model", 62.2}, {"policy", 4}, {"io", 0.1}, {"other", 2.2}},
		Trades: 1234, PnlBps: -345.67,
		File: "reports/replay_eval/GATED/perf_20261124_101500_ab12.json",
		Next: "coordinator compare --off OFF.json --on reports/replay_eval/GATED/perf_20261124_101500_ab12.json --output REPORT.md",
	}
	stopped := complete
	stopped.Outcome, stopped.StopSource, stopped.StopReason = "stopped", "subject", "enough\x1b[2Jseen"
	stopped.BarsReplayed, stopped.TradesOpen, stopped.PnlBps = 41230, 2, 12
	stopped.Chunks = []StatusCount{{"ok", 3}, {"stopped", 3}, {"unresponsive", 1}}
	stopped.Next, stopped.NextWhy = "coordinator run --run-id 20261124_101500_ab12 …", "takes up the rest"
	failed := stopped
	failed.Outcome, failed.StopSource, failed.StopReason = "failed", "", ""
	failed.Chunks = []StatusCount{{"ok", 5}, {"failed", 2}}
	failed.LastError = "chunk 4: model.json:\n no such file"
	failed.ExportError = "no space left on device"
	failed.File = "/var/tmp/perf_20261124_101500_ab12_FAILED_EXPORT.json"
	early := SummaryState{
		RunID: "early", Outcome: "stopped", StopSource: "sigterm", Wall: 40 * time.Millisecond,
		BarsPerSec: math.NaN(), PnlBps: math.NaN(), File: "perf_early.json",
	}
	charged := complete
	charged.NetPnlBps, charged.Signals, charged.Expired = new(-1234.56), 2128, 442
	rowless := complete
	rowless.WithoutRows = 12
	rowless.Remarks = []string{"442 of 2128 signals (20.8 %) expired at gaps"}
	for name, s := range map[string]SummaryState{"complete": complete, "rowless": rowless, "stopped": stopped, "failed": failed, "early": early, "charged": charged} {
		for _, color := range []bool{false, true} {
			var b bytes.Buffer
			if err := Summary(&b, s, color); err != nil {
				t.Fatal(err)
			}
			if color {
				name += "_color"
			}
			golden(t, "summary_"+name+".txt", b.String())
		}
	}
}

func TestSummaryReturnsTheWritersError(t *testing.T) {
	broken := errors.New("broken")
	if err := Summary(brokenWriter{broken}, SummaryState{RunID: "r"}, false); !errors.Is(err, broken) {
		t.Errorf("Summary: %v", err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
