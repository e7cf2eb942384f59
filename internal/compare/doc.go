// Package compare compares runs, stopped ones too, on the bars that they have in
// common: which trades differ and why, how fast each was, and which inputs
// differ.
//
// Values in, values out: the package never sees a clock, a file or the bus. It
// reads a perf JSON by perf.ParseVerified alone, so a file that contradicts itself
// is never compared. It never fills a gap: a number that is not known stays
// unknown in every report. What may be concluded is package judge's.
//
// Compare is about common bars. Judge holds the plain sums of two complete runs
// against the thresholds of a gate, as the original script does; every Comparison
// has its figures beside its own.
//
// Invariants, which tests carry by their number:
//
//  1. Judge: the verdict is pass only if both files were verified, both runs are
//     complete and comparable, and every figure was judged and keeps its
//     threshold. It is fail only if a figure that was judged misses it.
//  2. Judge: a field that a chunk does not report, that was not finite, or that is
//     no possible value is never added up: its figures are not judged.
//  3. No division by zero is a figure.
//  4. A value as it is written stands on the same side of its threshold as the
//     value that was judged.
//  5. Read and Judge of any bytes return; they never panic, and both reports
//     can be written.
//  6. Compare: the pnl of the causes adds up to the difference exactly, before each
//     is rounded.
package compare
