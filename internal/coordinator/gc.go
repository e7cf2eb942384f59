package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// GCConfig selects what to clean.
type GCConfig struct {
	OutputDir string
	// Runs are cleaned whatever their outcome: what they have measured stands
	// in their perf JSON, and what is not there is gone. Empty: only what
	// complete runs have left goes.
	Runs     []run.ID
	Bus      *bus.Bus          // nil: there is no bus beside the embedded ones
	Registry *process.Registry // nil: there is none
	DryRun   bool
	Logger   *slog.Logger
}

// Garbage is what a run has left, and what became of it.
type Garbage struct {
	RunID   run.ID `json:"run_id"`
	Where   string `json:"where"` // a directory, or "bus"
	Bytes   int64  `json:"bytes"` // 0 where it is not known
	Outcome string `json:"outcome"`
	Removed bool   `json:"removed"`
	Why     string `json:"why"` // why it stays, or goes
}

// GC removes what runs have left and no run needs. It returns what it found,
// also beside an error.
func GC(ctx context.Context, cfg GCConfig) ([]Garbage, error) {
	named := map[run.ID]bool{}
	for _, id := range cfg.Runs {
		named[id] = true
	}
	list, err := gcFiles(ctx, cfg, named)
	if err != nil {
		return list, err
	}
	if cfg.Bus != nil {
		more, err := gcBus(ctx, cfg, named)
		list = append(list, more...)
		if err != nil {
			return list, err
		}
	}
	return list, gcRegister(cfg)
}

// gcFiles removes state directories.
func gcFiles(ctx context.Context, cfg GCConfig, named map[run.ID]bool) ([]Garbage, error) {
	var list []Garbage
	entries, err := os.ReadDir(layout.Run{Dir: cfg.OutputDir}.StatesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing what runs have left: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return list, err
		}
		id, err := run.ParseID(e.Name())
		if err != nil || !e.IsDir() || len(named) > 0 && !named[id] {
			continue
		}
		g, err := gcState(layout.Run{Dir: cfg.OutputDir, RunID: id}, named[id], cfg)
		if g != nil {
			list = append(list, *g)
		}
		if err != nil {
			return list, err
		}
	}
	return list, nil
}

func gcState(t layout.Run, named bool, cfg GCConfig) (*Garbage, error) {
	g := &Garbage{RunID: t.RunID, Where: t.StateDir()}
	lock, err := export.TryAcquire(t, export.RoleExport)
	if held := (*export.HeldError)(nil); errors.As(err, &held) {
		g.Why = "it is active"
		return g, nil
	}
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if clean(t) && !named {
		return nil, nil
	}
	g.Bytes = DirBytes(t.StateDir())
	complete := false
	exporter, err := export.Open(lock, t, export.Config{})
	switch {
	case err != nil:
		g.Outcome, g.Why = "unknown", err.Error()
	default:
		file, ok := exporter.Last()
		g.Outcome = "never exported"
		if ok {
			g.Outcome = string(file.Totals.Outcome)
		}
		complete = ok && file.Totals.Outcome == perf.OutcomeComplete
	}
	switch {
	case complete:
		g.Removed, g.Why = true, "the run is complete"
	case named:
		g.Removed, g.Why = true, "it was named"
	case g.Why == "":
		g.Why = "it can be resumed; name it to remove it"
	}
	if !g.Removed || cfg.DryRun {
		return g, nil
	}
	// The lock's file goes last: a crash in between leaves less to clean.
	if err := removeState(t, func(string) {}); err != nil {
		return g, fmt.Errorf("removing what run %s has left: %w", t.RunID, err)
	}
	if err := os.RemoveAll(t.StateDir()); err != nil {
		return g, fmt.Errorf("removing what run %s has left: %w", t.RunID, err)
	}
	return g, nil
}

// clean reports whether a run keeps nothing but its lock.
func clean(t layout.Run) bool {
	entries, err := os.ReadDir(t.StateDir())
	if err != nil {
		return false
	}
	for _, e := range entries {
		if e.Name() != layout.LockFile {
			return false
		}
	}
	return true
}

