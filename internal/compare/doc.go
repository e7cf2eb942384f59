// Package compare judges two runs of one policy on one data set, the first
// with the pregate off and the second with it on: did the gate bring the speed
// that it promises, and did it leave the trades alone.
//
// Bytes in, verdict and reports out: the package never sees a clock, a file or
// the bus. It reads a perf JSON by perf.ParseVerified alone, so a file that
// contradicts itself is never judged. It has no opinion on the cause of a
// difference, and it never fills a gap: a number that is not known stays
// unknown in every report.
//
// Judge works on samples: what a side has measured over a set of bars. Today
// that set is the whole data set, and a run that is not complete is not judged.
// A sample over the bars that two partial runs share, made from checkpoints,
// would go through the same figures.
//
// Invariants, which tests carry by their number:
//
//  1. The verdict is pass only if both files were verified, both runs are
//     complete and comparable, and every figure was judged and keeps its
//     threshold. It is fail only if a figure that was judged misses it.
//  2. A field that a chunk does not report, that was not finite, or that is no
//     possible value is never added up: its figures are not judged.
//  3. No division by zero is a figure.
//  4. A value as it is written stands on the same side of its threshold as the
//     value that was judged.
//  5. Read and Judge of any bytes return; they never panic, and both reports
//     can be written.
package compare
