// Package perf holds the perf JSON, the one file that a run leaves: its
// fields, how it is built from what is known of each chunk, how it is read
// back and checked, and the stub that stands for it when an export failed.
//
// Values in, bytes out: the package never sees a clock, a file or the bus.
// What can be computed from the chunks (coverage, totals, statuses, counts,
// outcome) is computed here and never passed in, so it cannot contradict
// them.
//
// Invariants, which tests carry by their number:
//
//  1. coverage.planned_bars = replayed_bars + missing_bars, in total and
//     summed over by_status.
//  2. A chunk is ok if and only if an ok footer speaks for it; the outcome is
//     complete if and only if there are chunks and all of them are ok.
//  3. Merge never loses a bar of either side, and the order and the number of
//     merges do not change the bytes that Append writes.
//  4. What Append and AppendStub write is valid JSON without null, NaN or
//     infinity, whatever the report and the chunks hold; Verify accepts what
//     Append wrote, if the footers are of the report's run and its data set
//     has the plan's bars.
//  5. Parse and Verify of any bytes return; they never panic.
package perf
