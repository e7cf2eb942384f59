// Package model turns a bar's features into scores for a long and a short
// entry.
//
// Scores are log-odds (margins), so that a decision compares two numbers and
// needs no exponential. The package has its own Logit and Sigmoid in plain
// Go, because the platform's Exp and Log differ between processors. It never
// decides about an entry, keeps no state from bar to bar, and adds no latency
// of its own.
package model
