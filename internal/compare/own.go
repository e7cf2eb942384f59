package compare

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/trade"
)

// mostOwnBps bounds a pnl, so that no sum is infinite.
const mostOwnBps = 1 << 53

// ReadOwn reads the trades that a command made by itself from their CSV: the
// columns entry_time, pnl_bps and side, which may be absent. parse reads a time,
// as ns since 1970 UTC. A row without a time or a pnl is an error: a part of the
// trades would be taken for all of them.
func ReadOwn(r io.Reader, parse func(string) (ns int64, ok bool)) ([]OwnTrade, error) {
	table := csv.NewReader(r)
	table.ReuseRecord = true
	header, err := table.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	column := func(name string) int {
		return slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(trade.CellText(h)), name) })
	}
	entry, pnl, side := column("entry_time"), column("pnl_bps"), column("side")
	if entry < 0 || pnl < 0 {
		return nil, fmt.Errorf("its columns are %.200q (want entry_time and pnl_bps among them)", header)
	}
	list := []OwnTrade{}
	for {
		row, err := table.Read()
		if errors.Is(err, io.EOF) {
			sortOwn(list)
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := table.FieldPos(0)
		var t OwnTrade
		var ok bool
		if t.EntryNS, ok = parse(trade.CellText(row[entry])); !ok {
			return nil, fmt.Errorf("line %d: entry_time is %.40q (want a time)", line, row[entry])
		}
		if t.PnlBps, err = strconv.ParseFloat(strings.TrimSpace(trade.CellText(row[pnl])), 64); err != nil || !(math.Abs(t.PnlBps) <= mostOwnBps) {
			return nil, fmt.Errorf("line %d: pnl_bps is %.40q (want a number)", line, row[pnl])
		}
		if side >= 0 {
			if t.Side, ok = parseSide(row[side]); !ok {
				return nil, fmt.Errorf("line %d: side is %.40q (want long or short)", line, row[side])
			}
		}
		list = append(list, t)
	}
}

// parseSide reads a side as scripts write it.
func parseSide(text string) (trade.Side, bool) {
	switch strings.ToLower(strings.TrimSpace(trade.CellText(text))) {
	case "long", "buy", "1", "+1", "1.0", "l", "b":
		return trade.Long, true
	case "short", "sell", "-1", "-1.0", "s":
		return trade.Short, true
	}
	return 0, false
}
