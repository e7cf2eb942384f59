package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gx1replay/internal/audit"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/execcheck"
	"gx1replay/internal/execengine"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
	"gx1replay/internal/trade"
)

type execAudit struct {
	a     *auditing
	e     *execution
	keep  bool
	kept  []selection.ArtifactReader // where recorded rows may still be
	own   func() map[int][]byte
	times []int64
}

func newExecAudit(a *auditing, e *execution, keep bool) *execAudit {
	x := &execAudit{a: a, e: e, keep: keep, kept: []selection.ArtifactReader{export.AttemptFiles{Roots: []string{a.found.target.WorkDir()}}}}
	if a.found.bus != nil {
		x.kept = append(x.kept, coordinator.Artifacts(a.found.bus))
	}
	x.own = sync.OnceValue(func() map[int][]byte { return selection.CutTrades(a.found.target, a.found.chunks) })
	for _, b := range a.set.Bars {
		x.times = append(x.times, b.TimeNS)
	}
	// The whole data set is written once, whichever slot asks first.
	var mu sync.Mutex
	write := e.dataFile
	e.dataFile = func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		return write(ctx)
	}
	return x
}

func (x *execAudit) replay(ctx context.Context, slot int, c run.Chunk, was footer.Footer) ([]audit.Difference, error) {
	dir := filepath.Join(x.a.dir, fmt.Sprintf("chunk_%d", c.Idx))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory for the command: %w", err)
	}
	res, err := x.e.engine.Replay(ctx, x.e.job(c, was, slot, dir), nil)
	if err == nil && res.Unkept != nil {
		err = res.Unkept
	}
	var diffs []audit.Difference
	if err == nil {
		now := res.Footer // the plan is the worker's to fill in
		now.Engine, now.FirstBar, now.EndBar, now.PlannedBars = footer.EngineExec, c.Bars.First, c.Bars.End, c.Bars.Len()
		diffs = append(audit.Compare(was, now), x.artifacts(ctx, c, was, res)...)
	}
	if !x.keep {
		if errRemove := os.RemoveAll(dir); errRemove != nil && err == nil {
			err = fmt.Errorf("removing the command's output: %w", errRemove)
		}
	}
	return diffs, err
}

// artifacts compares trades and signals by digest and, where that differs, row by
// row.
func (x *execAudit) artifacts(ctx context.Context, c run.Chunk, was footer.Footer, res execengine.Result) (diffs []audit.Difference) {
	var listed []footer.Artifact
	for _, l := range res.Artifacts {
		listed = append(listed, l.Artifact)
	}
	for _, name := range []string{trade.ArtifactName, trade.OwnTradesName} {
		byDigest := audit.Artifact(name, was.Artifacts, listed)
		if len(byDigest) == 0 {
			continue
		}
		rows, err := x.rows(ctx, name, c, was, res)
		if err != nil {
			x.a.noteOnce("%s was compared by its digest alone: %v", name, err)
			diffs = append(diffs, byDigest...)
			continue
		}
		for _, r := range rows {
			diffs = append(diffs, audit.Difference{Field: name, Recorded: orNothing(r.Recorded), Replayed: orNothing(r.Replayed)})
		}
	}
	return diffs
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

func (x *execAudit) rows(ctx context.Context, name string, c run.Chunk, was footer.Footer, res execengine.Result) ([]execcheck.RowDifference, error) {
	recorded, wasListed, err := x.recorded(ctx, name, was)
	if err != nil {
		return nil, err
	}
	var replayed [][]byte
	var isListed footer.Artifact
	for _, l := range res.Artifacts {
		if l.Name == name {
			replayed, isListed = l.Content, l.Artifact
		}
	}
	chunk := execcheck.Chunk{Bars: c.Bars, Times: x.times, Ignore: x.a.f.ignore, Tolerance: execcheck.DefaultTolerance}
	if name == trade.OwnTradesName {
		return chunk.Trades(slices.Concat(recorded...), slices.Concat(replayed...))
	}
	before, err := decodeSignals(wasListed, recorded)
	if err != nil {
		return nil, err
	}
	now, err := decodeSignals(isListed, replayed)
	if err != nil {
		return nil, err
	}
	return chunk.Signals(before, now)
}

// decodeSignals returns none if nothing is listed.
func decodeSignals(listed footer.Artifact, parts [][]byte) ([]trade.Signal, error) {
	if listed.Name == "" {
		return nil, nil
	}
	return trade.DecodeSignals(listed, parts)
}

// recorded finds the content of a recorded artifact by its digest; nil if none is
// listed.
func (x *execAudit) recorded(ctx context.Context, name string, was footer.Footer) ([][]byte, footer.Artifact, error) {
	at := slices.IndexFunc(was.Artifacts, func(l footer.Artifact) bool { return l.Name == name })
	if at < 0 {
		return nil, footer.Artifact{}, nil
	}
	listed := was.Artifacts[at]
	found := func(parts [][]byte) bool { return sha256Hex(slices.Concat(parts...)) == listed.SHA256 }
	err := errNotKept
	for _, k := range x.kept {
		parts, errKept := k.ReadArtifact(ctx, was, at)
		if errKept == nil && found(parts) {
			return parts, listed, nil
		}
		if errKept != nil && !errors.Is(errKept, os.ErrNotExist) {
			err = errKept
		}
	}
	if name == trade.OwnTradesName {
		if b, ok := x.own()[int(was.ChunkIdx)]; ok && found([][]byte{b}) {
			return [][]byte{b}, listed, nil
		}
	}
	return nil, listed, err
}
