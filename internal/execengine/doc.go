// Package execengine is the engine `exec`: it replays a chunk with the user's
// own command. It writes the slice and the task, starts the command in its own
// process group, reads what it says of itself in any of four forms, stops it,
// and makes a footer of what it left.
//
// It never chooses a program: what is run comes from this process's own
// command line. It knows no bus and no lease, and takes counters as the
// command gives them, within the bounds of the plan.
package execengine
