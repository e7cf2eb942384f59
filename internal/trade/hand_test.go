package trade

import (
	"fmt"
	"testing"
)

// Trades computed with pencil and paper. Bars are an hour long. Everybody
// enters at 10,000, a long at the ask and a short at the bid, so that a price
// of 10,000 + x is x bps away. A row is written in three pieces:
//
//	trade_id, entry_time, exit_time
//	pnl, mae, mfe, bars to mae, bars to mfe, close to mfe, efficiency, duration
//	side, session, exit reason, entry price, exit price, score, signal, entry and exit bar
//
// In the comments "low -10" is the pnl in bps at the low of the leaving side:
// of the bid for a long, of the ask for a short.
func TestByHand(t *testing.T) {
	long, short := []handSignal{{0, Long, 0.75}}, []handSignal{{0, Short, 0.625}}
	cases := []handCase{
		// Stops.
		{
			name: "stop, long", policy: "exit: {stop_bps: 20}", signals: long,
			bars: `Fri 09  9998  9998 9998 9998 +2
			       Fri 10  9998 10004 9990 9996 +2
			       Fri 11  9996  9999 9979 9985 +2`,
			// In at bar 1's ask open 9998 + 2. Stop 10000·(1 - 20/10^4) = 9980.
			// Bar 1: low 9990 is above it: -10; high 10004: +4.
			// Bar 2: low 9979 ≤ 9980; out at min(9980, open 9996) = 9980: -20.
			// MAE -20 at bar 2, one after the entry; MFE +4 at the entry bar.
			// Given back 4 - (-20) = 24; efficiency -20/4 = -5.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"-20.0,20.0,4.0,1,0,24.0,-5.0,1," +
				"long,EU,stop,10000.0,9980.0,0.75,0,1,2"},
		},
		{
			name: "stop, short: the ask touches it, the bid does not", policy: "exit: {stop_bps: 20}", signals: short,
			bars: `Fri 09 10000 10000 10000 10000 +2
			       Fri 10 10000 10008  9994 10002 +2
			       Fri 11 10002 10019 10000 10010 +2`,
			// In at bar 1's bid open. Stop 10000·(1 + 20/10^4) = 10020, on the ask.
			// Bar 1, ask: high 10010: -10; low 9996: +4.
			// Bar 2: bid high 10019, ask high 10021 ≥ 10020; out at max(10020, ask open 10004).
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"-20.0,20.0,4.0,1,0,24.0,-5.0,1," +
				"short,EU,stop,10000.0,10020.0,0.625,0,1,2"},
		},
		{
			name: "gap through the stop over a week-end, long", policy: "exit: {stop_bps: 20}", signals: long,
			bars: `Fri 20  9998  9998 9998 9998 +2
			       Fri 21  9998 10000 9996 9998 +2
			       Mon 00  9950  9970 9940 9965 +2`,
			// Bar 1: low -4; high 10000: 0, so there is no MFE yet, nor later.
			// Bar 2 opens at 9950, below 9980: out at min(9980, 9950) = 9950: -50.
			// Its low of 9940 came after the exit and is not in the MAE.
			// max_gap is about entries: a trade is held over any gap.
			// Without an MFE: nothing given back, efficiency 1.
			rows: []string{"T000000000,2026-01-30T21:00:00Z,2026-02-02T00:00:00Z," +
				"-50.0,50.0,0.0,1,0,0.0,1.0,1," +
				"long,US,stop,10000.0,9950.0,0.75,0,1,2"},
		},
		{
			name: "gap through the stop, short, in a wider spread", policy: "exit: {stop_bps: 20}", signals: short,
			bars: `Fri 20 10000 10000 10000 10000 +2
			       Fri 21 10000 10001  9997 10000 +2
			       Mon 00 10058 10060  9900  9950 +5`,
			// Bar 1, ask: high 10003: -3; low 9999: +1.
			// Bar 2: ask open 10058 + 5 = 10063 ≥ 10020: out at 10063: -63.
			// Given back 1 + 63 = 64; efficiency -63/1.
			rows: []string{"T000000000,2026-01-30T21:00:00Z,2026-02-02T00:00:00Z," +
				"-63.0,63.0,1.0,1,0,64.0,-63.0,1," +
				"short,US,stop,10000.0,10063.0,0.625,0,1,2"},
		},
		// Both levels in one bar: the stop.
		{
			name: "a bar that touches both, long", policy: "exit: {stop_bps: 20, target_bps: 30}", signals: long,
			bars: `Fri 09  9998  9998 9998  9998 +2
			       Fri 10  9998 10001 9995  9998 +2
			       Fri 11  9999 10040 9970 10035 +2`,
			// Bar 1: -5, +1. Bar 2: low 9970 ≤ 9980 and high 10040 ≥ 10030: the stop.
			// The high of 10040 is not in the MFE. Given back 1 + 20.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"-20.0,20.0,1.0,1,0,21.0,-20.0,1," +
				"long,EU,stop,10000.0,9980.0,0.75,0,1,2"},
		},
		{
			name: "a bar that touches both, short", policy: "exit: {stop_bps: 20, target_bps: 30}", signals: short,
			bars: `Fri 09 10000 10000 10000 10000 +2
			       Fri 10 10000 10001  9997 10000 +2
			       Fri 11  9999 10025  9960  9962 +2`,
			// Bar 2, ask: high 10027 ≥ 10020 and low 9962 ≤ 9970.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"-20.0,20.0,1.0,1,0,21.0,-20.0,1," +
				"short,EU,stop,10000.0,10020.0,0.625,0,1,2"},
		},
		{
			name: "it opens beyond the target and touches the stop later: the stop", policy: "exit: {stop_bps: 20, target_bps: 30}", signals: long,
			bars: `Fri 09  9998  9998 9998  9998 +2
			       Fri 10  9998 10001 9995  9998 +2
			       Fri 11 10035 10040 9970  9975 +2`,
			// The target would have been filled first, at 10035. The rule is the
			// same for all bars, and the worse one: min(9980, 10035) = 9980.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"-20.0,20.0,1.0,1,0,21.0,-20.0,1," +
				"long,EU,stop,10000.0,9980.0,0.75,0,1,2"},
		},
		// Targets.
		{
			name: "target touched exactly, long", policy: "exit: {stop_bps: 20, target_bps: 30}", signals: long,
			bars: `Fri 09  9998  9998 9998  9998 +2
			       Fri 10  9998 10003 9995 10001 +2
			       Fri 11 10001 10030 9999 10020 +2`,
			// Target 10000·(1 + 30/10^4) = 10030 ≤ high; out at max(10030, open 10001).
			// MAE -5 of bar 1. In bar 2 only the exit counts: MFE 30.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"30.0,5.0,30.0,0,1,0.0,1.0,1," +
				"long,EU,target,10000.0,10030.0,0.75,0,1,2"},
		},
		{
			name: "target, short", policy: "exit: {stop_bps: 20, target_bps: 30}", signals: short,
			bars: `Fri 09 10000 10000 10000 10000 +2
			       Fri 10 10000 10001  9997 10000 +2
			       Fri 11  9990  9995  9968  9975 +2`,
			// Target 9970 on the ask: ask low 9968 + 2. MAE -3 of bar 1 (ask high 10003).
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"30.0,3.0,30.0,0,1,0.0,1.0,1," +
				"short,EU,target,10000.0,9970.0,0.625,0,1,2"},
		},
		{
			name: "gap through the target: the better open, long", policy: "exit: {stop_bps: 20, target_bps: 30}", signals: long,
			bars: `Fri 09  9998  9998  9998  9998 +2
			       Fri 10  9998 10003  9995 10001 +2
			       Fri 11 10045 10050 10040 10042 +2`,
			// Out at max(10030, open 10045): +45. The high of 10050 came later.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"45.0,5.0,45.0,0,1,0.0,1.0,1," +
				"long,EU,target,10000.0,10045.0,0.75,0,1,2"},
		},
		{
			name: "gap through the target, short", policy: "exit: {stop_bps: 20, target_bps: 30}", signals: short,
			bars: `Fri 09 10000 10000 10000 10000 +2
			       Fri 10 10000 10001  9997 10000 +2
			       Fri 11  9940  9950  9930  9935 +2`,
			// Out at min(9970, ask open 9942): +58.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"58.0,3.0,58.0,0,1,0.0,1.0,1," +
				"short,EU,target,10000.0,9942.0,0.625,0,1,2"},
		},
		// Stops that move.
		{
			name: "break-even, long", policy: "exit: {stop_bps: 20, break_even: {activate_bps: 10, offset_bps: 2}}", signals: long,
			bars: `Fri 09  9998  9998  9998  9998 +2
			       Fri 10  9998 10010  9990 10005 +2
			       Fri 11 10005 10008 10002 10004 +2`,
			// Bar 1: high +10 activates it, for the next bar: the stop is now
			// 10000·(1 + 2/10^4) = 10002. Bar 1's own low of 9990 is no exit: -10.
			// Bar 2: low 10002 ≤ 10002: out: +2. Given back 10 - 2; efficiency 2/10.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"2.0,10.0,10.0,0,0,8.0,0.2,1," +
				"long,EU,break_even,10000.0,10002.0,0.75,0,1,2"},
		},
		{
			name: "break-even, short", policy: "exit: {stop_bps: 20, break_even: {activate_bps: 10, offset_bps: 2}}", signals: short,
			bars: `Fri 09 10000 10000 10000 10000 +2
			       Fri 10 10000 10003  9988  9990 +2
			       Fri 11  9990 10000  9985  9999 +2`,
			// Bar 1, ask: low 9990: +10, activates; high 10005: -5.
			// The stop is 10000·(1 - 2/10^4) = 9998. Bar 2: ask high 10002 ≥ 9998.
			// Bar 2's ask low of 9987 (+13) is not counted: only the exit is.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"2.0,5.0,10.0,0,0,8.0,0.2,1," +
				"short,EU,break_even,10000.0,9998.0,0.625,0,1,2"},
		},
		{
			name: "trailing, long", policy: "exit: {stop_bps: 20, trailing: {activate_bps: 10, distance_bps: 5}}", signals: long,
			bars: `Fri 09  9998  9998  9998  9998 +2
			       Fri 10  9998 10010  9996 10009 +2
			       Fri 11 10009 10020 10006 10018 +2
			       Fri 12 10018 10019 10014 10016 +2`,
			// Distance 10000·5/10^4 = 5. Bar 1: +10, on: stop 10010 - 5 = 10005. Low -4.
			// Bar 2: low 10006 is above it. Best 10020 (+20): stop 10015.
			// Bar 3: low 10014 ≤ 10015: out: +15. Given back 20 - 15; efficiency 15/20.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," +
				"15.0,4.0,20.0,0,1,5.0,0.75,2," +
				"long,EU,trailing,10000.0,10015.0,0.75,0,1,3"},
		},
		{
			name: "trailing, short, with a gap through it", policy: "exit: {trailing: {activate_bps: 10, distance_bps: 5}}", signals: short,
			bars: `Fri 09 10000 10000 10000 10000 +2
			       Fri 10 10000 10001  9988  9989 +2
			       Fri 11  9989  9992  9978  9980 +2
			       Fri 12  9985  9990  9980  9982 +2`,
			// Bar 1, ask: high 10003: -3; low 9990: +10, on: stop 9990 + 5 = 9995.
			// Bar 2, ask: high 9994 is below it; low 9980: +20, stop 9985.
			// Bar 3: ask open 9987 is above 9985: out there: +13. Efficiency 13/20.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," +
				"13.0,3.0,20.0,0,1,7.0,0.65,2," +
				"short,EU,trailing,10000.0,9987.0,0.625,0,1,3"},
		},
		{
			name: "a stop only tightens, and the tightest one names the exit", policy: "exit: {stop_bps: 6, trailing: {activate_bps: 2, distance_bps: 20}}", signals: long,
			bars: `Fri 09 9998  9998 9998 9998 +2
			       Fri 10 9998 10002 9996 9999 +2
			       Fri 11 9999 10000 9993 9995 +2`,
			// Bar 1: +2: trailing is on, at 10002 - 20 = 9982, below the stop of 9994.
			// Bar 2: low 9993 ≤ 9994: out at 9994: -6. Given back 2 + 6.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"-6.0,6.0,2.0,1,0,8.0,-3.0,1," +
				"long,EU,stop,10000.0,9994.0,0.75,0,1,2"},
		},
		// RULE A, which looks at closes.
		{
			name: "RULE_A_PROFIT, next_open, long", policy: "exit: {rule_a: {adaptive_bars: 1}}", signals: long,
			bars: `Fri 09  9998  9998  9998  9998 +2
			       Fri 10  9998 10003  9995 10001 +2
			       Fri 11 10001 10008 10000 10007 +2
			       Fri 12 10009 10030  9900 10020 +2`,
			// Bar 1: close +1, less than 4: its trailing stays off, and bar 2 is too late.
			// Bar 2: close +7, between 6 and 9: out at bar 3's open 10009: +9.
			// MAE -5 of bar 1. MFE 8 at bar 2, then the exit's 9, at bar 3.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," +
				"9.0,5.0,9.0,0,2,0.0,1.0,2," +
				"long,EU,RULE_A_PROFIT,10000.0,10009.0,0.75,0,1,3"},
		},
		{
			name: "RULE_A_PROFIT, signal_close, short", policy: "exit: {rule_a: {adaptive_bars: 1}}\nreplay: {fill: signal_close}", signals: short,
			bars: `Fri 09 10003 10005  9999 10000 +2
			       Fri 10  9999 10001  9996  9998 +2
			       Fri 11  9998  9999  9988  9990 +2`,
			// In at the signal bar's bid close, 10000, whatever the next bar opens at.
			// The signal's bar is over: bar 1 is the next.
			// Bar 1, ask: high 10003: -3; low 9998: +2; close 10000: 0.
			// Bar 2, ask: low 9990: +10; close 9992: +8, in the band: out at that close.
			// Distances are from the entry bar 0: MAE 1, MFE 2.
			rows: []string{"T000000000,2026-01-30T09:00:00Z,2026-01-30T11:00:00Z," +
				"8.0,3.0,10.0,1,2,2.0,0.8,2," +
				"short,EU,RULE_A_PROFIT,10000.0,9992.0,0.625,0,0,2"},
		},
		{
			name: "RULE_A_TRAILING, signal_close, long", policy: "exit: {rule_a: true}\nreplay: {fill: signal_close}", signals: long,
			bars: `Fri 09  9997  9999  9995  9998 +2
			       Fri 10  9998 10006  9997 10005 +2
			       Fri 11 10005 10012 10004 10008 +2
			       Fri 12 10008 10011 10007 10011 +2
			       Fri 13 10011 10012 10008 10009 +2`,
			// In at the ask close 9998 + 2.
			// Bar 1 of 3: close +5 ≥ 4: trailing is on, best close 5. Low -3, high +6.
			// Bar 2: close +8 is in the band, which no longer counts. Best 8. High +12.
			// Bar 3: close +11: best 11. Bar 4: close +9 ≤ 11 - 2: out: +9.
			rows: []string{"T000000000,2026-01-30T09:00:00Z,2026-01-30T13:00:00Z," +
				"9.0,3.0,12.0,1,2,3.0,0.75,4," +
				"long,EU,RULE_A_TRAILING,10000.0,10009.0,0.75,0,0,4"},
		},
		{
			name: "RULE_A_TRAILING, next_open, short", policy: "exit: {rule_a: {adaptive_bars: 1}}", signals: short,
			bars: `Fri 09 10000 10000 10000 10000 +2
			       Fri 10 10000 10001  9992  9993 +2
			       Fri 11  9993  9995  9990  9995 +2
			       Fri 12  9996  9999  9980  9985 +2`,
			// Bar 1, the last that may turn it on, ask: high 10003: -3; low 9994: +6;
			// close 9995: +5 ≥ 4: on.
			// Bar 2, ask: low 9992: +8; close 9997: +3 ≤ 5 - 2: out at bar 3's ask open 9998: +2.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," +
				"2.0,3.0,8.0,0,1,6.0,0.25,2," +
				"short,EU,RULE_A_TRAILING,10000.0,9998.0,0.625,0,1,3"},
		},
		// The most bars held.
		{
			name: "max_bars, next_open, long: it comes before the stop of the same open", policy: "exit: {stop_bps: 20, max_bars: 2}", signals: long,
			bars: `Fri 09  9998  9998 9998  9998 +2
			       Fri 10  9998 10002 9996  9999 +2
			       Fri 11  9999 10001 9994  9995 +2
			       Fri 12  9970 10050 9960 10000 +2`,
			// Bars 1 and 2 are held: -4 and +2, then -6. Bar 2's close ends it, at
			// bar 3's open 9970: -30. That is below the stop of 9980, too, but the
			// exit was decided before. Given back 2 + 30; efficiency -30/2.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T12:00:00Z," +
				"-30.0,30.0,2.0,2,0,32.0,-15.0,2," +
				"long,EU,max_bars,10000.0,9970.0,0.75,0,1,3"},
		},
		{
			name: "max_bars, signal_close, short", policy: "exit: {max_bars: 2}\nreplay: {fill: signal_close}", signals: short,
			bars: `Fri 09 10003 10005 9999 10000 +2
			       Fri 10 10000 10001 9996  9998 +2
			       Fri 11  9998 10000 9990  9994 +2`,
			// Bar 1, ask: -3, +2. Bar 2, ask: low 9992: +8; close 9996: +4: out there.
			rows: []string{"T000000000,2026-01-30T09:00:00Z,2026-01-30T11:00:00Z," +
				"4.0,3.0,8.0,1,2,4.0,0.5,2," +
				"short,EU,max_bars,10000.0,9996.0,0.625,0,0,2"},
		},
		// The spread.
		{
			name: "a flat market costs the spread", policy: "exit: {max_bars: 1}", signals: long,
			bars: `Fri 09 9998 9998 9998 9998 +2
			       Fri 10 9998 9998 9998 9998 +2
			       Fri 11 9998 9998 9998 9998 +2`,
			// In at ask 10000, out at bid 9998: -2, from the entry bar on.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T11:00:00Z," +
				"-2.0,2.0,0.0,0,0,0.0,1.0,1," +
				"long,EU,max_bars,10000.0,9998.0,0.75,0,1,2"},
		},
		{
			name: "a spread wider than the stop: out at the entry bar's open", policy: "exit: {stop_bps: 5}", signals: long,
			bars: `Fri 09 9998 9998 9998 9998 +2
			       Fri 10 9992 9999 9990 9998 +8`,
			// In at ask open 9992 + 8. Stop 9995, and the bid opens at 9992: out at
			// min(9995, 9992): -8. Entry and exit are the same bar.
			rows: []string{"T000000000,2026-01-30T10:00:00Z,2026-01-30T10:00:00Z," +
				"-8.0,8.0,0.0,0,0,0.0,1.0,0," +
				"long,EU,stop,10000.0,9992.0,0.75,0,1,1"},
		},
		{
			name: "a spread that widens stops a short whose bid stands still", policy: "exit: {stop_bps: 20}", signals: short,
			bars: `Fri 20 10000 10000 10000 10000 +2
			       Fri 21 10000 10000 10000 10000 +2
			       Fri 22 10000 10000 10000 10000 +20`,
			// Bar 1, ask 10002: -2. Bar 2, ask 10020 ≥ 10020: -20.
			rows: []string{"T000000000,2026-01-30T21:00:00Z,2026-01-30T22:00:00Z," +
				"-20.0,20.0,0.0,1,0,0.0,1.0,1," +
				"short,US,stop,10000.0,10020.0,0.625,0,1,2"},
		},
	}
	for _, c := range append(append(cases, handEnds()...), handSelections()...) {
		t.Run(c.name, func(t *testing.T) {
			for _, most := range []int{0, 1, 2, 100} {
				t.Run(fmt.Sprintf("followed for %d bars first", most), func(t *testing.T) { c.run(t, most) })
			}
		})
	}
}
