package trade

import (
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"

	"gx1replay/internal/feature"
)

// rowGroupTrades is the size of the row groups: what a writer holds in memory
// at once, about 10 MB.
const rowGroupTrades = 64 << 10

// WriteParquet writes the rows of WriteCSV as parquet: Row's columns, none of
// them nullable, times as UTC timestamps in ns, texts as UTF-8, zstd. Without
// trades the file has the schema and no rows. Equal trades are equal bytes as
// long as the parquet library is the same; digests are taken of the CSV.
func WriteParquet(w io.Writer, trades iter.Seq[*Signal], sessions feature.SessionTable) error {
	pw := parquet.NewGenericWriter[Row](w,
		parquet.NewSchema("trades", parquet.SchemaOf(Row{})),
		parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("gx1replay", "1", "trades"))
	rows := make([]Row, 0, 1024)
	n := 0
	write := func() error {
		if _, err := pw.Write(rows); err != nil {
			return fmt.Errorf("writing trades up to %d as parquet: %w", n, err)
		}
		rows = rows[:0]
		return nil
	}
	for s := range trades {
		r, err := NewRow(s, sessions)
		if err != nil {
			return fmt.Errorf("writing trade %d as parquet: %w", n, err)
		}
		rows = append(rows, r)
		n++
		if len(rows) < cap(rows) {
			continue
		}
		if err := write(); err != nil {
			return err
		}
		if n%rowGroupTrades == 0 {
			if err := pw.Flush(); err != nil {
				return fmt.Errorf("writing trades up to %d as parquet: %w", n, err)
			}
		}
	}
	if err := write(); err != nil {
		return err
	}
	if err := pw.Close(); err != nil {
		return fmt.Errorf("writing the footer after %d trades as parquet: %w", n, err)
	}
	return nil
}
