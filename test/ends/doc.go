//go:build linux

// Package ends ends runs in the ways in which real systems end processes, and
// has each file judged: by signals to one, to a group or to everybody, by GNU
// timeout, by a terminal that is closed, by a reader that goes away.
package ends
