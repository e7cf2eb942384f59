// Package judge says what may be concluded from two or more runs: which bars
// they have in common, why their trades differ, how their speeds compare, and
// how sure that is. docs/judging.md has its rules for users, with the simulations that
// test them.
//
// It is pure: values in, values out. It uses no clock, file, bus or random source.
//
//   - Common: the bars that runs have in common, in pieces.
//   - Match: why the trades of two runs differ.
//   - Daily: the mean daily difference in pnl.
//   - Hull: the speed of two runs that differ in the gate only.
//   - Repeats: the speed of several runs per side.
//   - Sequential, Fixed: the speed of two arms that ran in pairs.
//   - Prefix, Estimate: what a run would give, from a part of it.
//   - JudgeRatio, JudgeDifference, Speed.Threshold: the words.
//
// Invariants, whose tests carry the number:
//
//  1. The same input gives the same bytes on every processor. Go may fuse x*y+z
//     into one operation, and does so on some processors, so each product of this
//     package is inside a conversion, which forbids it. math.Exp, math.Log and
//     math.Cos have assembler on some processors, so the package has its own.
//     math.Sqrt, math.Floor, math.Frexp and math.Ldexp are exact everywhere.
//  2. The order of pieces, pairs and terms does not matter: they are added exactly
//     and rounded once. (Days and chunks in order of dispatch have an order.)
//  3. Every value is rounded to six significant digits before it is judged, so that
//     a verdict follows from the printed numbers.
//  4. No function panics, and none returns a verdict from a value that is not
//     finite.
package judge
