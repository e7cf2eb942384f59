// Package coordinator is the life of a run: plan, publish, collect,
// reconcile, stop, drain, export.
//
// A Session is one epoch of a coordinator on a run. Its watchdog (package
// export) owns the end and waits for nothing that a Life, the session's work
// on the bus, may hang in. The package replays nothing itself and has no
// command-line flags.
package coordinator
