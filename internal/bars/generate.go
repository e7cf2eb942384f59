package bars

import (
	"math"
	"time"
)

const (
	// syntheticBarNS is the length of a generated bar, five minutes.
	syntheticBarNS = int64(5 * time.Minute)
	// syntheticStartNS is Monday, 2018-01-01 00:00 UTC.
	syntheticStartNS = int64(1514764800e9)
)

// hour is what the hour of the day (UTC) makes of the market: the deviation
// of a bar's return, the usual spread (both in 1/10,000 of the price) and
// the usual volume. The numbers are chosen so that rules on market session,
// spread and ATR all find bars on both sides.
type hour struct{ sigmaBps, spreadBps, volume float64 }

// hours of the day. Asia (22 to 7) is quiet and wide, the overlap of London
// and New York (12 to 16) is lively and narrow. At 22 the market is closed.
func hours() [24]hour {
	var (
		asia    = hour{1.6, 2.6, 140}
		europe  = hour{2.9, 1.7, 330}
		overlap = hour{4.4, 1.4, 610}
		us      = hour{2.8, 1.8, 300}
		late    = hour{1.9, 2.4, 160} // New York after the exchange closed
	)
	return [24]hour{
		asia, asia, asia, asia, asia, asia, asia,
		europe, europe, europe, europe, europe,
		overlap, overlap, overlap, overlap,
		us, us, us, us, late, late,
		asia, asia,
	}
}

// Generate makes n bars of five minutes that look like gold's, 1 ≤ n ≤
// MaxSynthetic; fewer or more are cut to that. They begin on Monday,
// 2018-01-01 00:00 UTC. The market is closed from 22:00 to 23:00 UTC each
// day and from Friday 22:00 to Sunday 23:00. Returns are those of a
// GARCH(1,1) scaled by the hour, with a jump now and then and a slow pull
// to a middle price; spreads widen in quiet hours, around the daily break,
// with volatility and in bursts; prices are whole cents.
//
// A seed gives the same bars on every machine: integers from our own
// generator, sums, quotients and square roots, which IEEE 754 defines to the
// last bit, and no product that a compiler could fuse with a sum (see mul).
// Generate(n) is the beginning of Generate(m) for n < m.
func Generate(n int64, seed uint64) []Bar {
	n = max(1, min(n, MaxSynthetic))
	bars := make([]Bar, n)
	m := newMarket(seed)
	for i := range bars {
		bars[i] = m.bar()
	}
	return bars
}

// mul is a · b, rounded. Without the conversion Go may fuse the product with
// a following sum on processors that can, and the last bit would depend on
// the machine (Go specification, "Floating-point operators").
func mul(a, b float64) float64 { return float64(a * b) }

// market is the state between two bars.
type market struct {
	rng      random
	hours    [24]hour
	timeNS   int64   // opening time of the next bar
	mid      float64 // cents
	variance float64 // of the GARCH(1,1), 1 in the long run
	burst    float64 // what a burst adds to the spread, as a share of it
	spread   int64   // cents, at the last close
	closedNS int64   // how long the market was closed before the next bar
}

const (
	middleCents = 190_000.0 // the price that the market is pulled to
	pull        = 1e-6      // of the distance a bar: half of it in ten years
	garchNews   = 0.08      // weight of the last squared return
	garchMemory = 0.90      // weight of the last variance
	maxVariance = 16.0      // four times the usual deviation
)

func newMarket(seed uint64) *market {
	m := &market{rng: random(seed), hours: hours(), timeNS: syntheticStartNS, variance: 1}
	m.mid = 140_000 + float64(m.rng.next()%100_000)
	m.spread = int64(mul(m.mid, 2e-4))
	return m
}

