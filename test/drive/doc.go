// Package drive starts the coordinator built for tests (gx1test), watches it
// from outside, and finds what it leaves behind. Campaigns and fault tests
// stand on it.
//
// It knows the program by its command line, its output and its files only,
// and it ends no process that it did not start.
package drive
