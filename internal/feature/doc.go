// Package feature turns bars into the numbers that a model and the pregate
// look at: market session, spread, ATR and the named features.
//
// Every value at a bar depends on that bar and earlier ones only. The package
// reads no file and knows neither chunks nor signals: it consumes bars one by
// one from wherever its caller starts. The same bars give the same bits on
// every machine: sums run from the oldest bar to the newest, products that a
// processor could fuse with an addition are rounded by explicit conversions,
// and nothing but +, -, *, / and Sqrt is used.
package feature
