// Package export puts the perf JSON and the stub on a disk: it holds the
// run's lock, writes aside and renames, reads back what it wrote, and never
// replaces an export by one that holds less.
//
// It decides nothing about a run and never opens the bus; what is written
// comes from package perf. It logs nothing: results and errors say all.
//
// Invariants, which tests carry by their number:
//
//  1. At any moment, a crash included, the perf file's name holds nothing, the
//     file before an export, or the whole file after it.
//  2. No export holds fewer bars than the file it replaces, and a complete
//     file is never replaced by another process.
//  3. An export that fails before its rename leaves the old file untouched
//     and nothing beside it.
//  4. A file that is not an export of this run is never destroyed.
package export
