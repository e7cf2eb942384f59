// Package check judges a perf JSON from outside: against itself, and against
// the bar logs that a test engine wrote while it stepped over bars.
//
// It shares no code with the product and imports nothing of this module, so
// that a mistake in the product's idea of a perf JSON is not repeated here.
// It reads files and judges; it never mends.
package check
