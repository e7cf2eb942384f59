package trade

// handEnds are hand-computed cases of the data's end and of entries that come
// late or never. See TestByHand for how to read them.
func handEnds() []handCase {
	long, short := []handSignal{{0, Long, 0.75}}, []handSignal{{0, Short, 0.625}}
	// Bid close 10010, ask close 10014, mid 10012. A long stands at -4 (bar 1's
	// low 9996) and +20 (bar 2's high 10020) at most.
	endLong := `Fri 09  9998  9998 9998  9998 +2
	            Fri 10  9998 10002 9996  9999 +2
	            Fri 11  9999 10020 9997 10010 +4`
	// Bid close 9988, ask close 9992, mid 9990. A short, on the ask: bar 1 10003
	// to 9998 (-3, +2), bar 2 10004 to 9980 (-4, +20).
	endShort := `Fri 09 10000 10000 10000 10000 +2
	             Fri 10 10000 10001  9996  9998 +2
	             Fri 11  9998 10000  9976  9988 +4`
	const endTimes = "T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z,"
	return []handCase{
		{
			name: "data's end, side, long: the bid close", policy: "exit: {stop_bps: 20}", signals: long, bars: endLong,
			// The last bar counts whole: MFE 20. Out at 10010: +10.
			rows: []string{endTimes + "10.0,4.0,20.0,0,1,10.0,0.5,1,long,EU,REPLAY_EOF,10000.0,10010.0,0.75,0,1,2"},
		},
		{
			name: "data's end, side, short: the ask close, and a reason of one's own", signals: short, bars: endShort,
			policy: "exit: {stop_bps: 20}\nreplay: {eof_price_source: side, eof_close_reason: 'the end, so far'}",
			// Out at 9992: +8. The comma makes quotes.
			rows: []string{endTimes + `8.0,4.0,20.0,1,1,12.0,0.4,1,short,EU,"the end, so far",10000.0,9992.0,0.625,0,1,2`},
		},
		{
			name: "data's end, mid, long", policy: "exit: {stop_bps: 20}\nreplay: {eof_price_source: mid}", signals: long, bars: endLong,
			// Out at (10010 + 10014)/2: +12.
			rows: []string{endTimes + "12.0,4.0,20.0,0,1,8.0,0.6,1,long,EU,REPLAY_EOF,10000.0,10012.0,0.75,0,1,2"},
		},
		{
			name: "data's end, mid, short", policy: "exit: {stop_bps: 20}\nreplay: {eof_price_source: mid}", signals: short, bars: endShort,
			// Out at (9988 + 9992)/2: +10.
			rows: []string{endTimes + "10.0,4.0,20.0,1,1,10.0,0.5,1,short,EU,REPLAY_EOF,10000.0,9990.0,0.625,0,1,2"},
		},
		{
			name: "data's end, bid, short: better than it could leave at", policy: "exit: {stop_bps: 20}\nreplay: {eof_price_source: bid}", signals: short, bars: endShort,
			rows: []string{endTimes + "12.0,4.0,20.0,1,1,8.0,0.6,1,short,EU,REPLAY_EOF,10000.0,9988.0,0.625,0,1,2"},
		},
		{
			name: "data's end, ask, long: better than it could leave at", policy: "exit: {stop_bps: 20}\nreplay: {eof_price_source: ask}", signals: long,
			bars: `Fri 09  9998  9998 9998  9998 +2
			       Fri 10  9998 10002 9996  9999 +2
			       Fri 11  9999 10011 9997 10010 +4`,
			// Out at ask close 10014: +14. The bid's high was +11: the exit is the MFE.
			rows: []string{endTimes + "14.0,4.0,14.0,0,1,0.0,1.0,1,long,EU,REPLAY_EOF,10000.0,10014.0,0.75,0,1,2"},
		},
		{
			name: "data's end, not closed: no row, marked at the bid close", policy: "exit: {stop_bps: 20}\nreplay: {close_open_trades_at_end: false}", signals: long, bars: endLong,
			open: &handOpen{entryBar: 1, markBar: 2, markPrice: 10010, pnlBps: 10},
		},
		{
			name: "data's end where max_bars wanted the next open", policy: "exit: {max_bars: 2}", signals: long, bars: endLong,
			// Bar 2 is the last held, and there is no bar 3 to leave at.
			rows: []string{endTimes + "10.0,4.0,20.0,0,1,10.0,0.5,1,long,EU,REPLAY_EOF,10000.0,10010.0,0.75,0,1,2"},
		},
		{
			name: "RULE A lets go what jumped past its band: to the data's end", signals: long, bars: endLong,
			policy: "exit: {rule_a: {adaptive_bars: 1}}\nreplay: {fill: signal_close}",
			// In at the ask close of bar 0. Bar 1: close 9999: -1. Bar 2: close +10,
			// above 9, and too late for the trailing.
			rows: []string{"T000000000,2026-01-30T09:00:00Z,2026-01-30T11:00:00Z," +
				"10.0,4.0,20.0,1,2,10.0,0.5,2,long,EU,REPLAY_EOF,10000.0,10010.0,0.75,0,0,2"},
		},
		{
			name: "a run that was stopped closes nothing", policy: "exit: {stop_bps: 20}", signals: long, bars: endLong, stopped: 3,
			open: &handOpen{entryBar: 1, markBar: 2, markPrice: 10010, pnlBps: 10},
		},
		// Entries.
		{
			name: "expired: the next bar opens 51 hours later", policy: "exit: {max_bars: 1}", signals: long,
			bars: `Fri 21 9998 9998 9998 9998 +2
			       Mon 00 9998 9998 9998 9998 +2
			       Mon 01 9998 9998 9998 9998 +2`,
			// max_gap is two bar lengths, 2 h.
			drops: map[string]int64{"entry_expired": 1},
		},
		{
			name: "expired with signal_close, too, though its price was there", policy: "exit: {max_bars: 1}\nreplay: {fill: signal_close}", signals: long,
			bars: `Fri 21 9998 9998 9998 9998 +2
			       Mon 00 9998 9998 9998 9998 +2`,
			drops: map[string]int64{"entry_expired": 1},
		},
		{
			name: "max_gap 72h enters after the week-end, at Monday's price", policy: "entry: {max_gap: 72h}\nexit: {max_bars: 1}", signals: long,
			bars: `Fri 21 10038 10038 10038 10038 +2
			       Mon 00  9998 10005  9990 10004 +2
			       Mon 01 10010 10012 10000 10001 +2`,
			// In at Monday's ask open 10000, not at Friday's 10040. Bar 1: -10, +5.
			// Out at bar 2's open: +10. The session is that of the signal's bar, 21:00.
			rows: []string{"T000000000,2026-02-02T00:00:00Z,2026-02-02T01:00:00Z," +
				"10.0,10.0,10.0,0,1,0.0,1.0,1," +
				"long,US,max_bars,10000.0,10010.0,0.75,0,1,2"},
		},
		{
			name: "one missing bar is forgiven: two hours are not more than two hours", policy: "exit: {stop_bps: 20}", signals: long,
			bars: `Fri 09 9998  9998 9998  9998 +2
			       Fri 11 9998 10004 9996 10001 +2`,
			// In at bar 1, which is the last: out at its bid close: +1 of +4.
			rows: []string{"T000000000,2026-01-30T11:00:00Z,2026-01-30T11:00:00Z," +
				"1.0,4.0,4.0,0,0,3.0,0.25,0," +
				"long,EU,REPLAY_EOF,10000.0,10001.0,0.75,0,1,1"},
		},
		{
			name: "a signal at the data's last bar expires", policy: "exit: {max_bars: 1}", signals: []handSignal{{1, Short, 0.5}},
			bars: `Fri 09 9998 9998 9998 9998 +2
			       Fri 10 9998 9998 9998 9998 +2`,
			drops: map[string]int64{"entry_expired": 1},
		},
	}
}

