package selection

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/internal/perf"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// others holds the files of list that lie in dir, as far as they are there, and
// names those that are not.
func (v *verifier) others(dir string, list []file) error {
	for _, f := range list {
		path := filepath.Join(dir, filepath.Base(f.path))
		err := f.verify(v, path)
		if errors.Is(err, fs.ErrNotExist) {
			v.found.Missing = append(v.found.Missing, path)
			continue
		}
		if err != nil {
			return err
		}
		v.found.Others = append(v.found.Others, path)
	}
	return nil
}

// parquet holds the rows of the parquet file against those of the CSV.
func (v *verifier) parquet(path string) error {
	f, info, err := safefile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	rows, n, err := trade.ReadParquet(f, info.Size(), v.found.Rows)
	v.in(path, func(d *perf.Differences) {
		switch {
		case errors.Is(err, trade.ErrRows):
			d.Add("rows", n, fmt.Sprintf("%d, as in the CSV", v.found.Rows))
		case err != nil:
			addError(d, err)
		}
		wrong := 0
		for i := range rows {
			list := rows[i].Differences(&v.rows[i])
			if len(list) == 0 {
				continue
			}
			if wrong++; wrong > shownRows {
				continue
			}
			for _, c := range list {
				addCell(d, fmt.Sprintf("row %d: ", i+1), c)
			}
		}
		moreRows(d, wrong)
	})
	return nil
}

// signals holds the file of signals against the perf JSON, and each row of the
// CSV against the signal that it was made of.
func (v *verifier) signals(path string) error {
	b, err := safefile.Read(path, trade.MaxSignalFile)
	if err != nil {
		return err
	}
	named := v.f.Report.Selection.Signals
	v.in(path, func(d *perf.Differences) {
		if sha := digest(b); sha != named.SHA256 {
			d.Add("sha256", sha, named.SHA256+", signals.sha256 of the perf JSON")
		}
		kept, err := trade.ReadSignals(bytes.NewReader(b), int64(len(b)), v.f.Report.Data.Bars)
		if err != nil {
			addError(d, err)
			return
		}
		if n := int64(len(kept.Signals)); n != named.Rows {
			d.Add("rows", n, fmt.Sprintf("%d, signals.rows of the perf JSON", named.Rows))
		}
		wrong := 0
		for i := range v.rows {
			if r := &v.rows[i]; !madeOf(r, kept.Signals) {
				if wrong++; wrong <= shownRows {
					d.Add(fmt.Sprintf("the signal of bar %d", r.SignalBar), "absent, not taken, or with another entry or exit", "the trade of the CSV's row "+fmt.Sprint(i+1))
				}
			}
		}
		moreRows(d, wrong)
	})
	return nil
}

// madeOf reports whether r is the trade of a taken signal of list, which is in
// order of bars.
func madeOf(r *trade.Row, list []trade.KeptSignal) bool {
	i, ok := slices.BinarySearchFunc(list, r.SignalBar, func(k trade.KeptSignal, bar int64) int { return cmp.Compare(k.Bar, bar) })
	if !ok {
		return false
	}
	k := &list[i]
	return k.Taken && k.Side.String() == r.Side && k.EntryBar == r.EntryBar && k.ExitBar == r.ExitBar &&
		k.EntryPrice == r.EntryPrice && k.ExitPrice == r.ExitPrice
}

// attribution computes where bars and signals went from footers and rows. What
// was dropped is the selection's word.
func (v *verifier) attribution() trade.Attribution {
	a := trade.NewAttribution()
	for i, c := range v.f.Chunks {
		if c.Line.IsZero() {
			continue
		}
		f, t := c.Line.Footer(), v.f.ChunkTrades(i)
		a.Count(f)
		if t.Known {
			a.AddSignals(f.NSignals, t.Open, t.DropReasons)
		}
	}
	for i := range v.rows {
		a.AddTrade(v.rows[i].ExitReason)
	}
	return a
}

// numbers holds the numbers of a JSON file against those of want. What want has
// not is 0 in the file, as a market session without trades is, or of a later
// version.
func (v *verifier) numbers(path string, want any) error {
	b, err := safefile.Read(path, maxVerified)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		return err
	}
	wanted, err := numbersOf(encoded)
	if err != nil {
		return err
	}
	got, err := numbersOf(b)
	v.in(path, func(d *perf.Differences) {
		if err != nil {
			d.Add("content", err, "a JSON object of numbers")
			return
		}
		for _, field := range slices.Sorted(maps.Keys(wanted)) {
			x, there := got[field]
			switch {
			case !there:
				d.Add(field, "missing", wanted[field])
			case x != wanted[field]:
				d.Add(field, x, wanted[field])
			}
		}
		for _, field := range slices.Sorted(maps.Keys(got)) {
			if _, known := wanted[field]; !known && got[field] != 0 && strings.Contains(field, ".") {
				d.Add(field, got[field], "0: no trade of the CSV is part of it")
			}
		}
	})
	return nil
}

// numbersOf lists the numbers of a JSON object by their dotted names.
func numbersOf(b []byte) (map[string]float64, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	list := map[string]float64{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case float64:
			list[prefix] = v
		case map[string]any:
			for name, inner := range v {
				walk(prefix+"."+name, inner)
			}
		}
	}
	for name, v := range object {
		walk(name, v)
	}
	return list, nil
}
