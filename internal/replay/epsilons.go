package replay

import (
	"fmt"
	"slices"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
)

const (
	// smallEpsilon is the share of the usual bar's range up to which a feature's
	// epsilon is not worth a word.
	smallEpsilon = 0.01
	// rangeSample bounds the bars whose ranges are looked at.
	rangeSample = 1 << 16
)

// EpsilonFindings warns of features whose epsilon is no small part of the usual
// bar's range, so that they are not what they are at larger prices.
func EpsilonFindings(features []string, list []bars.Bar) []Finding {
	var out []Finding
	usual := -1.0
	for _, info := range feature.Known() {
		if info.Epsilon == 0 || !slices.Contains(features, info.Name) || len(list) == 0 {
			continue
		}
		if usual < 0 {
			usual = usualRange(list)
		}
		if share := info.Epsilon / usual; share > smallEpsilon { // +Inf where bars have no range
			out = append(out, warn("%s adds %g to a range of prices, which is %s of the usual bar's range, %.3g: it is not what it is at larger prices (all formulas keep these numbers, since models were trained on them)",
				info.Name, info.Epsilon, percentOf(share), usual))
		}
	}
	return out
}

func percentOf(share float64) string {
	if share > 1e6 {
		return "far more than all"
	}
	return fmt.Sprintf("%.3g %%", 100*share)
}

// usualRange is the median of the bars' ranges, of mid prices: of a sample that
// is spread evenly if they are many.
func usualRange(list []bars.Bar) float64 {
	step := (len(list)-1)/rangeSample + 1
	ranges := make([]float64, 0, len(list)/step+1)
	for i := 0; i < len(list); i += step {
		ranges = append(ranges, list[i].MidHigh()-list[i].MidLow())
	}
	slices.Sort(ranges)
	return ranges[len(ranges)/2]
}
