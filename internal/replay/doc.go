// Package replay is the built-in engine: it replays the bars of one chunk by
// a policy and says what it measured and which signals it found.
//
// It reads bars from a Source and reports footers to a function; it knows no
// bus, no lease and no file. A worker puts identity, claim, sequence and CPU
// times over what it reports. One bar is one step (engine.md §2): features,
// warm-up, gate, model, entry rule, then the bar is counted; what was not
// counted left no trace in any counter.
//
// Invariants, which tests carry by their number:
//
//  1. Every own bar is counted once: total_bars = bars_processed =
//     bars_skipped_warmup + pregate_skips + passes.
//  2. A bar is counted after OnBar was called for it, and after a cancel no
//     further bar is stepped over.
//  3. Features, signals, counters and reasons do not depend on the cut, nor on
//     which states of recursive features there are.
//  4. The timers of the phases add up to the wall clock.
//  5. What a report carries is never changed afterwards.
package replay
