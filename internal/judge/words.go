package judge

import (
	"fmt"
	"math"
	"slices"
)

// Word is what may be said of a quantity.
type Word string

const (
	Faster       Word = "faster"                 // the whole interval of a ratio is above 1
	Slower       Word = "slower"                 // it is below 1
	Higher       Word = "higher"                 // the whole interval of a difference is above 0
	Lower        Word = "lower"                  // it is below 0
	Equivalent   Word = "equivalent within ±3 %" // it lies within [1/1.03, 1.03]; Faster or Slower may hold, too
	NoDifference Word = "no difference shown"    // none of these
	CannotSay    Word = "cannot say"             // there is no interval, for a Reason
	Identical    Word = "identical"              // an exact quantity is equal in both
	Differs      Word = "differs"                // it is not
)

// EquivalentWithin is the greatest ratio that counts as equivalent.
const EquivalentWithin = 1.03

// Reason says why there is no interval, as it is printed. The empty one: there is.
type Reason string

const (
	PhasesMoved     Reason = "phases moved apart"
	NotInterleaved  Reason = "not interleaved"
	NoPhases        Reason = "no phases reported; use ab"
	NoTime          Reason = "no time was measured"
	ControlMoved    Reason = "control moved"
	FewCarry        Reason = "closed: a few chunks carry the total"
	FewDays         Reason = "fewer than 60 common days"
	FewDifferences  Reason = "fewer than 50 days differ"
	FewRuns         Reason = "fewer than 3 runs on a side"
	FewChunks       Reason = "a run of fewer than 200 chunks"
	NothingSeen     Reason = "no event so far"
	NotEnoughChunks Reason = "too few chunks so far"
	NotFinite       Reason = "a value is out of range"
)

// fewPieces is the reason for fewer than minPieces pieces.
func fewPieces(n int) Reason {
	return Reason(fmt.Sprintf("%d %s; run both with --chunks 8 or more", n, plural(n, "piece")))
}

// fewPairs is the reason for fewer than want pairs.
func fewPairs(n, want int) Reason {
	return Reason(fmt.Sprintf("%d of %d pairs", n, want))
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// Interval is an estimate with its confidence interval, each rounded to six
// significant digits. A ratio is above 0; a difference has the unit of its values.
type Interval struct {
	Estimate, Low, High float64
}

// ratio is the interval of a ratio, from logarithms.
func ratio(estimate, low, high float64) Interval {
	return Interval{Round(exp(estimate)), Round(exp(low)), Round(exp(high))}
}

// finite reports whether i has no NaN and no infinity.
func (i Interval) finite() bool { return finite(i.Estimate, i.Low, i.High) }

func finite(list ...float64) bool {
	return !slices.ContainsFunc(list, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// Verdict is what may be said of one quantity.
type Verdict struct {
	Words    []Word  // never empty; Faster or Slower, and Equivalent, may both hold
	Reason   Reason  // of CannotSay
	Smallest float64 // of NoDifference: the smallest ratio above 1, or difference, that would have been shown in 80 % of cases; 0: unknown
}

// Says reports whether w holds.
func (v Verdict) Says(w Word) bool { return slices.Contains(v.Words, w) }

// String is the verdict in words: "faster, by less than 3 %".
func (v Verdict) String() string {
	first := v.Words[0]
	switch {
	case first == CannotSay && v.Reason != "":
		return fmt.Sprintf("%s (%s)", first, v.Reason)
	case len(v.Words) > 1:
		return string(first) + ", by less than 3 %"
	}
	return string(first)
}

// JudgeRatio judges the interval of a speed-up: above 1 is faster. If reason is not
// empty, or a value is not finite, the verdict is CannotSay. smallest is kept for
// NoDifference.
func JudgeRatio(i Interval, reason Reason, smallest float64) Verdict {
	if reason == "" && !(i.finite() && i.Low > 0) {
		reason = NotFinite
	}
	if reason != "" {
		return Verdict{Words: []Word{CannotSay}, Reason: reason}
	}
	var v Verdict
	switch {
	case i.Low > 1:
		v.Words = append(v.Words, Faster)
	case i.High < 1:
		v.Words = append(v.Words, Slower)
	}
	if i.High <= EquivalentWithin && i.Low >= Round(1/EquivalentWithin) {
		v.Words = append(v.Words, Equivalent)
	}
	if len(v.Words) == 0 {
		return Verdict{Words: []Word{NoDifference}, Smallest: Round(smallest)}
	}
	return v
}

// JudgeDifference judges the interval of a difference, such as pnl per day.
func JudgeDifference(i Interval, reason Reason, smallest float64) Verdict {
	if reason == "" && !i.finite() {
		reason = NotFinite
	}
	switch {
	case reason != "":
		return Verdict{Words: []Word{CannotSay}, Reason: reason}
	case i.Low > 0:
		return Verdict{Words: []Word{Higher}}
	case i.High < 0:
		return Verdict{Words: []Word{Lower}}
	}
	return Verdict{Words: []Word{NoDifference}, Smallest: Round(smallest)}
}

// JudgeExact judges a quantity without error: trades, calls or skips on common
// bars.
func JudgeExact(a, b float64) Verdict {
	switch {
	case !finite(a, b):
		return Verdict{Words: []Word{CannotSay}, Reason: NotFinite}
	case a == b:
		return Verdict{Words: []Word{Identical}}
	}
	return Verdict{Words: []Word{Differs}}
}

// Inverse is the interval of 1/ratio.
func (i Interval) Inverse() Interval {
	return Interval{Round(1 / i.Estimate), Round(1 / i.High), Round(1 / i.Low)}
}
