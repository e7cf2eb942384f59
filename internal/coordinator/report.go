package coordinator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/embedded"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/lease"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
)

// snapshot is what an export needs, at this moment. It takes no lock.
func (s *Session) snapshot() (perf.Report, []perf.Chunk) {
	now := time.Now()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p := s.cfg.Policy
	r := perf.Report{
		RunID: s.cfg.RunID, WriterPID: os.Getpid(),
		PregateEnabled: p.Pregate.Enabled, PregateEnabledSource: string(p.Pregate.EnabledSource),
		RequestedWorkers: s.cfg.Workers, Workers: s.cfg.Workers,
		Fill:           string(p.Replay.Fill),
		Policy:         PolicyOf(p),
		PolicyValues:   s.policyValues(),
		BusUnreachable: s.lost.Load(),
		Env:            envInfo(s.cfg.Version, host, s.cfg.Engine, p.Pregate.Enabled),
		Command:        s.cfg.Command,
	}
	r.Env.QuietMode = s.cfg.Quiet
	if p.Model != nil && s.cfg.Engine == footer.EngineBuiltin {
		r.Model = perf.Model{Kind: p.Model.Kind, Latency: p.Model.Latency, Digests: modelsOf(p)}
	}
	if v := s.server.Load(); v != nil {
		r.Env.NATSServerVersion = *v
	}
	if pool := s.pool.Load(); pool != nil {
		for _, w := range pool.Status() {
			if w.PID != 0 || w.Restarts > 0 {
				r.ActualWorkersStarted++
			}
		}
	}
	b := s.board.Load()
	if b == nil {
		// Nothing is known of this session but that it began; what earlier
		// ones have left stands.
		before := s.ledger.File()
		number := 1
		if n := len(before.Report.Sessions); n > 0 {
			number = before.Report.Sessions[n-1].Session + 1
		}
		r.Stop.Seq = s.exported().Report.Stop.Seq
		r.Sessions = s.sessions(before.Report.Sessions, number, now)
		r.Wall = perf.WallOf(r.Sessions)
		return r.Inherit(before.Report), before.Chunks
	}
	chunks, t := b.snapshot()
	crew := b.crew.Load()
	r.Incarnation = b.m.Incarnation
	r.Data, r.Policy, r.Command = b.m.Data, b.m.Policy, b.m.Command
	r.Plan = perf.Plan{Order: b.m.Plan.Order, Seed: b.m.Plan.Seed}
	r.Stop.Seq = b.m.StopSeq
	r.Sessions = s.sessions(b.m.Sessions[:len(b.m.Sessions)-1], b.m.Session, now)
	r.Wall = perf.WallOf(r.Sessions)
	r.Partial = t.partial
	r.WorkersSeen, r.Hosts, r.WorkerBuilds = len(crew.workers), crew.hosts, crew.builds
	r.EngineVersion = b.m.EngineVersion
	r.Redeliveries, r.Releases, r.Failures = t.redeliveries, t.releases, t.failures
	r.FootersRefused = b.refused.Load()
	return r, chunks
}

// policyValues is what stands as policy.values in the run's file.
func (s *Session) policyValues() []byte {
	values, err := s.cfg.Policy.Values(s.cfg.Engine == footer.EngineExec)
	if err != nil { // numbers and names always have a JSON
		s.cfg.Logger.Warn("values of the policy left out of the perf JSON", "error", err)
	}
	return values
}

func envInfo(v Version, host, engine string, pregate bool) perf.EnvInfo {
	return perf.EnvInfo{
		GoVersion: runtime.Version(), ModuleVersion: v.Module, GitCommit: v.Commit,
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Host: host, Engine: engine, PregateEnabled: pregate,
	}
}

// sessions is earlier with this one, as it stands now.
func (s *Session) sessions(earlier []run.SessionTimes, number int, now time.Time) []run.SessionTimes {
	return append(slices.Clone(earlier), run.SessionTimes{
		Session: number, StartedAt: s.started.UTC(), EndedAt: now.UTC(), WallSec: now.Sub(s.started).Seconds(),
	})
}

// PolicyOf returns what the manifest of a run records of its policy.
func PolicyOf(p policy.Policy) run.Policy {
	content := sha256.Sum256(p.Content)
	return run.Policy{SHA256: p.SHA256, SHA256WithoutGate: p.SHA256WithoutGate, Name: p.Name, Content: hex.EncodeToString(content[:])}
}

// policyFiles are the files that p was read from.
func policyFiles(p policy.Policy) []run.PolicyFile {
	var list []run.PolicyFile
	for _, f := range p.Files {
		sum := sha256.Sum256(f.Content)
		list = append(list, run.PolicyFile{Path: f.Path, SHA256: hex.EncodeToString(sum[:])})
	}
	return list
}

