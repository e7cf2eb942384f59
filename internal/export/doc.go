// Package export puts the perf JSON and the stub on a disk: it holds the
// run's lock, writes aside and renames, reads back what it wrote, and never
// replaces an export by one that holds less.
//
// It also keeps a run's footer backup, guards its coordinator, and recovers a
// run whose coordinator died, from its files.
//
// It decides nothing about a run that lives and never opens the bus; package
// perf makes what it writes. It starts no process. Its callers pass functions
// that report whether a process lives and that end it.
//
// Invariants, which tests carry by their number:
//
//  1. At any moment, a crash included, the perf file's name holds nothing, the
//     file before an export, or the whole file after it.
//  2. No export holds fewer bars than the file it replaces, and a complete
//     file is never replaced by another process, except by one with the same
//     bars and exact trades where it had none (decisions/011).
//  3. An export that fails before its rename leaves the old file untouched
//     and nothing beside it.
//  4. A file that is not an export of this run is never destroyed.
//  5. Over any sequence of exports, backups and recoveries, by whatever
//     process, the bars of each chunk never fall and never exceed the plan;
//     a recovery holds what perf file, backup and footers hold.
//
// The backup obeys the same.
package export
