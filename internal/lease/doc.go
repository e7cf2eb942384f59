// Package lease holds the rules of a worker's right to a chunk, as values: the
// lease record, what a worker may do when it is handed a chunk, and what each
// event makes of the record. It also derives a chunk's status.
//
// It uses no clock, file or bus. Its callers change a stored record only by
// compare-and-set on its sequence. The rules hold because of that.
//
// Invariants, which tests carry by their number:
//
//  1. A live lease is not taken: a claim over another worker's claim happens only
//     after a watch of one whole lease in which the record did not change.
//  2. Nobody claims over a record of a later session.
//  3. Best never falls: a record holds at least as much of the chunk as the
//     record before it.
//  4. Attempts rise by one per claim; failures and releases never fall within
//     a session.
//  5. Only failures are limited. After max_failures of them the record is
//     exhausted, and no claim of that session follows.
//  6. A chunk with an ok footer is never claimed.
//  7. A record has at most as many attempts as its stream has messages, and no
//     more failures and releases together than attempts. One that claims more
//     is refused, no matter who wrote it.
package lease
