package execengine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// exitByCommand is the exit reason of a signal whose row gives none.
const exitByCommand = "command"

// The columns of a table of signals, in the order of signalColumns.
const (
	signalTime = iota
	signalSide
	signalEntryTime
	signalEntryPrice
	signalExitTime
	signalExitPrice
	signalExitReason
	signalScore
	signalMAE
	signalMFE
)

var signalColumns = []tableColumn{
	signalTime:       {names: []string{"time", "signal_time"}},
	signalSide:       {names: []string{"side"}},
	signalEntryTime:  {names: []string{"entry_time"}},
	signalEntryPrice: {names: []string{"entry_price"}},
	signalExitTime:   {names: []string{"exit_time"}},
	signalExitPrice:  {names: []string{"exit_price"}},
	signalExitReason: {names: []string{"exit_reason"}, optional: true},
	signalScore:      {names: []string{"score"}, optional: true},
	signalMAE:        {names: []string{"mae_bps"}, optional: true},
	signalMFE:        {names: []string{"mfe_bps"}, optional: true},
}

// ReadSignals reads signals.csv or signals.parquet in dir, what a command with
// --exec-emits signals leaves: a row for each signal at an own bar, at most one
// a bar, in any order, with the columns of signalColumns. The result is in the
// order of bars and valid for own (trade.ValidateSignals).
//
// times are the opening times of the slice's rows, ns since 1970 UTC, of which
// the first is bar firstRow of the data set. All times in the table are times of
// these rows. The entry is at the signal's bar or the next one. Without an
// entry the signal is an expired one; without an exit it is open, marked at its
// entry until MarkOpen. mae_bps may have either sign, and both excursions are
// at least what the trade came to; without them they are that. The score is 0
// where there is none.
//
// With partial the file may be missing, and a last line without its end is
// left out.
func ReadSignals(dir *safefile.Dir, times []int64, firstRow int64, own run.BarRange, partial bool) ([]trade.Signal, error) {
	t, err := findTable(dir, "signals", tableBytes+tableBytesBar*own.Len(), partial)
	if err != nil || t == nil {
		return nil, err
	}
	r := signalReader{times: times, firstRow: firstRow, own: own}
	var list []trade.Signal
	seen := map[int64]int64{} // bar → line
	err = t.read(signalColumns, func(p place, row []cell) error {
		s, err := r.signal(p, row)
		if err != nil {
			return err
		}
		if before, twice := seen[s.Bar]; twice {
			return p.bad(r.timeName(), row[signalTime], fmt.Sprintf("one signal per bar: %s %d has this one's", p.unit, before))
		}
		seen[s.Bar] = p.n
		list = append(list, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b trade.Signal) int { return cmp.Compare(a.Bar, b.Bar) })
	if err := trade.ValidateSignals(list, own, firstRow+int64(len(times))); err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	return list, nil
}

// signalReader makes signals of rows.
type signalReader struct {
	times    []int64
	firstRow int64
	own      run.BarRange
}

func (signalReader) timeName() string { return signalColumns[signalTime].names[0] }

func (r signalReader) signal(p place, row []cell) (trade.Signal, error) {
	s := trade.Signal{EntryBar: trade.NoBar, ExitBar: trade.NoBar, MarkBar: trade.NoBar}
	var err error
	if s.Bar, s.TimeNS, err = r.bar(p, r.timeName(), row[signalTime]); err != nil {
		return s, err
	}
	if s.Bar < r.own.First || s.Bar >= r.own.End {
		return s, p.bad(r.timeName(), row[signalTime], fmt.Sprintf("a bar of the chunk, %s to %s: warm-up and tail are other chunks'",
			stamp(r.times[r.own.First-r.firstRow]), stamp(r.times[r.own.End-1-r.firstRow])))
	}
	if s.Side, err = sideOf(p, row[signalSide]); err != nil {
		return s, err
	}
	if s.Score, err = number(p, "score", row[signalScore], 0); err != nil {
		return s, err
	}
	if row[signalEntryTime].kind == cellNone && row[signalEntryPrice].kind == cellNone {
		s.Expired = true
		return s, r.noExit(p, row, "nothing, as there is no entry")
	}
	if s.EntryBar, s.EntryTimeNS, err = r.bar(p, "entry_time", row[signalEntryTime]); err != nil {
		return s, err
	}
	if s.EntryBar != s.Bar && s.EntryBar != s.Bar+1 {
		return s, p.bad("entry_time", row[signalEntryTime], "the signal's bar, "+stamp(s.TimeNS)+", or the one after it")
	}
	if s.EntryPrice, err = price(p, "entry_price", row[signalEntryPrice]); err != nil {
		return s, err
	}
	if row[signalExitTime].kind == cellNone && row[signalExitPrice].kind == cellNone {
		leaveOpen(&s)
		err = r.noExit(p, row, "nothing, as there is no exit")
	} else {
		err = r.exit(p, row, &s)
	}
	if err == nil {
		err = excursions(p, row, &s)
	}
	return s, err
}

// leaveOpen makes s, which was entered, an open signal that is marked at its
// entry.
func leaveOpen(s *trade.Signal) {
	s.Open, s.MarkBar, s.MarkPrice = true, s.EntryBar, s.EntryPrice
	s.Left = &trade.State{ClosePrice: s.EntryPrice, Best: s.EntryPrice}
}

// noExit says that the row has nothing of an exit.
func (r signalReader) noExit(p place, row []cell, want string) error {
	for _, k := range []int{signalExitTime, signalExitPrice} {
		if row[k].kind != cellNone {
			return p.bad(signalColumns[k].names[0], row[k], want)
		}
	}
	return nil
}

func (r signalReader) exit(p place, row []cell, s *trade.Signal) (err error) {
	if s.ExitBar, s.ExitTimeNS, err = r.bar(p, "exit_time", row[signalExitTime]); err != nil {
		return err
	}
	if s.ExitBar < s.EntryBar {
		return p.bad("exit_time", row[signalExitTime], "no bar before the entry's, "+stamp(s.EntryTimeNS))
	}
	if s.ExitPrice, err = price(p, "exit_price", row[signalExitPrice]); err != nil {
		return err
	}
	if s.ExitReason = row[signalExitReason].String(); s.ExitReason == "" {
		s.ExitReason = exitByCommand
	}
	s.BarsHeld = s.ExitBar - s.EntryBar
	if s.EntryBar != s.Bar {
		s.BarsHeld++ // the entry bar is bar 1
	}
	return nil
}

// bar finds the bar of the slice that opens at the time in c.
func (r signalReader) bar(p place, column string, c cell) (bar, ns int64, err error) {
	ns, ok := c.time()
	if !ok {
		return 0, 0, p.bad(column, c, wantTime)
	}
	k, found := slices.BinarySearch(r.times, ns)
	if !found {
		why := "no bar of it opens then"
		if k == len(r.times) && k > 0 {
			why = "it ends with " + stamp(r.times[k-1])
		}
		return 0, 0, p.bad(column, c, "the opening time of a bar of the slice: "+why+"; --exec-tail-bars gives a slice more bars behind the chunk")
	}
	return r.firstRow + int64(k), ns, nil
}

func sideOf(p place, c cell) (trade.Side, error) {
	switch strings.ToLower(c.String()) {
	case "long", "buy", "1", "1.0", "+1":
		return trade.Long, nil
	case "short", "sell", "-1", "-1.0":
		return trade.Short, nil
	}
	return 0, p.bad("side", c, "long, short, buy, sell, 1 or -1")
}

func price(p place, column string, c cell) (float64, error) {
	x, ok := c.number()
	if !ok || !(x > 0) || math.IsInf(x, 0) {
		return 0, p.bad(column, c, "a finite price above 0")
	}
	return x, nil
}

// number is a finite number; none where the cell has none.
func number(p place, column string, c cell, none float64) (float64, error) {
	if c.kind == cellNone {
		return none, nil
	}
	x, ok := c.number()
	if ok && x != x {
		return none, nil // how tables write that there is none
	}
	if !ok || math.IsInf(x, 0) {
		return 0, p.bad(column, c, "a finite number, or nothing")
	}
	return x, nil
}

// excursions reads the worst and the best of an entered signal, which are at
// least what it came to.
func excursions(p place, row []cell, s *trade.Signal) error {
	mae, err := number(p, "mae_bps", row[signalMAE], 0)
	if err != nil {
		return err
	}
	mfe, err := number(p, "mfe_bps", row[signalMFE], 0)
	if err != nil {
		return err
	}
	if mfe < 0 {
		return p.bad("mfe_bps", row[signalMFE], "0 or more")
	}
	s.MAEBps, s.MFEBps = -math.Abs(mae), mfe
	widen(s)
	return nil
}

// widen makes the excursions of s hold what it came to.
func widen(s *trade.Signal) {
	pnl := s.PnlBps()
	s.MAEBps, s.MFEBps = min(s.MAEBps, pnl, 0), max(s.MFEBps, pnl, 0)
}
