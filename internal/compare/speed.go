package compare

import (
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/judge"
)

// alpha is what an interval leaves out: each is one of 95 %.
const alpha = 0.05

// Phase names what a part of a replay's time was spent on.
type Phase struct {
	name string
	// fields are those that must be measured: the time, and what is counted.
	fields []string
	sec    func(*footer.Footer) float64
	count  func(*footer.Footer) int64
	common func(c judge.Counters, bars int64) int64
}

func ofBars(_ judge.Counters, bars int64) int64 { return bars }
func barsOf(f *footer.Footer) int64             { return f.BarsProcessed }

// phases of a replay, each with the count that its time is in proportion to.
// What a command does not report is in the rest.
func phases() []Phase {
	return []Phase{
		{"model", []string{"t_model_total_sec", "n_model_calls"},
			func(f *footer.Footer) float64 { return f.TModelTotalSec }, func(f *footer.Footer) int64 { return f.NModelCalls },
			func(c judge.Counters, _ int64) int64 { return c.Calls }},
		{"features", []string{"t_feature_build_total_sec", "t_feature_upkeep_sec", "n_features_built"},
			func(f *footer.Footer) float64 { return f.TFeatureBuildSec - f.TFeatureUpkeepSec }, func(f *footer.Footer) int64 { return f.NFeaturesBuilt },
			func(c judge.Counters, _ int64) int64 { return c.Features }},
		{"upkeep of features", []string{"t_feature_upkeep_sec"}, func(f *footer.Footer) float64 { return f.TFeatureUpkeepSec }, barsOf, ofBars},
		{"pregate", []string{"t_pregate_total_sec"}, func(f *footer.Footer) float64 { return f.TPregateTotalSec }, barsOf, ofBars},
		{"policy", []string{"t_policy_total_sec"}, func(f *footer.Footer) float64 { return f.TPolicyTotalSec }, barsOf, ofBars},
		{"io", []string{"t_io_total_sec"}, func(f *footer.Footer) float64 { return f.TIOTotalSec }, barsOf, ofBars},
	}
}

// rest is the phase of all time that no other phase has.
const rest = "rest"

// measured are the phases that every footer of the pieces reports.
func measured(footers []*footer.Footer) []Phase {
	return slices.DeleteFunc(phases(), func(p Phase) bool {
		return slices.ContainsFunc(footers, func(f *footer.Footer) bool {
			if f.Engine == footer.EngineBuiltin && f.Slots == 0 {
				return true // of a version that did not count all of it
			}
			return slices.ContainsFunc(p.fields, func(name string) bool {
				return slices.Contains(f.Unreported, name) || slices.Contains(f.NonfiniteFields, name)
			})
		})
	})
}

// timings are the usable pieces of two runs, with the names of their phases: none
// where counts at the cuts are not known, or no phase but the rest is reported.
func timings(a, b *Run, cover judge.Cover) (list []judge.Timing, names []string) {
	type piece struct {
		judge.Piece
		footers [2]footer.Footer
	}
	var pieces []piece
	var all []*footer.Footer
	counted := true
	for _, p := range cover.Pieces {
		if p.Apart != "" {
			continue
		}
		counted = counted && !p.TimesOnly
		x := piece{Piece: p}
		for k, r := range []*Run{a, b} {
			c, _ := chunkAt(&r.File, p.Common.First)
			x.footers[k] = c.Line.Footer()
		}
		pieces = append(pieces, x)
	}
	for i := range pieces {
		all = append(all, &pieces[i].footers[0], &pieces[i].footers[1])
	}
	reported := measured(all)
	if !counted || !slices.ContainsFunc(reported, func(p Phase) bool { return p.name == "model" || p.name == "features" }) {
		reported = nil
	}
	for i := range pieces {
		p := &pieces[i]
		list = append(list, judge.Timing{A: sideOf(p.Piece, 0, &p.footers[0], reported), B: sideOf(p.Piece, 1, &p.footers[1], reported)})
	}
	for _, p := range reported {
		names = append(names, p.name)
	}
	if len(names) > 0 {
		names = append(names, rest)
	}
	return list, names
}

// sideOf is run k's part of a piece.
func sideOf(p judge.Piece, k int, f *footer.Footer, reported []Phase) judge.Side {
	bars := p.Bars.Len()
	s := judge.Side{Seconds: float64(p.Counters[k].WallNS) / 1e9}
	if len(reported) == 0 {
		return s
	}
	left := f.WallClockSec - f.TStartupSec - f.TWarmupSec
	for _, ph := range reported {
		sec := max(ph.sec(f), 0)
		left -= sec
		s.Phases = append(s.Phases, judge.Phase{Seconds: sec, Count: float64(ph.count(f)), Common: float64(ph.common(p.Counters[k], bars))})
	}
	s.Phases = append(s.Phases, judge.Phase{Seconds: max(left, 0), Count: float64(f.BarsProcessed), Common: float64(bars)})
	return s
}
