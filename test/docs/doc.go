// Package docs holds the documents against the code: it runs the README's
// commands on a small scale, and compares the flags, variables, fields,
// links and names that the documents mention with those that exist.
//
// It is tests only. A fenced block whose language is `sh run` is run; a block
// `text out` behind it is what it prints, numbers aside. Blocks `text explain`
// and `text status` are samples, held against what a run of the test prints.
package docs
