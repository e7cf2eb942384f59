package bars

import "fmt"

// Reading says how a file was read: what was found in it, and what was told.
type Reading struct {
	Form    Form     `json:"-"`       // as it was told
	Format  string   `json:"format"`  // empty: generated bars
	Columns string   `json:"columns"` // a bar's columns by the file's names
	Time    string   `json:"time"`
	Notes   []string `json:"notes,omitempty"`   // what a user should know
	Repairs []Change `json:"repairs,omitempty"` // what was put right, as was told
}

func (r *Reading) noteVolume(none bool) {
	if none {
		r.Notes = append(r.Notes, "the data has no volume: it is 0 in each bar")
	}
}

// noteServer is for files of MetaTrader whose zone is not told.
const noteServer = "MetaTrader writes times by its server's clock; here they are taken as UTC (--tz names the clock)"

// noteZone says that a zone was told of times which need none.
func (r *Reading) noteZone(z *zone) {
	if z != nil && !isUTC(z.name) {
		r.Notes = append(r.Notes, "--tz "+z.name+" has no effect: the times are instants, with an offset or as a number since 1970")
	}
}

// noteSpread says what became of a column of spreads.
func (r *Reading) noteSpread(column string, point float64) {
	if point > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("asks are bids and %s points of %s", column, formatFloat(point)))
	} else {
		r.Notes = append(r.Notes, fmt.Sprintf("column %s is not used; --point takes it as the spread in points of that size", column))
	}
}

// finish ends the reading of a file: what is to be put right is, what is wrong
// is refused, and the period is taken. extra makes the columns beside the bars.
func finish(set Set, raw rawBars, opt ReadOptions, f *form, extra func([]Bar) ([]Column, []string)) (Set, error) {
	set.Bars = raw.bars
	set.Extra, set.ExtraSkipped = extra(set.Bars)
	if opt.tolerant {
		set.raw = &raw
		return set, nil
	}
	var err error
	if raw.order, set.Read.Repairs, err = repair(&raw, f.repairs); err != nil {
		return Set{}, err
	}
	if raw.order != nil {
		for i := range set.Extra {
			set.Extra[i] = set.Extra[i].pick(raw.order)
		}
	}
	set.Bars = raw.bars
	if err := judge(&raw); err != nil {
		return Set{}, err
	}
	return f.period.take(set)
}
