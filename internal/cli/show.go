package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/cli/progress"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/printable"
	"gx1replay/internal/run"
)

func (p Program) showCommand() *cobra.Command {
	var which whichRun
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show one run on one screen: plan, progress, workers, failures, files",
		Long: `show prints what is known of a run, active or ended: its plan, how far it is,
its workers with host, rate and last report, the chunks that failed, and its
files. It reads the run's bus if that is up, else its files. RUN is a run id or
the path of a perf JSON.`,
		Example: `  coordinator show pilot_on
  coordinator show reports/replay_eval/GATED/perf_pilot_on.json --json
  coordinator show pilot_on --nats nats://10.0.0.1:4222 --nkey observer.nk`,
		Args: oneArg("RUN", "coordinator ls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := which.id(args[0])
			if err != nil {
				return err
			}
			found, done, err := p.findManifest(cmd.Context(), id, which, access.Observer)
			if err != nil {
				return err
			}
			defer done()
			s := shownOf(found)
			if asJSON {
				return p.printJSON(s)
			}
			return s.write(p.table())
		},
	}
	which.bind(cmd.Flags())
	bindJSON(cmd.Flags(), &asJSON)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

// shown is a run as `show --json` prints it.
type shown struct {
	RunID  run.ID `json:"run_id"`
	Source string `json:"source"` // where this is from
	// State is the manifest's (running, stopped, exported), or by files the
	// outcome.
	State    string             `json:"state"`
	Sessions []run.SessionTimes `json:"sessions"`

	Policy        string `json:"policy"`
	Engine        string `json:"engine"`
	EngineVersion int    `json:"engine_version"`
	Data          string `json:"data"`
	DataBars      int64  `json:"data_bars"`
	FirstTS       string `json:"first_ts"`
	LastTS        string `json:"last_ts"`

	Coverage    perf.Coverage `json:"coverage"`
	Chunks      int           `json:"chunks"`
	ChunksOK    int           `json:"chunks_ok"`
	TotalTrades int64         `json:"total_trades"`
	TotalPnlBps float64       `json:"total_pnl_bps"`
	Unreported  []string      `json:"totals_unreported"`

	Workers  []shownWorker  `json:"workers"`
	Failures []shownFailure `json:"failures"`
	Files    []string       `json:"files"`
}

// shownWorker is a worker process by the authoritative footers.
type shownWorker struct {
	WorkerID   string    `json:"worker_id"`
	Host       string    `json:"host"`
	Chunks     int       `json:"chunks"`
	Bars       int64     `json:"bars"`
	BarsPerSec float64   `json:"bars_per_sec"` // while it replayed
	LastReport time.Time `json:"last_report"`

	sec float64
}

type shownFailure struct {
	ChunkIdx int           `json:"chunk_idx"`
	Status   footer.Status `json:"status"`
	Error    string        `json:"error"`
}

func shownOf(found *foundRun) shown {
	m := found.m
	totals := found.totals
	if totals.ChunksTotal == 0 {
		totals = perf.Count("", found.chunks)
	}
	s := shown{
		RunID: found.target.RunID, Source: found.from, State: cmp.Or(string(m.State), string(totals.Outcome)), Sessions: m.Sessions,
		Policy: m.Policy.Name, Engine: m.Engine, EngineVersion: run.EngineOf(m.EngineVersion),
		Data: m.Data.Source, DataBars: m.Data.Bars, FirstTS: m.Data.FirstTS, LastTS: m.Data.LastTS,
		Coverage: totals.Coverage, Chunks: len(found.chunks), ChunksOK: totals.ChunksCompleted,
		TotalTrades: totals.TotalTrades, TotalPnlBps: totals.TotalPnlBps, Unreported: slices.Concat([]string{}, totals.Unreported),
		Workers: []shownWorker{}, Failures: []shownFailure{}, Files: []string{},
	}
	if s.Sessions == nil {
		s.Sessions = []run.SessionTimes{}
	}
	byID := map[string]*shownWorker{}
	for _, c := range found.chunks {
		if c.Error != "" || c.Status == footer.StatusFailed {
			s.Failures = append(s.Failures, shownFailure{c.Idx, c.Status, c.Error})
		}
		if c.Line.IsZero() {
			continue
		}
		f := c.Line.Footer()
		w := byID[f.WorkerID]
		if w == nil {
			w = &shownWorker{WorkerID: f.WorkerID, Host: f.Host}
			byID[f.WorkerID] = w
		}
		w.Chunks++
		w.Bars += f.BarsProcessed
		w.sec += f.WallClockSec
		if at, err := time.Parse(time.RFC3339, f.Timestamp); err == nil && at.After(w.LastReport) {
			w.LastReport = at
		}
	}
	for _, w := range byID {
		w.BarsPerSec = footer.Rate(w.Bars, w.sec)
		s.Workers = append(s.Workers, *w)
	}
	slices.SortFunc(s.Workers, func(a, b shownWorker) int {
		return cmp.Or(cmp.Compare(b.Bars, a.Bars), cmp.Compare(a.WorkerID, b.WorkerID))
	})
	t := found.target
	for _, path := range []string{cmp.Or(found.perf, t.Perf()), t.Stub(), t.TradesCSV(), t.Metrics(), t.Summary(), filepath.Join(t.RunDir(), "run.log")} {
		if _, err := os.Stat(path); err == nil {
			s.Files = append(s.Files, path)
		}
	}
	return s
}

