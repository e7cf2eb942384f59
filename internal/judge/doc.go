// Package judge says what may be concluded from two or more runs: which bars
// they have in common, why their trades differ, how their speeds compare, and
// how sure that is.
//
// It is pure: values in, values out. It sees no clock, file or bus and draws no
// random numbers. The same values give the same bytes on every processor: sums
// are exact or in a fixed order, and exp, log and quantiles are its own.
package judge