// handSelections are hand-computed cases of which signals become trades.
// Nothing moves in these markets but the clock.
func handSelections() []handCase {
	// A long enters at 10000 and leaves at 9998: -2 from its entry bar on.
	flat := `Fri 09 9998 9998 9998 9998 +2
	         Fri 10 9998 9998 9998 9998 +2
	         Fri 11 9998 9998 9998 9998 +2
	         Fri 12 9998 9998 9998 9998 +2
	         Fri 13 9998 9998 9998 9998 +2
	         Fri 14 9998 9998 9998 9998 +2
	         Fri 15 9998 9998 9998 9998 +2
	         Fri 16 9998 9998 9998 9998 +2
	         Fri 17 9998 9998 9998 9998 +2
	         Fri 18 9998 9998 9998 9998 +2
	         Fri 19 9998 9998 9998 9998 +2`
	at := func(bars ...int64) (s []handSignal) {
		for _, b := range bars {
			s = append(s, handSignal{b, Long, 0.75})
		}
		return s
	}
	const two, three = "-2.0,2.0,0.0,0,0,0.0,1.0,2,", "-2.0,2.0,0.0,0,0,0.0,1.0,3,"
	return []handCase{
		{
			name: "max_open_trades 1: an exit at the open of bar 3 frees bar 4, not bar 3", signals: at(0, 1, 2, 3), bars: flat,
			policy: "exit: {max_bars: 2}\nrisk: {max_open_trades: 1}",
			// Signal 0 enters at 1 and leaves at 3. Signals 1 and 2 would enter at 2
			// and 3: exit bar 3 ≥ 2, 3 ≥ 3: dropped. Signal 3 enters at 4: 3 < 4.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," + two + "long,EU,max_bars,10000.0,9998.0,0.75,0,1,3",
				"T000000003,2026-01-30T13:00:00Z,2026-01-30T15:00:00Z," + two + "long,OVERLAP,max_bars,10000.0,9998.0,0.75,3,4,6",
			},
			drops: map[string]int64{"max_open_trades": 2},
		},
		{
			name: "max_open_trades_per_side 1", policy: "exit: {max_bars: 2}\nrisk: {max_open_trades: 3, max_open_trades_per_side: 1}",
			signals: []handSignal{{0, Long, 0.75}, {1, Long, 0.75}, {2, Short, 0.625}, {3, Short, 0.625}, {5, Short, 0.625}},
			bars: `Fri 09  9998  9998  9998  9998 +2
			       Fri 10  9998  9998  9998  9998 +2
			       Fri 11  9998  9998  9998  9998 +2
			       Fri 12 10000 10000 10000 10000 +2
			       Fri 13 10000 10000 10000 10000 +2
			       Fri 14 10000 10000 10000 10000 +2
			       Fri 15 10000 10000 10000 10000 +2
			       Fri 16 10000 10000 10000 10000 +2
			       Fri 17 10000 10000 10000 10000 +2`,
			// Signal 0: in at ask 10000 of bar 1, out at bid 10000 of bar 3: 0; MAE -2.
			// Signal 1: a long is open at 2. Signal 2, a short: in at bid 10000 of
			// bar 3, where the long counts still, out at ask 10002 of bar 5: -2.
			// Signal 3: a short is open at 4. Signal 5 enters at 6: 5 < 6.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z,0.0,2.0,0.0,0,0,0.0,1.0,2,long,EU,max_bars,10000.0,10000.0,0.75,0,1,3",
				"T000000002,2026-01-30T12:00:00Z,2026-01-30T14:00:00Z," + two + "short,EU,max_bars,10000.0,10002.0,0.625,2,3,5",
				"T000000005,2026-01-30T15:00:00Z,2026-01-30T17:00:00Z," + two + "short,OVERLAP,max_bars,10000.0,10002.0,0.625,5,6,8",
			},
			drops: map[string]int64{"max_open_trades_per_side": 2},
		},
		{
			name: "cooldown_bars_after_entry 3", signals: at(0, 2, 3, 4), bars: flat,
			policy: "exit: {max_bars: 2}\nrisk: {max_open_trades: 9, cooldown_bars_after_entry: 3}",
			// The last taken entry is bar 1. Entries at 3 and 4: 3 - 1 = 2 and
			// 4 - 1 = 3 are not above 3. Entry at 5: 4 > 3.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," + two + "long,EU,max_bars,10000.0,9998.0,0.75,0,1,3",
				"T000000004,2026-01-30T14:00:00Z,2026-01-30T16:00:00Z," + two + "long,OVERLAP,max_bars,10000.0,9998.0,0.75,4,5,7",
			},
			drops: map[string]int64{"cooldown_bars_after_entry": 2},
		},
		{
			name: "cooldown_bars_after_exit 2", signals: at(0, 3, 4, 5), bars: flat,
			policy: "exit: {max_bars: 2}\nrisk: {max_open_trades: 1, cooldown_bars_after_exit: 2}",
			// The exit is bar 3. Entries at 4 and 5: 1 and 2 are not above 2. At 6: 3 > 2.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," + two + "long,EU,max_bars,10000.0,9998.0,0.75,0,1,3",
				"T000000005,2026-01-30T15:00:00Z,2026-01-30T17:00:00Z," + two + "long,OVERLAP,max_bars,10000.0,9998.0,0.75,5,6,8",
			},
			drops: map[string]int64{"cooldown_bars_after_exit": 2},
		},
		{
			name: "cooldown_bars_after_exit does not see an exit to come", signals: at(0, 1, 2, 4), bars: flat,
			policy: "exit: {max_bars: 2}\nrisk: {max_open_trades: 2, cooldown_bars_after_exit: 2}",
			// Signal 0: 1 to 3. Signal 1 enters at 2: the exit at 3 is not over. Taken: 2 to 4.
			// Signal 2 enters at 3: exits 3 and 4 are ≥ 3, two open. Signal 4 enters
			// at 5: the last exit is 4, 5 - 4 = 1.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," + two + "long,EU,max_bars,10000.0,9998.0,0.75,0,1,3",
				"T000000001,2026-01-30T11:00:00Z,2026-01-30T13:00:00Z," + two + "long,EU,max_bars,10000.0,9998.0,0.75,1,2,4",
			},
			drops: map[string]int64{"max_open_trades": 1, "cooldown_bars_after_exit": 1},
		},
		{
			name: "the first rule against a signal names the drop", signals: at(0, 1), bars: flat,
			policy: "exit: {max_bars: 2}\nrisk: {max_open_trades: 1, max_open_trades_per_side: 1, cooldown_bars_after_entry: 5}",
			// Signal 1 is against all three.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," + two + "long,EU,max_bars,10000.0,9998.0,0.75,0,1,3",
			},
			drops: map[string]int64{"max_open_trades": 1},
		},
		{
			name: "where the run was stopped: an open trade blocks, the last signal is pending", signals: at(0, 1, 10), bars: flat, stopped: 11,
			policy: "exit: {stop_bps: 20}\nrisk: {max_open_trades: 1}",
			open:   &handOpen{entryBar: 1, markBar: 10, markPrice: 9998, pnlBps: -2},
			drops:  map[string]int64{"max_open_trades": 1, "pending": 1},
		},
		{
			name: "an open trade holds its place as far as it was followed", signals: at(0, 2, 3, 6), bars: flat, stopped: 4,
			policy: "exit: {stop_bps: 20}\nrisk: {max_open_trades: 1, cooldown_bars_after_exit: 100}",
			// A chunk was stopped before bar 4, another one begins at bar 6. Signal 0
			// is open at bar 3, the last one replayed. Signal 2 enters at 3: 3 ≥ 3.
			// Signal 3: its entry bar 4 was not reached. Signal 6 enters at 7: nobody
			// knows of trade 0 there, nor of an exit. It lasts to the data's end.
			rows: []string{
				"T000000006,2026-01-30T16:00:00Z,2026-01-30T19:00:00Z," + three + "long,OVERLAP,REPLAY_EOF,10000.0,9998.0,0.75,6,7,10",
			},
			open:  &handOpen{entryBar: 1, markBar: 3, markPrice: 9998, pnlBps: -2},
			drops: map[string]int64{"max_open_trades": 1, "pending": 1},
		},
		// The same market whole and with bars that nobody replayed.
		{
			name: "complete", signals: at(0, 3, 4, 6), bars: flat,
			policy: "exit: {max_bars: 3}\nrisk: {max_open_trades: 1}",
			// Signal 0: 1 to 4. Signal 3 enters at 4: 4 ≥ 4. Signal 4: 5 to 8.
			// Signal 6 enters at 7: 8 ≥ 7.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T13:00:00Z," + three + "long,EU,max_bars,10000.0,9998.0,0.75,0,1,4",
				"T000000004,2026-01-30T14:00:00Z,2026-01-30T17:00:00Z," + three + "long,OVERLAP,max_bars,10000.0,9998.0,0.75,4,5,8",
			},
			drops: map[string]int64{"max_open_trades": 2},
		},
		{
			name: "bars 2, 4 and 5 are missing", signals: at(0, 3, 6), bars: flat,
			policy: "exit: {max_bars: 3}\nrisk: {max_open_trades: 1}",
			// Trade 0 is followed across the missing bar 2 into the next stretch and
			// blocks signal 3 there. Signal 4 is unknown, so signal 6 finds a place:
			// 7 to 10. It is no trade of the complete run.
			rows: []string{
				"T000000000,2026-01-30T10:00:00Z,2026-01-30T13:00:00Z," + three + "long,EU,max_bars,10000.0,9998.0,0.75,0,1,4",
				"T000000006,2026-01-30T16:00:00Z,2026-01-30T19:00:00Z," + three + "long,OVERLAP,max_bars,10000.0,9998.0,0.75,6,7,10",
			},
			drops: map[string]int64{"max_open_trades": 1},
		},
	}
}