const most = 12

func (s shown) write(w *tabwriter.Writer) error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, printable.Line(fmt.Sprintf(format, args...)))
	}
	line("run", "%s: %s (%s)", s.RunID, s.State, s.Source)
	if n := len(s.Sessions); n > 0 {
		last := s.Sessions[n-1]
		end := "active"
		if !last.EndedAt.IsZero() {
			end = "to " + last.EndedAt.Local().Format("15:04:05")
		}
		line("epoch", "%d, %s %s", last.Session, last.StartedAt.Local().Format("2006-01-02 15:04:05"), end)
	}
	line("data", "%s bars of %s, %s to %s", progress.Count(s.DataBars), dash(s.Data), dash(s.FirstTS), dash(s.LastTS))
	line("policy", "%s; engine %s, version %d", dash(s.Policy), dash(s.Engine), s.EngineVersion)
	percent := int64(0)
	if s.Coverage.PlannedBars > 0 {
		percent = 100 * s.Coverage.ReplayedBars / s.Coverage.PlannedBars
	}
	line("bars", "%s of %s (%d %%)", progress.Count(s.Coverage.ReplayedBars), progress.Count(s.Coverage.PlannedBars), percent)
	line("chunks", "%d of %d ok%s", s.ChunksOK, s.Chunks, s.others())
	line("trades", "%s, %+.1f bps%s", progress.Count(s.TotalTrades), s.TotalPnlBps, notWhole(s.Unreported))
	for i, k := range s.Workers {
		if i == most {
			line("", "… and %d more workers", len(s.Workers)-most)
			break
		}
		line(heading(i, "workers"), "%s on %s: %d chunks, %s bars, %s bars/s, last report %s", k.WorkerID, k.Host, k.Chunks,
			progress.Count(k.Bars), progress.Count(int64(k.BarsPerSec)), k.LastReport.Local().Format("15:04:05"))
	}
	for i, f := range s.Failures {
		if i == most {
			line("", "… and %d more chunks", len(s.Failures)-most)
			break
		}
		text, _, _ := strings.Cut(f.Error, "\n")
		line(heading(i, "failures"), "chunk %d (%s): %s", f.ChunkIdx, f.Status, text)
	}
	for i, path := range s.Files {
		line(heading(i, "files"), "%s", relative(path))
	}
	return w.Flush()
}

func (s shown) others() string {
	var list []string
	for status, n := range s.Coverage.ByStatus {
		if status != footer.StatusOK && n.Chunks > 0 {
			list = append(list, fmt.Sprintf("%d %s", n.Chunks, status))
		}
	}
	slices.Sort(list)
	if len(list) == 0 {
		return ""
	}
	return "; " + strings.Join(list, ", ")
}

func notWhole(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (not reported by all chunks: " + strings.Join(names, ", ") + ")"
}

func heading(i int, name string) string {
	if i == 0 {
		return name
	}
	return ""
}
