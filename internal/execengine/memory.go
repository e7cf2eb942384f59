package execengine

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"

	"gx1replay/internal/bars"
	"gx1replay/internal/layout"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

// Memory is a data set in memory, as a Source: for who replays beside the bus.
type Memory struct{ Set bars.Set }

// Blocks yields the bars of r.
func (m Memory) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	return replay.InMemory(m.Set.Bars).Blocks(ctx, r)
}

// Extra is what the extra columns have for the bars of r.
func (m Memory) Extra(_ context.Context, r run.BarRange) ([]bars.Column, error) {
	if n := int64(len(m.Set.Bars)); r.First < 0 || r.First > r.End || r.End > n {
		return nil, fmt.Errorf("bars [%d, %d) of a data set of %d", r.First, r.End, n)
	}
	var list []bars.Column
	for i := range m.Set.Extra {
		list = append(list, m.Set.Extra[i].Slice(int(r.First), int(r.End)))
	}
	return list, nil
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

// OutDir is where in an attempt's directory the command's {out_dir} is.
func OutDir(attempt string) string { return filepath.Join(attempt, layout.OutDir) }
