package trade_test

import (
	"fmt"

	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// Three signals are followed to their exits, whatever else is open. The
// selection then takes those that the limits of the policy leave room for.
func ExampleSelector() {
	signals := []trade.Signal{
		{Bar: 0, EntryBar: 1, ExitBar: 5, Side: trade.Long, EntryPrice: 100, ExitPrice: 101},
		{Bar: 2, EntryBar: 3, ExitBar: 6, Side: trade.Long, EntryPrice: 100, ExitPrice: 102},
		{Bar: 7, EntryBar: 8, ExitBar: 9, Side: trade.Short, EntryPrice: 100, ExitPrice: 99},
	}
	sel := trade.NewSelector(policy.Risk{MaxOpenTrades: 1})
	for _, s := range signals {
		if sel.Offer(&s) {
			fmt.Printf("bar %d: %.0f bps\n", s.EntryBar, s.PnlBps())
		}
	}
	fmt.Println("dropped:", sel.Dropped())
	// Output:
	// bar 1: 100 bps
	// bar 8: 100 bps
	// dropped: map[max_open_trades:1]
}
