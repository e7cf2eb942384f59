package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/execengine"
	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// foundRun is a run as its bus has it, if that is up, else as its files do.
type foundRun struct {
	target layout.Run
	m      run.Manifest
	chunks []perf.Chunk
	bus    *bus.Bus    // nil: it is not up
	from   string      // where this is from
	path   string      // the file that it is from; empty: the bus
	values []byte      // policy.values, if it is from a file that has them
	totals perf.Totals // of a file; zero: count them
	// perf is the path of the run's perf JSON; empty: the target's.
	perf string
	// elsewhere is where the perf JSON of a complete run is whose footers are
	// cleaned, if it is not here. There are no chunks then.
	elsewhere *coordinator.Exported
}

// findManifest finds a run. The user of an external bus needs the rights of role;
// empty: none are asked for.
func (p Program) findManifest(ctx context.Context, id run.ID, f whichRun, role access.Role) (*foundRun, func(), error) {
	s, done, err := p.logSources(ctx, id, f, role)
	if err != nil {
		return nil, nil, err
	}
	found := &foundRun{target: s.target, bus: s.bus}
	if s.bus != nil {
		asked, cancel := context.WithTimeout(ctx, logsPatience)
		defer cancel()
		m, chunks, err := coordinator.ReadRun(asked, s.bus, id, discard())
		if err == nil {
			found.m, found.chunks, found.from = m, chunks, "the run as its bus has it"
			return found, done, nil
		}
		if e := (*coordinator.Exported)(nil); errors.As(err, &e) {
			found.m, found.from = m, "the run as its bus has it"
			found.findExport(e)
			return found, done, nil
		}
		if !errors.Is(err, bus.ErrNoRun) {
			fmt.Fprintf(p.Stderr, "warning: %v\n", err)
		}
	}
	known, path, err := readFiles(ctx, s.target)
	if err != nil {
		done()
		return nil, nil, err
	}
	found.fromFile(known)
	found.path = path
	found.from = "the run as " + relative(path) + " has it"
	return found, done, nil
}

// findExport looks for the perf JSON of a complete run in the named directory and
// where it was exported to.
func (r *foundRun) findExport(e *coordinator.Exported) {
	for _, path := range []string{r.target.Perf(), e.File} {
		if !filepath.IsAbs(path) {
			continue
		}
		f, _, there, err := ledger.ReadFile(path, r.m.RunID)
		if err == nil && there && f.Report.Incarnation == r.m.Incarnation && f.Totals.Outcome == perf.OutcomeComplete {
			r.perf, r.chunks, r.values = path, f.Chunks, f.Report.PolicyValues
			return
		}
	}
	r.elsewhere = e
}

// readFiles reads what the files on this host hold of a run: its perf file, its
// footer backup and its local workers' footers. path is the file that it began
// with. A damaged perf file is an error: which of its numbers would be used?
func readFiles(ctx context.Context, t layout.Run) (f perf.File, path string, err error) {
	l := ledger.New(t.RunID)
	if err := l.AddFile(ledger.PerfFile, t.Perf()); err != nil {
		return f, "", err
	}
	path = t.Perf()
	if _, there := l.Of(ledger.PerfFile); !there {
		path = t.Backup()
	}
	if err := l.AddFile(ledger.Backup, t.Backup()); err != nil && path == t.Backup() {
		return f, "", err
	}
	if !l.Known() {
		return f, "", usagef("--output-dir DIR: the output directory of the run", "run %s has neither %s nor %s", t.RunID, t.Perf(), t.Backup())
	}
	if _, err := os.Stat(t.WorkDir()); err == nil {
		if err := l.AddFooters(ctx, []string{t.WorkDir()}); err != nil {
			return f, "", err
		}
	}
	return l.File(), path, nil
}

func (r *foundRun) fromFile(f perf.File) {
	report := f.Report
	r.chunks, r.values, r.totals = f.Chunks, report.PolicyValues, f.Totals
	r.m = run.Manifest{
		RunID: r.target.RunID, Incarnation: report.Incarnation, EngineVersion: report.EngineVersion, Data: report.Data, Policy: report.Policy, PregateEnabled: report.PregateEnabled,
		Engine: report.Env.Engine, Sessions: report.Sessions, Command: report.Command, Models: report.Model.Digests,
		Plan: run.Plan{Bars: report.Data.Bars, Chunks: len(f.Chunks), Order: run.OrderTime},
	}
}

func (r *foundRun) chunk(idx int) run.Chunk {
	first := int64(0)
	for _, c := range r.chunks[:idx] {
		first += c.Planned
	}
	return run.Chunk{Idx: idx, Bars: run.BarRange{First: first, End: first + r.chunks[idx].Planned}}
}

func (r *foundRun) policy(ctx context.Context) ([]byte, error) {
	content, err := export.FindPolicy(r.target, r.m.Policy)
	if err == nil || r.bus == nil {
		return content, err
	}
	return r.object(ctx, bus.PolicyObject(r.m), r.m.Policy.Content, policy.MaxBytes)
}

func (r *foundRun) fetchFile(ctx context.Context, f run.CommandFile, dir string) (string, error) {
	if r.bus == nil {
		return "", errors.New("it is not found by its digest, and the run's bus is not up")
	}
	content, err := r.object(ctx, run.FileObject(f.SHA256), f.SHA256, execengine.MaxShipped)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, f.SHA256, f.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o600)
}

func (r *foundRun) object(ctx context.Context, name, sha string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, logsPatience)
	defer cancel()
	content, err := r.bus.GetObject(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	if sum := sha256Hex(content); sum != sha {
		return nil, fmt.Errorf("object %s has content with SHA-256 %s (want %s)", name, sum, sha)
	}
	return content, nil
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
