// Package feature turns bars into the numbers that a model and the pregate
// look at: market session, spread, ATR and the named features (Known has the
// table: formula, unit, look-back, source).
//
// Every value at a bar depends on that bar and earlier ones only. The package
// reads no file and knows neither chunks nor signals: it consumes bars, singly or
// in blocks, from wherever its caller starts, and computes what is named alone.
//
// The same bars give the same bits on every machine: sums run from the oldest
// bar to the newest, or over halves of a window (runSums), never as a running
// sum that remembers where it began; products that a processor could fuse with
// an addition are rounded by explicit conversions; and nothing but +, -, *, /
// and Sqrt is used.
//
// They also give the same bits wherever the data were cut. Most features look
// at a bounded number of bars, which are pushed again. The recursive ones, the
// EMAs, remember the data set's first bar: their state after any bar is some
// hundred bytes (Set.AppendState), from which another set goes on.
package feature