// DataOf returns what the manifest of a run records of its data set.
func DataOf(set bars.Set) run.Data {
	n := len(set.Bars)
	stamp := func(b bars.Bar) string { return time.Unix(0, b.TimeNS).UTC().Format(time.RFC3339) }
	return run.Data{
		SHA256: bars.Digest(set.Bars), Bars: int64(n), FirstTS: stamp(set.Bars[0]), LastTS: stamp(set.Bars[n-1]),
		Source: set.Source, SpreadBps: set.SpreadBps, BarLength: bars.BarLength(set.Bars), SliceBars: dataset.SliceBars,
		BeforeBars: int64(set.Before), Read: set.Read.Form.Flags(),
	}
}

// publishFiles writes what readers find beside the perf JSON.
func (s *Session) publishFiles(exporter *export.Exporter) {
	file, ok := exporter.Last()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patienceDone/2)
	defer cancel()
	if _, err := export.WriteChunkFooters(ctx, s.target, file.Chunks, file.Report.Selection); err != nil {
		s.cfg.Logger.Warn("writing the chunks' footers failed", "error", err)
	}
	if err := exporter.WriteCopy(); err != nil {
		s.cfg.Logger.Warn("copying the perf JSON failed", "error", err)
	}
	if s.cfg.Engine == footer.EngineExec {
		s.publishAttempts(ctx, file.Chunks)
	}
}

// incarnation is the run's, as the board holds it.
func (s *Session) incarnation() run.Incarnation {
	if b := s.board.Load(); b != nil {
		return b.m.Incarnation
	}
	return s.ledger.File().Report.Incarnation
}

// stoppedShare is the part, one of so many, of what a stopped run may take
// after its last export that its logs may take: they stay where they are, too.
const stoppedShare = 4

// publishAttempts keeps what the commands' attempts have left for people.
func (s *Session) publishAttempts(ctx context.Context, chunks []perf.Chunk) {
	if s.stopping() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patienceStopped/stoppedShare)
		defer cancel()
	}
	var artifacts selection.ArtifactReader
	if b := s.bus.Load(); b != nil {
		artifacts = busArtifacts{b}
	}
	done, err := export.PublishAttempts(ctx, s.target, s.incarnation(), chunks, artifacts, s.cfg.Logger)
	if err != nil || done.Missed > 0 {
		s.cfg.Logger.Warn("some logs of commands were not stored beside the footers", "files", done.Files, "missed", done.Missed, "error", err)
	}
}

// closeRun writes the session's end into the manifest. It reports whether the
// run is complete, so that its bus can go: the manifest has `exported` before
// anything is removed.
func (s *Session) closeRun(life *Life, out export.Outcome) (complete bool) {
	complete = out.Code == 0 && out.Result.Totals.Outcome == perf.OutcomeComplete && s.tradesKnown(out)
	m := life.Manifest
	m.Sessions = slices.Clone(m.Sessions)
	now := time.Now()
	m.State = run.StateStopped
	if complete {
		m.State = run.StateExported
	}
	m.ExportSHA256, m.ExportFile, m.ExportHost = out.Result.SHA256, out.Result.Path, m.Coordinator.Host
	m.Sessions[len(m.Sessions)-1].EndedAt = now.UTC()
	m.Sessions[len(m.Sessions)-1].WallSec = now.Sub(s.started).Seconds()
	m.Coordinator.HeardAt = now.UTC()
	ctx, cancel := context.WithTimeout(context.Background(), patienceStopped/2)
	defer cancel()
	stored := life.revision != 0 // else stopped before the manifest was
	if stored {
		if out.Code != 2 {
			// A stop that was stored up to now was for this session, also one that
			// came after its last export.
			life.readStop(ctx)
			if stop := life.stop.Load(); stop != nil {
				m.StopSeq = max(m.StopSeq, stop.Seq)
			}
		}
		if err := life.write(ctx, m); err != nil {
			s.cfg.Logger.Warn("writing the epoch's end into the manifest failed", "error", err)
			return false
		}
		s.cfg.Observer.Step("manifest")
	}
	if err := life.Bus.EndBeats(ctx, m.RunID); err != nil {
		s.cfg.Logger.Warn("ending the heartbeats failed", "error", err)
	}
	if !stored {
		return false
	}
	return complete
}

// tradesKnown reports whether the export that stands has the run's trades for
// good. One that could not select them leaves the bus, so that the next start
// can.
func (s *Session) tradesKnown(out export.Outcome) bool { return out.Result.Settled }

// removeState removes the bus of a complete run, its footer backup and what
// its local workers left; the lock stays. A crash in between does not matter:
// the complete perf JSON is the first thing that the next start looks at.
func (s *Session) removeState() {
	if err := removeState(s.target, s.cfg.Observer.Step); err != nil {
		s.cfg.Logger.Warn("cleanup failed", "error", err)
	}
}

