package coordinator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
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
		Wall:   now.Sub(s.started),
		Scope:  perf.ScopeChunks,
		Fill:   string(p.Replay.Fill),
		Policy: run.Policy{SHA256: p.SHA256, SHA256WithoutGate: p.SHA256WithoutGate, Name: p.Name},
		Sessions: []run.SessionTimes{{
			Session: 1, StartedAt: s.started.UTC(), EndedAt: now.UTC(), WallSec: now.Sub(s.started).Seconds(),
		}},
		BusUnreachable: s.lost.Load(),
		Env: perf.EnvInfo{
			GoVersion: runtime.Version(), ModuleVersion: s.cfg.Version.Module, GitCommit: s.cfg.Version.Commit,
			OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
			Host: host, Engine: s.cfg.Engine, PregateEnabled: p.Pregate.Enabled, QuietMode: s.cfg.Quiet,
		},
	}
	if p.Model != nil && s.cfg.Engine == footer.EngineBuiltin {
		r.Model = perf.Model{Kind: p.Model.Kind, Latency: p.Model.Latency}
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
		return r, nil
	}
	chunks, t := b.snapshot()
	crew := b.crew.Load()
	r.Data, r.Policy = b.m.Data, b.m.Policy
	r.Partial = t.partial
	r.WorkersSeen, r.Hosts = len(crew.workers), crew.hosts
	r.Redeliveries, r.Releases, r.Failures = t.redeliveries, t.releases, t.failures
	r.FootersRefused = b.refused.Load()
	return r, chunks
}

// publishFiles writes what readers find beside the perf JSON.
func (s *Session) publishFiles(exporter *export.Exporter) {
	file, ok := exporter.Last()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patienceDone/2)
	defer cancel()
	if _, err := export.WriteChunkFooters(ctx, s.target, file.Chunks); err != nil {
		s.cfg.Logger.Warn("writing the chunks' footers", "error", err)
	}
	if err := exporter.WriteCopy(); err != nil {
		s.cfg.Logger.Warn("copying the perf JSON", "error", err)
	}
}

// closeRun writes the session's end into the manifest. It reports whether the
// run is complete, so that its bus can go: the manifest says `exported` before
// anything is removed.
func (s *Session) closeRun(life *Life, out export.Outcome) (complete bool) {
	complete = out.Code == 0 && out.Result.Totals.Outcome == perf.OutcomeComplete
	m := life.Manifest
	now := time.Now()
	m.State = run.StateStopped
	if complete {
		m.State = run.StateExported
	}
	m.ExportSHA256, m.ExportFile = out.Result.SHA256, out.Result.Path
	m.Sessions[len(m.Sessions)-1].EndedAt = now.UTC()
	m.Sessions[len(m.Sessions)-1].WallSec = now.Sub(s.started).Seconds()
	if stop := life.stop.Load(); stop != nil && out.Code != 2 {
		m.StopSeq = max(m.StopSeq, stop.Seq)
	}
	if life.revision == 0 {
		return false // stopped before the manifest was stored
	}
	ctx, cancel := context.WithTimeout(context.Background(), patienceStopped/2)
	defer cancel()
	if _, err := life.Bus.StoreManifest(ctx, m, life.revision); err != nil {
		s.cfg.Logger.Warn("writing the session's end into the manifest", "error", err)
		return false
	}
	return complete
}

// removeState removes the bus of a complete run and what its local workers
// left; the lock stays.
func (s *Session) removeState() {
	for _, name := range []string{"bus", "work", "nats", "run.nk"} {
		if err := os.RemoveAll(filepath.Join(s.target.StateDir(), name)); err != nil {
			s.cfg.Logger.Warn("cleaning up", "error", err)
		}
	}
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
}

// Progress returns how far the session is. It takes no lock.
func (s *Session) Progress() Progress {
	p := Progress{RunID: s.cfg.RunID, Elapsed: time.Since(s.started), Stopping: s.stopping.Load()}
	if pool := s.pool.Load(); pool != nil {
		for _, w := range pool.Status() {
			if w.PID != 0 {
				p.Workers++
			}
		}
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
// that speak for their chunks.
type Phases struct {
	Startup, Warmup, Pregate, Features, Model, Policy, IO float64
}

// Phases adds up the phases so far.
func (s *Session) Phases() Phases {
	var p Phases
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
