//go:build linux

// Package ends ends runs in the ways in which real systems end processes, and
// has each file judged. The ways are the rows of docs/ends.md.
package ends
