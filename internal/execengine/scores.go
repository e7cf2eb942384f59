package execengine

import (
	"fmt"
	"math"
	"slices"

	"gx1replay/internal/replay"
	"gx1replay/internal/safefile"
)

// scoreColumns are what a table of scores is read for. More columns may be
// there.
var scoreColumns = []tableColumn{
	{names: []string{"time", "timestamp", parquetIndex, csvIndex}},
	{names: []string{"p_long"}},
	{names: []string{"p_short"}},
}

// wantScore is what a probability may be.
const wantScore = "a probability, 0 to 1, or nothing"

// ReadScores reads scores.csv or scores.parquet in dir, what a command with
// --exec-emits scores leaves: a row for each own bar of its chunk, in order,
// with the columns time, p_long and p_short. own are the opening times of those
// bars, ns since 1970 UTC. A value that is not there or NaN is NaN: no signal.
//
// With partial, of a command that was ended, rows may be missing from some bar
// on, or the file; a last line that has no end is torn and is left out. First
// of the result is 0, the caller's to fill.
//
// Everything else is an error that names file, line or row, column, value and
// what was expected.
func ReadScores(dir *safefile.Dir, own []int64, partial bool) (replay.Scores, error) {
	var s replay.Scores
	t, err := findTable(dir, "scores", tableBytes+tableBytesBar*int64(len(own)), partial)
	if err != nil || t == nil {
		return s, err
	}
	err = t.read(scoreColumns, func(p place, row []cell) error {
		if err := nextBar(p, row[0], own, len(s.PLong)); err != nil {
			return err
		}
		long, err := probability(p, "p_long", row[1])
		if err != nil {
			return err
		}
		short, err := probability(p, "p_short", row[2])
		if err != nil {
			return err
		}
		s.PLong, s.PShort = append(s.PLong, long), append(s.PShort, short)
		return nil
	})
	if err != nil {
		return replay.Scores{}, err
	}
	if n := len(s.PLong); n < len(own) && !partial {
		return replay.Scores{}, fmt.Errorf("%s ends after %d rows (want one for each of the chunk's %d bars; the next is %s)", t.name, n, len(own), stamp(own[n]))
	}
	return s, nil
}

// nextBar says that the row at p is that of own bar k.
func nextBar(p place, c cell, own []int64, k int) error {
	ns, ok := c.time()
	if !ok {
		return p.bad("time", c, wantTime)
	}
	if k < len(own) && own[k] == ns {
		return nil
	}
	want := "no more rows: the chunk's last bar has one"
	if k < len(own) {
		want = stamp(own[k]) + ", the chunk's next bar"
	}
	at, isOwn := slices.BinarySearch(own, ns)
	switch {
	case isOwn && at < k:
		want = "each bar once, in order: this one has a row; " + want
	case isOwn:
		want += ": bars between them have no row"
	case at == 0:
		want += ": this one lies before the chunk, whose own bars alone have rows"
	case at == len(own):
		want += ": this one lies behind the chunk, whose own bars alone have rows"
	default:
		want += ": no bar opens then"
	}
	return p.bad("time", c, want)
}

func probability(p place, column string, c cell) (float64, error) {
	x, ok := c.number()
	if !ok || x < 0 || x > 1 {
		return 0, p.bad(column, c, wantScore)
	}
	if x == 0 {
		return 0, nil // -0
	}
	if x != x {
		return math.NaN(), nil // one NaN is as good as another
	}
	return x, nil
}