// gcBus removes runs from the bus: complete ones, by their manifest, and
// named ones. Objects that no other run uses go with them.
func gcBus(ctx context.Context, cfg GCConfig, named map[run.ID]bool) ([]Garbage, error) {
	all, err := cfg.Bus.Manifests(ctx)
	if err != nil {
		return nil, err
	}
	var list []Garbage
	var gone, kept []run.Manifest
	for _, m := range all {
		if len(named) > 0 && !named[m.RunID] {
			kept = append(kept, m.Manifest)
			continue
		}
		g := Garbage{RunID: m.RunID, Where: "bus", Outcome: string(m.State)}
		lives := false
		if named[m.RunID] && m.State != run.StateExported {
			if lives, err = Alive(ctx, cfg.Bus, m.Manifest, func(d time.Duration) {
				cfg.Logger.Warn("watching the heartbeat of the run's coordinator", "run_id", m.RunID, "host", m.Coordinator.Host, "for", d)
			}); err != nil {
				return list, err
			}
		}
		switch {
		case m.State == run.StateExported:
			g.Removed, g.Why = true, "the run is complete"
		case lives:
			g.Why = "it is active"
		case named[m.RunID]:
			g.Removed, g.Why = true, "it was named"
		default:
			g.Why = "it can be resumed; name it to remove it"
		}
		list = append(list, g)
		if g.Removed {
			gone = append(gone, m.Manifest)
		} else {
			kept = append(kept, m.Manifest)
		}
	}
	if cfg.DryRun {
		return list, nil
	}
	for _, m := range gone {
		if err := cfg.Bus.Clean(ctx, m.RunID); err != nil {
			return list, err
		}
		if err := dropObjects(ctx, cfg.Bus, m, kept); err != nil {
			return list, err
		}
		if err := cfg.Bus.Forget(ctx, m.RunID); err != nil {
			return list, err
		}
	}
	return list, nil
}

// dropObjects removes the data set, the policy and the other objects of m that
// none of others uses.
func dropObjects(ctx context.Context, b *bus.Bus, m run.Manifest, others []run.Manifest) error {
	used := map[string]bool{}
	var data, extra []string
	for _, o := range others {
		for _, name := range objectsOf(o) {
			used[name] = true
		}
		data, extra = append(data, o.Data.SHA256), append(extra, o.Data.Extra)
	}
	for _, name := range objectsOf(m) {
		if used[name] {
			continue
		}
		if err := b.DeleteObject(ctx, name); err != nil {
			return err
		}
	}
	if err := dataset.RemoveExtra(ctx, b, m.Data.Extra, extra); err != nil {
		return err
	}
	return dataset.Remove(ctx, b, m.Data.SHA256, data)
}

// objectsOf names the objects of a run besides its data set.
func objectsOf(m run.Manifest) []string {
	names := []string{bus.PolicyObject(m)}
	if m.FeatureStates != "" {
		names = append(names, m.FeatureStates)
	}
	for _, sha := range m.Models {
		names = append(names, run.ModelObject(sha))
	}
	for _, f := range m.Policy.Files {
		names = append(names, run.FileObject(f.SHA256))
	}
	for _, f := range m.Command.Files {
		names = append(names, run.FileObject(f.SHA256))
	}
	return names
}

// gcRegister takes dead runs out of the register that have left nothing.
func gcRegister(cfg GCConfig) error {
	if cfg.Registry == nil || cfg.DryRun {
		return nil
	}
	entries, _ := cfg.Registry.List()
	for _, e := range entries {
		if e.Alive {
			continue
		}
		state := layout.Run{Dir: e.OutputDir, RunID: e.RunID}.StateDir()
		if _, err := os.Stat(state); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := cfg.Registry.Remove(e.RunID, e.PID); err != nil {
			return err
		}
	}
	return nil
}

// DirBytes adds up the files below dir; what cannot be read counts as
// nothing.
func DirBytes(dir string) int64 {
	sum := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
