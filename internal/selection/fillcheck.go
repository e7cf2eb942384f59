package selection

import (
	"context"
	"fmt"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// fillTolerance is how far a price may lie outside its bar, relative: a command
// computes prices in floating point, and writes them with some digits less.
const fillTolerance = 1e-9

// fillCheck counts the fills of a command's own signals that their bars cannot
// give: prices below the bid's low or above the ask's high.
type fillCheck struct {
	fills, outside int64
	first          string // the first one outside
	unread         bool   // the bars are not at hand
}

// check looks at the entry and the exit of s.
func (c *fillCheck) check(ctx context.Context, s *trade.Signal, src Bars) error {
	if c.unread || s.EntryBar == trade.NoBar {
		return nil
	}
	if err := c.fill(ctx, "entry", s.EntryBar, s.EntryPrice, src); err != nil || !s.Closed() {
		return err
	}
	return c.fill(ctx, "exit", s.ExitBar, s.ExitPrice, src)
}

func (c *fillCheck) fill(ctx context.Context, what string, bar int64, price float64, src Bars) error {
	var at *bars.Bar
	for b, err := range src.Bars(ctx, run.BarRange{First: bar, End: bar + 1}) {
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			c.unread = true // the trades stand without this
			return nil
		}
		at = &b
	}
	if at == nil {
		return nil
	}
	c.fills++
	if price >= at.BidLow*(1-fillTolerance) && price <= at.AskHigh*(1+fillTolerance) {
		return nil
	}
	if c.outside++; c.first == "" {
		c.first = fmt.Sprintf("the %s at %v in the bar of %s, whose prices are %v to %v", what, price, time.Unix(0, at.TimeNS).UTC().Format(time.RFC3339), at.BidLow, at.AskHigh)
	}
	return nil
}

// remark says how many fills there are that no bar can give; empty: none.
func (c *fillCheck) remark() string {
	if c.outside == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d fills of the command lie outside the prices of their bars; the first is %s", c.outside, c.fills, c.first)
}
