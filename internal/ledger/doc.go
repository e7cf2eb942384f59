// Package ledger holds what is known of a run, wherever it is known from: the
// perf file, the footer backup, the bus, and the footers of attempts on disks.
// All accounts are merged by one rule, in whatever order they are added, so
// that whoever resumes, exports, recovers or looks at a run has the same one.
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
