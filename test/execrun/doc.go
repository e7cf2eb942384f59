//go:build linux

// Package execrun runs the examples of the engine exec as users do, stops and
// kills them, and has the checker hold what is left against what the examples'
// own processes logged.
//
// Each example runs in the shadow of testdata/shadow.py, which logs the bars
// that it counts and leaves two processes behind that somebody has to end. The
// tests here are what can be seen with few runs; many, at random moments, are
// for the campaign exec.
package execrun
