package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/printable"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
)

const (
	maxShownLog  = 64 << 20
	logsPatience = 30 * time.Second
)

type logsFlags struct {
	whichRun
	attempt             int
	stdout, asJSON, raw bool
}

func (p Program) logsCommand() *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs RUN [IDX]",
		Short: "Show the output of a run's commands",
		Long: `logs lists the attempts of a run with --engine exec that have logs. With the
number of a chunk, it shows the standard error of the command in the last attempt.
It reads the run's output directory, the directories of local workers, and the
bus if it is reachable. Control characters are shown as \u001b and the like, and
secrets as [removed], unless --raw is given.`,
		Example: `  coordinator logs pilot_on
  coordinator logs pilot_on 3
  coordinator logs pilot_on 3 --attempt 1 --stdout | less`,
		Args: takes(1, 2, "RUN and perhaps the number of a chunk", "coordinator logs RUN_ID 3"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.logs(cmd.Context(), f, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.attempt, "attempt", 0, "number of the attempt (default: the last one)")
	aboveZero(fl, "attempt", "1 or more; without the flag the last one's are shown")
	fl.BoolVar(&f.stdout, "stdout", false, "show standard output instead of standard error")
	f.bind(fl)
	fl.BoolVar(&f.asJSON, "json", false, "print the list as JSON")
	fl.BoolVar(&f.raw, "raw", false, "print the log unchanged, with control characters and secrets")
	p.bindEnv(cmd, natsEnv)
	return cmd
}

// loggedAttempt is an attempt as `logs --json` prints it.
type loggedAttempt struct {
	ChunkIdx int    `json:"chunk_idx"`
	Attempt  int    `json:"attempt"`
	WorkerID string `json:"worker_id"` // empty: it has left no footer
	Host     string `json:"host"`
	Status   string `json:"status"` // of the attempt; empty: it has left no footer
	Error    string `json:"error"`
	// Path is the directory of the logs, or "bus".
	Path        string `json:"path"`
	StdoutBytes int64  `json:"stdout_bytes"` // -1: there is none
	StderrBytes int64  `json:"stderr_bytes"`

	files  export.AttemptLogs
	footer footer.Footer // of one on the bus
}

const onBus = "bus"

// logSources is where a run's logs are looked for.
type logSources struct {
	target layout.Run
	bus    *bus.Bus // nil: there is none
	looked []string
}

func (p Program) logs(ctx context.Context, f logsFlags, args []string) error {
	id, err := f.id(args[0])
	if err != nil {
		return err
	}
	idx := -1
	if len(args) == 2 {
		if idx, err = chunkIdx(args[1]); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, logsPatience)
	defer cancel()
	s, done, err := p.logSources(ctx, id, f.whichRun, "")
	if err != nil {
		return err
	}
	defer done()
	list, err := s.list(ctx, idx)
	if err != nil {
		fmt.Fprintf(p.Stderr, "warning: %v\n", err)
	}
	switch {
	case idx < 0 && f.asJSON:
		return p.printJSON(list)
	case len(list) == 0:
		what := "run " + string(id)
		if idx >= 0 {
			what = fmt.Sprintf("chunk %d of run %s", idx, id)
		}
		return usagef("coordinator logs "+string(id)+" --output-dir DIR", "no logs of %s: looked in %s (only --engine exec leaves logs)", what, strings.Join(s.looked, ", "))
	case idx < 0:
		return p.writeLogged(list)
	}
	return p.showLog(ctx, s, list, f)
}

// logSources finds the run's directories and its bus, if that is up. On an
// external bus the run need not have written here. Its user needs the rights of
// role; empty: none are asked for.
func (p Program) logSources(ctx context.Context, id run.ID, f whichRun, role access.Role) (*logSources, func(), error) {
	target, entry, err := f.find(id)
	if nothing := (*usageError)(nil); err != nil && !(f.connect.external() && errors.As(err, &nothing)) {
		return nil, nil, err
	}
	s := &logSources{target: target, looked: []string{target.RunDir(), target.WorkDir()}}
	switch {
	case f.connect.external():
		s.looked = append(s.looked, f.connect.given.String())
		s.bus, err = f.connect.dial(ctx, "logs", "", discard())
		if usage := (*usageError)(nil); errors.As(err, &usage) {
			return nil, nil, err
		}
		if err == nil && role != "" {
			if err := s.bus.Require(ctx, role); err != nil {
				s.bus.Close()
				return nil, nil, err
			}
		}
	case entry.Alive:
		s.looked = append(s.looked, coordinator.AccessTo(entry).String())
		s.bus, err = coordinator.ConnectTo(ctx, entry)
	default:
		s.looked, err = append(s.looked, "no reachable bus"), nil
	}
	if err != nil {
		fmt.Fprintf(p.Stderr, "warning: %v\n", err)
	}
	if s.bus == nil {
		return s, func() {}, nil
	}
	return s, s.bus.Close, nil
}

