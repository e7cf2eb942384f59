// Package run holds the values that name and describe a run: its id, its plan
// and chunks, the task that asks for one chunk, the manifest that every
// participant reads, stops and sessions.
//
// Everything here is a value: the package sees no clock, file or bus. Random
// bytes and times are passed in.
package run
