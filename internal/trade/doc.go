// Package trade follows signals to their exits and selects which of them
// become trades.
//
// A signal is followed by bars alone, whatever else is open; which signals
// are taken is decided afterwards, in time order, by Select. So signals can be
// followed anywhere and in any order. The package sees no clock, file or bus,
// and the same bars give the same bits on every machine.
//
// Invariants, which tests carry by their number:
//
//  1. A trade's levels at a bar come from earlier bars only.
//  2. MAE ≤ 0 ≤ MFE and MAE ≤ pnl ≤ MFE.
//  3. Following to a bar, leaving and resuming gives the same signal as
//     following through.
//  4. Select is engine.md §4 word by word: every signal is taken or dropped
//     for one reason, and a later signal never changes an earlier decision.
package trade