// list is all attempts with logs, or those of one chunk. With an error it is what
// could be read.
func (s *logSources) list(ctx context.Context, idx int) ([]loggedAttempt, error) {
	list := []loggedAttempt{}
	for _, a := range export.FindAttemptLogs(s.target, idx) {
		l := loggedAttempt{ChunkIdx: a.ChunkIdx, Attempt: a.Attempt, Path: a.Dir, StdoutBytes: a.Stdout, StderrBytes: a.Stderr, files: a}
		l.set(a.Footer)
		list = append(list, l)
	}
	if s.bus == nil {
		return list, nil
	}
	_, chunks, err := coordinator.ReadRun(ctx, s.bus, s.target.RunID, discard())
	if err != nil {
		return list, err
	}
	for i, c := range chunks {
		f := c.Line.Footer()
		if idx >= 0 && i != idx || !slices.ContainsFunc(f.Artifacts, func(a footer.Artifact) bool { return a.Name == layout.StderrLog || a.Name == layout.StdoutLog }) {
			continue
		}
		there := slices.ContainsFunc(list, func(l loggedAttempt) bool { return l.ChunkIdx == i && l.Attempt == int(f.Attempt) })
		if there {
			continue
		}
		list = append(list, remote(c, f))
	}
	slices.SortStableFunc(list, func(a, b loggedAttempt) int {
		if a.ChunkIdx != b.ChunkIdx {
			return a.ChunkIdx - b.ChunkIdx
		}
		return a.Attempt - b.Attempt
	})
	return list, nil
}

// remote is an attempt whose logs are on the bus.
func remote(c perf.Chunk, f footer.Footer) loggedAttempt {
	l := loggedAttempt{ChunkIdx: c.Idx, Attempt: int(f.Attempt), Path: onBus, StdoutBytes: -1, StderrBytes: -1, footer: f}
	// The status of the chunk is for a run that ends now; here it is the attempt's.
	if f.Error = c.Error; f.Status != footer.StatusOK && f.Error != "" {
		f.Status = footer.StatusFailed
	}
	l.set(f)
	for _, a := range f.Artifacts {
		switch a.Name {
		case layout.StdoutLog:
			l.StdoutBytes = a.Bytes
		case layout.StderrLog:
			l.StderrBytes = a.Bytes
		}
	}
	return l
}

func (l *loggedAttempt) set(f footer.Footer) {
	l.WorkerID, l.Host, l.Status, l.Error = f.WorkerID, f.Host, string(f.Status), f.Error
}

func (p Program) writeLogged(list []loggedAttempt) error {
	w := p.table()
	fmt.Fprintln(w, "CHUNK\tATTEMPT\tWORKER\tSTATUS\tERROR\tLOGS")
	for _, l := range list {
		text, _, _ := strings.Cut(l.Error, "; its log: ")
		text, _, _ = strings.Cut(text, "\n")
		if r := []rune(text); len(r) > maxShownError {
			text = string(r[:maxShownError]) + "…"
		}
		path := l.Path
		if path != onBus {
			path = relative(path)
		}
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\n", l.ChunkIdx, l.Attempt, dash(printable.Line(l.WorkerID)), dash(printable.Line(l.Status)), dash(printable.Line(text)), path)
	}
	return w.Flush()
}

const maxShownError = 80

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (p Program) showLog(ctx context.Context, s *logSources, list []loggedAttempt, f logsFlags) error {
	l := list[len(list)-1]
	if f.attempt != 0 {
		i := slices.IndexFunc(list, func(l loggedAttempt) bool { return l.Attempt == f.attempt })
		if i < 0 {
			var have []string
			for _, l := range list {
				have = append(have, strconv.Itoa(l.Attempt))
			}
			return usagef("", "attempt %d of chunk %d has no logs here; available: %s", f.attempt, l.ChunkIdx, strings.Join(have, ", "))
		}
		l = list[i]
	}
	name := layout.StderrLog
	if f.stdout {
		name = layout.StdoutLog
	}
	text, ok, err := s.read(ctx, l, name)
	if err != nil {
		return fmt.Errorf("reading %s of chunk %d, attempt %d: %w", name, l.ChunkIdx, l.Attempt, err)
	}
	if !ok || len(text) == 0 {
		other := "; --stdout shows its standard output"
		if f.stdout {
			other = ""
		}
		fmt.Fprintf(p.Stderr, "chunk %d, attempt %d: %s is empty%s\n", l.ChunkIdx, l.Attempt, name, other)
		return nil
	}
	if !f.raw {
		text = []byte(redact.Text(printable.Text(string(text))))
	}
	_, err = raw(p.Stdout).Write(text)
	return err
}

func (s *logSources) read(ctx context.Context, l loggedAttempt, name string) (text []byte, ok bool, err error) {
	if l.Path != onBus {
		return l.files.ReadLog(name, maxShownLog)
	}
	at := slices.IndexFunc(l.footer.Artifacts, func(a footer.Artifact) bool { return a.Name == name })
	if at < 0 {
		return nil, false, nil
	}
	if n := l.footer.Artifacts[at].Bytes; n > maxShownLog {
		return nil, false, fmt.Errorf("it has %d bytes (at most %d are shown)", n, maxShownLog)
	}
	parts, err := coordinator.Artifacts(s.bus).ReadArtifact(ctx, l.footer, at)
	return slices.Concat(parts...), err == nil, err
}

func chunkIdx(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= run.MaxChunks {
		return 0, usagef("coordinator logs RUN_ID lists them", "chunk %q (want its number, 0 to %d)", text, run.MaxChunks-1)
	}
	return n, nil
}
