// Package docs holds the documents against the code: it runs the
// commands of the README and of the tutorials on a small scale, and compares the
// flags, variables, fields, links and names that the documents mention with those
// that exist. It also refuses phrases in documents, help texts and messages for
// which the project has a better one (phrases_test.go).
//
// It is tests only. A fenced block whose language is `sh run` is run; a block
// `text out` behind it is what it prints, numbers aside. Blocks `text explain`
// and `text status` are samples, held against what a run of the test prints.
package docs
