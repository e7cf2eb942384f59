package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"math/big"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/internal/audit"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/run"
)

// findAudited finds the run that arg names by its id or by a perf JSON. A file
// that contradicts itself is not audited: which of its numbers would be?
func (p Program) findAudited(ctx context.Context, f auditFlags, arg string) (*foundRun, func(), error) {
	id, err := run.ParseID(arg)
	if err != nil {
		if !strings.HasSuffix(arg, ".json") {
			return nil, nil, usagef("coordinator audit pilot_on", "RUN is %.80q (want a run id or the path of a perf JSON)", arg)
		}
		return p.findAuditedFile(ctx, f, arg)
	}
	if f.connect.external() { // its files may be on another host
		found, done, err := p.findOnBus(ctx, f, id)
		exported := (*coordinator.Exported)(nil)
		if err == nil || !errors.Is(err, bus.ErrNoRun) && !errors.As(err, &exported) {
			return found, done, err
		}
	}
	found, done, err := p.findManifest(ctx, id, f.whichRun, "")
	if err == nil && found.elsewhere != nil {
		done()
		return nil, nil, found.elsewhere
	}
	if err == nil && found.path != "" {
		if _, err = parsePerf(found.path); err != nil {
			done()
			err = fmt.Errorf("%s: %w", relative(found.path), err)
		}
	}
	return found, done, err
}

func (p Program) findAuditedFile(ctx context.Context, f auditFlags, path string) (*foundRun, func(), error) {
	file, err := parsePerf(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", relative(path), err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	found := &foundRun{target: layout.Run{Dir: dir, RunID: file.Report.RunID}}
	found.fromFile(file)
	found.path, found.from = path, "the run as "+relative(path)+" has it"
	if !f.connect.external() {
		return found, func() {}, nil
	}
	found.bus, err = f.connect.dial(ctx, "audit", "", discard())
	if err != nil {
		return nil, nil, err
	}
	return found, found.bus.Close, nil
}

func (p Program) findOnBus(ctx context.Context, f auditFlags, id run.ID) (*foundRun, func(), error) {
	b, err := f.connect.dial(ctx, "audit", "", discard())
	if err != nil {
		return nil, nil, err
	}
	asked, cancel := context.WithTimeout(ctx, logsPatience)
	defer cancel()
	m, chunks, err := coordinator.ReadRun(asked, b, id, discard())
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	dir, err := filepath.Abs(cmp.Or(f.outputDir, defaultOutputDir))
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return &foundRun{target: layout.Run{Dir: dir, RunID: id}, m: m, chunks: chunks, bus: b, from: "the run as its bus has it"}, b.Close, nil
}

// choose draws the sample.
func (a *auditing) choose() error {
	m := a.found.m
	if m.Data.SHA256 == "" || len(a.found.chunks) == 0 {
		return fmt.Errorf("run %s: its file names no data set and no plan, so no chunk can be replayed", m.RunID)
	}
	if m.Engine != footer.EngineBuiltin && m.Engine != footer.EngineExec {
		return fmt.Errorf("run %s has the engine %.40q (expected %s or %s)", m.RunID, m.Engine, footer.EngineBuiltin, footer.EngineExec)
	}
	for i, c := range a.found.chunks {
		if !c.Line.IsOK() {
			a.notOK++
			continue
		}
		a.ok++
		w := c.Line.Footer()
		if len(a.f.workers) > 0 && !slices.Contains(a.f.workers, w.WorkerID) || len(a.f.hosts) > 0 && !slices.Contains(a.f.hosts, w.Host) {
			continue
		}
		a.eligible = append(a.eligible, i)
	}
	switch {
	case a.ok == 0:
		return fmt.Errorf("run %s: none of its %s is ok, so none can be audited", m.RunID, counted(len(a.found.chunks), "chunk"))
	case len(a.eligible) == 0:
		return fmt.Errorf("run %s: none of its %s was reported by the workers or hosts that were named", m.RunID, counted(a.ok, "ok chunk"))
	}
	n := a.f.chunks
	if a.f.fraction > 0 {
		n = max(1, int(math.Ceil(a.f.fraction*float64(len(a.eligible)))))
	}
	if !a.f.seeded {
		seed, err := rand.Int(rand.Reader, big.NewInt(1<<48)) // short enough to type, and exact in every JSON reader
		if err != nil {
			return fmt.Errorf("drawing a seed: %w", err)
		}
		a.f.seed = seed.Uint64()
	}
	a.sample = audit.Sample(a.eligible, n, a.f.seed)
	first, next := int64(0), 0
	for i, c := range a.found.chunks {
		if next < len(a.sample) && a.sample[next] == i {
			a.places = append(a.places, run.Chunk{Idx: i, Bars: run.BarRange{First: first, End: first + c.Planned}})
			next++
		}
		first += c.Planned
	}
	return nil
}
