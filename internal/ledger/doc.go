// Package ledger holds what is known of a run from every source: the perf file,
// the footer backup, the bus, and the footers of attempts on disks. One rule
// merges all accounts, in any order. Every command that resumes, exports,
// recovers or reads a run therefore has the same ledger.
//
// It writes nothing, opens no bus, and decides nothing about a run that lives.
//
// Invariants, which tests carry by their number:
//
//  1. A ledger holds for each chunk the authoritative footer of all accounts:
//     no bar more than planned, none that an account holds lost.
//  2. The order of accounts and of directories changes nothing.
//  3. A footer that does not fit the run or its plan is refused and counted.
package ledger
