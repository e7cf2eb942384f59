// Package selection selects the trades of a run from what its chunks left, and
// writes and verifies the files about them.
//
// What it decides follows from bars, footers, their artifacts and the policy
// alone, so that a coordinator, a guardian and an export find the same trades. It
// opens no bus and writes no perf JSON.
package selection