// removeState removes what a run keeps in its state directory but its lock.
// step is called before each thing that goes.
func removeState(t layout.Run, step func(string)) (err error) {
	for _, name := range append([]string{layout.BusDir, layout.ContextsDir}, embedded.KeyFiles()...) {
		step("clean " + name)
		err = errors.Join(err, os.RemoveAll(filepath.Join(t.StateDir(), name)))
	}
	step("clean " + filepath.Base(t.Backup()))
	err = errors.Join(err, export.RemoveBackup(t))
	step("clean policies")
	err = errors.Join(err, export.RemovePolicies(t))
	step("clean work")
	return errors.Join(err, os.RemoveAll(t.WorkDir()))
}

// Progress is how far a session is.
type Progress struct {
	RunID     run.ID
	Elapsed   time.Duration
	Planned   bool // there is a plan; the counts below are of it
	Chunks    int
	Done      int // chunks with an ok footer
	Failed    int // chunks without attempts left
	Running   int
	Claims    int64 // ever made in this session
	Bars      int64 // replayed so far
	BarsTotal int64
	Trades    int64
	Workers   int // local processes alive
	Stopping  bool
	// BusLost: the external bus does not answer; it is tried for as long as
	// the run lasts.
	BusLost bool
	// Of Uploads objects that hold the data set Uploaded are stored; 0 of 0:
	// nothing is being uploaded.
	Uploaded, Uploads int
}

// Progress returns how far the session is. It takes no lock.
func (s *Session) Progress() Progress {
	p := Progress{RunID: s.cfg.RunID, Elapsed: time.Since(s.started), Stopping: s.stopping(), BusLost: s.silent.Load()}
	if pool := s.pool.Load(); pool != nil {
		for _, w := range pool.Status() {
			if w.PID != 0 {
				p.Workers++
			}
		}
	}
	if up := s.upload.Load(); up != nil {
		p.Uploads = int(up.of.Load())
		p.Uploaded = min(int(up.there.Load()), p.Uploads)
	}
	b := s.board.Load()
	if b == nil {
		return p
	}
	p.Planned, p.Chunks = true, len(b.chunks)
	p.Done, p.Running, p.Claims = int(b.ok.Load()), int(b.claimed.Load()), b.claims.Load()
	p.Failed = max(int(b.ended.Load())-p.Done, 0)
	p.BarsTotal = b.m.Data.Bars
	for i := range b.chunks {
		c := b.chunks[i].Load()
		p.Bars += c.line.Bars()
		p.Trades += c.line.Trades()
	}
	return p
}

// Phases is where the workers' time went, in seconds, added over the footers
// that are authoritative for their chunks.
type Phases struct {
	Startup, Warmup, Pregate, Features, Model, Policy, IO float64
	// Rest is what a command took beyond those that it reported; 0 with the
	// built-in engine, which reports all.
	Rest float64
	// Pnl: each footer that has trades holds their sum.
	Pnl bool
}

// Phases adds up the phases so far.
func (s *Session) Phases() Phases {
	p := Phases{Pnl: true}
	b := s.board.Load()
	if b == nil {
		return p
	}
	for i := range b.chunks {
		f := b.chunks[i].Load().line.Footer()
		p.Startup += f.TStartupSec
		p.Warmup += f.TWarmupSec
		p.Pregate += f.TPregateTotalSec
		p.Features += f.TFeatureBuildSec
		p.Model += f.TModelTotalSec
		p.Policy += f.TPolicyTotalSec
		p.IO += f.TIOTotalSec
		if f.Engine == footer.EngineExec {
			p.Rest += max(0, f.WallClockSec-f.TStartupSec-f.TWarmupSec-f.TPregateTotalSec-f.TFeatureBuildSec-f.TModelTotalSec-f.TPolicyTotalSec-f.TIOTotalSec)
		}
		if f.NTradesClosed > 0 && slices.Contains(f.Unreported, "pnl_bps") {
			p.Pnl = false
		}
	}
	return p
}

// LastFailure is the error of the first chunk, in their order, that has no
// attempts left or else that failed at all; empty if none did.
func (s *Session) LastFailure() string {
	b := s.board.Load()
	if b == nil {
		return ""
	}
	text := ""
	for i := range b.chunks {
		c := b.chunks[i].Load()
		if c.rec == nil || c.line.IsOK() || c.rec.Error == "" {
			continue
		}
		what := fmt.Sprintf("chunk %d: %s", i, c.rec.Error)
		if c.rec.State == lease.StateExhausted {
			return what
		}
		if text == "" {
			text = what
		}
	}
	return text
}
