package trade

import (
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// rowGroupRows is the size of the row groups: what a writer holds in memory
// at once, about 10 MB of trades.
const rowGroupRows = 64 << 10

// chargedRow is a row with the columns that it has where the policy has costs.
type chargedRow struct {
	Row
	Charges
}

// WriteParquet writes the rows of WriteCSV as parquet: Row's columns, none of
// them nullable, times as UTC timestamps in ns, texts as UTF-8, zstd, in pages
// of version 1, plain or with a dictionary. Without trades the file has the
// schema and no rows. Equal trades are equal bytes as long as the parquet
// library is the same; digests are taken of the CSV.
func WriteParquet(w io.Writer, trades iter.Seq[*Signal], sessions feature.SessionTable, costs *policy.Costs) error {
	rows := func(yield func(Row, error) bool) {
		n := 0
		for s := range trades {
			r, err := NewRow(s, sessions, costs)
			if err != nil {
				err = fmt.Errorf("writing trade %d as parquet: %w", n, err)
			}
			if !yield(r, err) {
				return
			}
			n++
		}
	}
	if costs == nil {
		return writeRows(w, tradesTable, rows)
	}
	return writeRows(w, tradesTable, func(yield func(chargedRow, error) bool) {
		for r, err := range rows {
			if !yield(chargedRow{r, r.Charges}, err) {
				return
			}
		}
	})
}

// tradesTable is what the files call themselves.
const tradesTable = "trades"

// writeRows writes rows as parquet; name is what they are called, options may add
// metadata. An error of all ends it, and is returned as it is.
func writeRows[T any](w io.Writer, name string, all iter.Seq2[T, error], options ...parquet.WriterOption) error {
	var schema T
	pw := parquet.NewGenericWriter[T](w, append(options,
		parquet.NewSchema(name, parquet.SchemaOf(schema)),
		parquet.Compression(&parquet.Zstd),
		parquet.DataPageVersion(1), // fastparquet misreads dictionaries of more than 256 values in pages of version 2
		parquet.CreatedBy("gx1replay", "1", name))...)
	rows := make([]T, 0, 1024)
	n := 0
	write := func() error {
		if _, err := pw.Write(rows); err != nil {
			return fmt.Errorf("writing %s up to %d as parquet: %w", name, n, err)
		}
		rows = rows[:0]
		return nil
	}
	for r, err := range all {
		if err != nil {
			return err
		}
		rows = append(rows, r)
		n++
		if len(rows) < cap(rows) {
			continue
		}
		if err := write(); err != nil {
			return err
		}
		if n%rowGroupRows == 0 {
			if err := pw.Flush(); err != nil {
				return fmt.Errorf("writing %s up to %d as parquet: %w", name, n, err)
			}
		}
	}
	if err := write(); err != nil {
		return err
	}
	if err := pw.Close(); err != nil {
		return fmt.Errorf("writing the footer after %d %s as parquet: %w", n, name, err)
	}
	return nil
}
