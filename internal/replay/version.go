package replay

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// Version is the version of the engine's results. It is raised when the trades,
// counters or decisions of any input may be others than before. New runs have it.
//
// The golden digests of test/cuts are kept by version, so a change of results
// that forgets to raise it is a red test.
//
// 2: entry.max_gap of bars of a day and longer is five days by default; the
// weights of DART's trees are read wherever XGBoost writes them, and its base
// scores clamped where the file's version does so.
const Version = 2

// Serves reports whether this program replays as engine version v does, so that
// runs that an earlier release began are resumed. 0 is a release of before
// versions were counted.
func Serves(v int) bool { return run.EngineOf(v) <= Version }

// ForVersion is p as engine version v understands it on bars of that length. The
// error says why this program does not replay p as that version did.
func ForVersion(v int, p policy.Policy, barLength time.Duration) (policy.Policy, error) {
	switch {
	case !Serves(v):
		return p, fmt.Errorf("the run's engine has version %d (this release has versions 1 to %d)", run.EngineOf(v), Version)
	case run.EngineOf(v) == Version:
		return p, nil
	}
	if p.Entry.MaxGap == 0 {
		p.Entry.MaxGap = maxGapBars1 * barLength
	}
	xgboost := p.Model != nil && p.Model.Kind == policy.KindXGBoost
	for _, name := range slices.Sorted(maps.Keys(p.ModelFiles)) { // the first error is the same each time
		file := p.ModelFiles[name]
		if xgboost {
			if base := model.ClampedBase(file.Content); base != "" {
				return p, fmt.Errorf("model file %s has base_score %s, which its version of XGBoost clamps and engine version 1 did not: resume the run with the release that began it", name, base)
			}
		}
		if bytes.Contains(file.Content, []byte("weight_drop")) {
			return p, fmt.Errorf("model file %s has weights of trees (weight_drop), which engine version 1 did not always read: resume the run with the release that began it", name)
		}
	}
	return p, nil
}

// maxGapBars1 is version 1's default of entry.max_gap, in bars of any length.
const maxGapBars1 = 2
