package trade_test

import (
	"fmt"

	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// Three signals are followed to their exits, whatever else is open. The
// selection then takes those that the limits of the policy leave room for.
func ExampleSelect() {
	signals := []trade.Signal{
		{Bar: 0, EntryBar: 1, ExitBar: 5, Side: trade.Long, EntryPrice: 100, ExitPrice: 101},
		{Bar: 2, EntryBar: 3, ExitBar: 6, Side: trade.Long, EntryPrice: 100, ExitPrice: 102},
		{Bar: 7, EntryBar: 8, ExitBar: 9, Side: trade.Short, EntryPrice: 100, ExitPrice: 99},
	}
	taken, dropped := trade.Select(signals, policy.Risk{MaxOpenTrades: 1})
	for _, t := range taken {
		fmt.Printf("bar %d: %.0f bps\n", t.EntryBar, t.PnlBps)
	}
	for _, d := range dropped {
		fmt.Println(d.N, "dropped:", d.Reason)
	}
	// Output:
	// bar 1: 100 bps
	// bar 8: 100 bps
	// 1 dropped: max_open_trades
}
