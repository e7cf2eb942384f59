// Package model turns a bar's features into scores for a long and a short
// entry.
//
// A model is logistic, with its weights in the policy, or a file of trees that
// XGBoost or LightGBM has trained, one for all market sessions or one a market
// session. The margins of trees are those of the library to the bit; what is
// not known to be so is refused when the file is read.
//
// Scores are log-odds (margins), so that a decision compares two numbers and
// needs no exponential. The package has its own Logit and Sigmoid in plain
// Go, because the platform's Exp and Log differ between processors; Sigmoid
// of a score is within 2 float32 ulp of the probability that XGBoost gives
// (above a margin of -88.7, where the library's stops falling) and LightGBM's
// but for the last bits of a float64. The package never opens a file, never
// decides about an entry, keeps no state from bar to bar, and adds no latency
// of its own.
package model
