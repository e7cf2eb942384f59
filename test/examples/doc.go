// Package examples runs what users copy: examples/python, examples/shell and
// the commands of docs/exec.md, with the program itself. It is tests only.
//
// What needs no run is tested against a worker that a test plays: a directory,
// a slice, a task file and the environment, as docs/exec.md has them.
package examples
