// Package execcheck finds out whether the trades of a user's command depend on
// where its data are cut: it replays a range of bars whole and in pieces, and
// compares what the command leaves.
//
// It starts the command by package execengine, without a bus. What it says of
// a difference is judged from the rows alone: which border it stands at, how
// far behind that the replays agree again, and what is the likely reason.
package execcheck
