package execengine

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"

	"gx1replay/internal/bars"
	"gx1replay/internal/layout"
	"gx1replay/internal/run"
)

// Memory is a data set in memory, as a Source: for who replays beside the bus.
type Memory struct{ Set bars.Set }

// Bars yields the bars of r.
func (m Memory) Bars(_ context.Context, r run.BarRange) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) {
		if err := m.holds(r); err != nil {
			yield(bars.Bar{}, err)
			return
		}
		for _, b := range m.Set.Bars[r.First:r.End] {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// Extra is what the extra columns have for the bars of r.
func (m Memory) Extra(_ context.Context, r run.BarRange) ([]bars.Column, error) {
	if err := m.holds(r); err != nil {
		return nil, err
	}
	var list []bars.Column
	for i := range m.Set.Extra {
		list = append(list, m.Set.Extra[i].Slice(int(r.First), int(r.End)))
	}
	return list, nil
}

func (m Memory) holds(r run.BarRange) error {
	if n := int64(len(m.Set.Bars)); r.First < 0 || r.First > r.End || r.End > n {
		return fmt.Errorf("bars [%d, %d) of a data set of %d", r.First, r.End, n)
	}
	return nil
}

// DataFile makes what Job.DataFile has to be: the whole data set, written into
// dir when it is first asked for. It is not for several goroutines.
func (m Memory) DataFile(dir string, c run.Command) func(context.Context) (string, error) {
	written := ""
	return func(ctx context.Context) (string, error) {
		if written != "" {
			return written, nil
		}
		path, err := filepath.Abs(filepath.Join(dir, "data."+c.SliceFormat))
		if err != nil {
			return "", err
		}
		_, err = WriteSlice(ctx, path, c.SliceFormat, c.TSFormat, m, run.BarRange{End: int64(len(m.Set.Bars))})
		if err != nil {
			return "", err
		}
		written = path
		return path, nil
	}
}

// ParseTime reads a time as commands write it, in ns since 1970 UTC: RFC 3339
// with T or a blank and any offset, without an offset in UTC, a date alone, or
// whole s, ms, us or ns since 1970, told apart by their size.
func ParseTime(text string) (ns int64, ok bool) { return parseTime(text) }

// OutDir is where in an attempt's directory the command's {out_dir} is.
func OutDir(attempt string) string { return filepath.Join(attempt, layout.OutDir) }
