// Package bars reads, writes, slices and generates market bars, and gives a
// data set its digest.
//
// It knows files and their formats; it never talks to the bus and knows
// nothing of runs or policies.
package bars

// Bar is one row of a data set. Prices are finite and positive, bid ≤ ask,
// low ≤ open, close ≤ high on either side.
type Bar struct {
	TimeNS   int64 // opening time, nanoseconds since 1970-01-01 UTC
	BidOpen  float64
	BidHigh  float64
	BidLow   float64
	BidClose float64
	AskOpen  float64
	AskHigh  float64
	AskLow   float64
	AskClose float64
	Volume   float64
}

// MidHigh, MidLow and MidClose are half-way between bid and ask.
func (b Bar) MidHigh() float64  { return (b.BidHigh + b.AskHigh) / 2 }
func (b Bar) MidLow() float64   { return (b.BidLow + b.AskLow) / 2 }
func (b Bar) MidClose() float64 { return (b.BidClose + b.AskClose) / 2 }
