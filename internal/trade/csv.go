package trade

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// csvNames are the columns: Row's, in its order. chargedNames are those of a
// run whose policy has costs.
const csvNames = "trade_id,entry_time,exit_time,pnl_bps,mae_bps,mfe_bps,time_to_mae_bars,time_to_mfe_bars," +
	"close_to_mfe_bps,exit_efficiency,duration_bars,side,session,exit_reason,entry_price,exit_price,score," +
	"signal_bar,entry_bar,exit_bar"
const chargedNames = csvNames + ",nights,commission_bps,swap_bps,slippage_bps,net_pnl_bps"

const (
	csvHeader     = csvNames + "\n"
	chargedHeader = chargedNames + "\n"
)

// csvBuffer is how many bytes are gathered before they are written.
const csvBuffer = 64 << 10

// WriteCSV writes one row for each of trades, which are closed and in the
// order of their signals, below a line with the columns' names; without
// trades that line alone. Equal trades are equal bytes on every machine:
// floats have as many digits as bring them back, times are RFC 3339 UTC
// (2026-01-05T07:05:00Z), lines end with \n.
//
// costs are the policy's, nil if it has none: then there are no columns about
// them.
func WriteCSV(w io.Writer, trades iter.Seq[*Signal], sessions feature.SessionTable, costs *policy.Costs) error {
	header := csvHeader
	if costs != nil {
		header = chargedHeader
	}
	b := append(make([]byte, 0, csvBuffer+1024), header...)
	n := 0
	for s := range trades {
		r, err := NewRow(s, sessions, costs)
		if err != nil {
			return fmt.Errorf("writing trade %d as CSV: %w", n, err)
		}
		b = r.appendCSV(b)
		n++
		if len(b) >= csvBuffer {
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("writing trades up to %d as CSV: %w", n, err)
			}
			b = b[:0]
		}
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("writing trades up to %d as CSV: %w", n, err)
	}
	return nil
}

func (r *Row) appendCSV(b []byte) []byte {
	b = appendText(b, r.TradeID)
	b = appendTime(append(b, ','), r.EntryTimeNS)
	b = appendTime(append(b, ','), r.ExitTimeNS)
	b = appendFloat(append(b, ','), r.PnlBps)
	b = appendFloat(append(b, ','), r.MAEBps)
	b = appendFloat(append(b, ','), r.MFEBps)
	b = strconv.AppendInt(append(b, ','), r.TimeToMAEBars, 10)
	b = strconv.AppendInt(append(b, ','), r.TimeToMFEBars, 10)
	b = appendFloat(append(b, ','), r.CloseToMFEBps)
	b = appendFloat(append(b, ','), r.ExitEfficiency)
	b = strconv.AppendInt(append(b, ','), r.DurationBars, 10)
	b = appendText(append(b, ','), r.Side)
	b = appendText(append(b, ','), r.Session)
	b = appendText(append(b, ','), r.ExitReason)
	b = appendFloat(append(b, ','), r.EntryPrice)
	b = appendFloat(append(b, ','), r.ExitPrice)
	b = appendFloat(append(b, ','), r.Score)
	b = strconv.AppendInt(append(b, ','), r.SignalBar, 10)
	b = strconv.AppendInt(append(b, ','), r.EntryBar, 10)
	b = strconv.AppendInt(append(b, ','), r.ExitBar, 10)
	if x := &r.Charges; r.Charged {
		b = strconv.AppendInt(append(b, ','), x.Nights, 10)
		b = appendFloat(append(b, ','), x.CommissionBps)
		b = appendFloat(append(b, ','), x.SwapBps)
		b = appendFloat(append(b, ','), x.SlippageBps)
		b = appendFloat(append(b, ','), x.NetPnlBps)
	}
	return append(b, '\n')
}

func appendTime(b []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(b, time.RFC3339Nano)
}

// appendFloat writes plain digits where a person reads them, and an exponent
// where those would be long. A whole number keeps its point (10.0): readers
// guess types from texts, and a column of 1 and 0 would become one of integers
// in one run and of doubles in the next.
func appendFloat(b []byte, x float64) []byte {
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.AppendFloat(b, x, 'e', -1, 64)
	}
	n := len(b)
	b = strconv.AppendFloat(b, x, 'f', -1, 64)
	if bytes.IndexByte(b[n:], '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

// appendText quotes what RFC 4180 asks to be quoted; a policy's own exit
// reason may hold a comma. It may also look like a formula.
func appendText(b []byte, s string) []byte {
	s = SpreadsheetCell(s)
	if !strings.ContainsAny(s, ",\"\r\n") && s != "" && s[0] != ' ' {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