// bar makes the next bar and steps to the one after it. Each bar draws the
// same number of random numbers, whatever they are.
func (m *market) bar() Bar {
	h := m.hours[m.timeNS/int64(time.Hour)%24]
	var (
		jump = m.rng.uniform()
		z    = m.rng.normal()
		gapZ = m.rng.normal()
		up   = m.rng.uniform() + m.rng.uniform() // of the high above the body
		down = m.rng.uniform() + m.rng.uniform()
		busy = m.rng.uniform()
	)
	if jump < 1.0/1500 {
		z = mul(z, 3)
	}
	deviation := math.Sqrt(m.variance)
	sigma := mul(mul(h.sigmaBps/1e4, deviation), m.mid) // cents

	open := m.mid
	if m.closedNS > 0 {
		// What happened while it was closed: 5 bps over an hour, 30 over a
		// week-end of 49 hours.
		closedHours := float64(m.closedNS) / float64(time.Hour)
		open += mul(mul(gapZ, mul(5e-4, math.Sqrt(min(closedHours, 36)))), m.mid)
	}
	closing := open + mul(z, sigma) + mul(middleCents-open, pull)
	high := max(open, closing) + mul(mul(up, 0.4), sigma)
	low := min(open, closing) - mul(mul(down, 0.4), sigma)

	b := m.quote(open, high, low, closing, m.nextSpread(h, deviation))
	b.Volume = math.Floor(mul(h.volume, mul(0.5+busy, 0.4+mul(0.6, deviation)))) + 1

	m.mid = closing
	m.variance = min(maxVariance, (1-garchNews-garchMemory)+
		mul(garchNews, mul(m.variance, mul(z, z)))+mul(garchMemory, m.variance))
	m.step()
	return b
}

// nextSpread is the spread (cents) at the bar's close.
func (m *market) nextSpread(h hour, deviation float64) int64 {
	start, noise := m.rng.uniform(), m.rng.uniform()
	size := m.rng.uniform()
	m.burst = mul(m.burst, 0.85)
	if start < 1.0/300 {
		m.burst = 0.5 + mul(2.5, size)
	}
	bps := mul(h.spreadBps, 0.7+mul(0.3, deviation))
	bps = mul(bps, 0.85+mul(0.3, noise)+m.burst+breakShare(m.timeNS))
	return max(1, int64(mul(m.mid, bps/1e4)))
}

// breakShare is what the nearness of the daily break adds to the spread.
func breakShare(timeNS int64) float64 {
	minute := timeNS / int64(time.Minute) % (24 * 60)
	switch {
	case minute >= 23*60 && minute < 23*60+30:
		return 1.2
	case minute >= 21*60+40 && minute < 22*60, minute >= 23*60:
		return 0.6
	}
	return 0
}

// quote makes bid and ask of mid prices, all in cents. The spread is the
// last close's at the open and its own at the close; in between the bar's
// high and low have the narrower one.
func (m *market) quote(open, high, low, closing float64, spread int64) Bar {
	narrow := min(m.spread, spread)
	half := float64(narrow) / 2
	bid := func(mid float64) int64 { return int64(math.Floor(mid - half)) }
	bidOpen, bidHigh, bidLow, bidClose := bid(open), bid(high), bid(low), bid(closing)
	askOpen, askClose := bidOpen+m.spread, bidClose+spread
	m.spread = spread
	price := func(cents int64) float64 { return float64(cents) / 100 }
	return Bar{
		TimeNS:  m.timeNS,
		BidOpen: price(bidOpen), BidHigh: price(bidHigh), BidLow: price(bidLow), BidClose: price(bidClose),
		AskOpen:  price(askOpen),
		AskHigh:  price(max(bidHigh+narrow, askOpen, askClose)),
		AskLow:   price(bidLow + narrow),
		AskClose: price(askClose),
	}
}

// step moves to the next bar of an open market.
func (m *market) step() {
	const day = 24 * time.Hour
	at := m.timeNS + syntheticBarNS
	m.timeNS = at
	m.closedNS = 0
	if time.Duration(at)%day != 22*time.Hour {
		return
	}
	m.timeNS += int64(time.Hour)
	// 1970-01-01 was a Thursday, so day 1 of the epoch was a Friday.
	if time.Duration(at)/day%7 == 1 {
		m.timeNS += int64(2 * day)
	}
	m.closedNS = m.timeNS - at
}
