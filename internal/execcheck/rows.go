package execcheck

import (
	"fmt"

	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// RowDifference is a row that two replays of one chunk do not share, or that
// they have otherwise; empty: it is not there.
type RowDifference struct{ Recorded, Replayed string }

// Chunk is where rows of one chunk are: its bars, and the opening times of all
// bars of the data set.
type Chunk struct {
	Bars   run.BarRange
	Times  []int64
	Ignore []string // columns of trades that are not compared
	// Tolerance is that of Config.
	Tolerance float64
}

// Trades compares the trades that a command left in two replays of the chunk, as
// CSV, by the rules of Run: the order of rows does not count, numbers that are
// equal are one, and columns that number rows are left out.
func (c Chunk) Trades(recorded, replayed []byte) ([]RowDifference, error) {
	was, err := readTable(recorded)
	if err != nil {
		return nil, fmt.Errorf("recorded: %w", err)
	}
	is, err := readTable(replayed)
	if err != nil {
		return nil, fmt.Errorf("replayed: %w", err)
	}
	return c.rows(was, is)
}

// Signals is Trades for signals.
func (c Chunk) Signals(recorded, replayed []trade.Signal) ([]RowDifference, error) {
	return c.rows(signalTable(recorded), signalTable(replayed))
}

func (c Chunk) rows(was, is table) ([]RowDifference, error) {
	if len(was.header) == 0 || len(is.header) == 0 {
		if len(was.rows) == len(is.rows) { // both 0
			return nil, nil
		}
		count := func(t table) string { return fmt.Sprintf("%d rows", len(t.rows)) }
		return []RowDifference{{count(was), count(is)}}, nil
	}
	check := checker{Config: Config{Ignore: c.Ignore, Tolerance: c.Tolerance}, times: c.Times}
	piece := Piece{Idx: 0, Pieces: 1, Bars: c.Bars}
	j, err := check.join(left{piece: piece, table: was}, []left{{piece: piece, table: is}})
	if err != nil {
		return nil, err
	}
	list, _ := j.differences()
	var out []RowDifference
	for _, d := range list {
		recorded, replayed := j.show(d)
		out = append(out, RowDifference{recorded, replayed})
	}
	return out, nil
}
