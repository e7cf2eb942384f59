// Package cuts holds the built-in engine to its promise: however a data set
// is cut, by however many workers, in whatever order and on whatever machine
// it is replayed, the same trades come out, byte for byte, and the same
// counters.
//
// It holds tests only, without a bus: what workers and the coordinator do with
// a chunk and its signals is done here by hand, on thousands of chunks a
// second. The same with the real programs, killed on the way, is
// `go run ./test/campaign cuts`.
package cuts
