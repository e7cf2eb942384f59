package trade

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// ErrRows: a parquet file of trades has another number of rows than was
// expected.
var ErrRows = errors.New("another number of rows")

// ReadParquet reads what WriteParquet wrote, size bytes, if it has want rows;
// else its error is an ErrRows, and the number of rows that it has is returned.
// What is in the file is not believed: a damaged one is an error.
func ReadParquet(r io.ReaderAt, size, want int64) (rows []Row, n int64, err error) {
	// The decoder panics on some damaged files; a file is input, not our bug.
	defer func() {
		if p := recover(); p != nil {
			rows, err = nil, fmt.Errorf("damaged parquet file: %v", p)
		}
	}()
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, 0, fmt.Errorf("opening a parquet file: %w", err)
	}
	schema := parquet.NewSchema("trades", parquet.SchemaOf(Row{}))
	if got := f.Schema().String(); got != schema.String() {
		return nil, 0, fmt.Errorf("its columns are %.300q (want those of trades)", got)
	}
	if n = f.NumRows(); n != want {
		return nil, n, fmt.Errorf("%w: %d (want %d)", ErrRows, n, want)
	}
	pr := parquet.NewGenericReader[Row](f, schema)
	rows = make([]Row, want)
	for at := 0; at < len(rows); {
		k, err := pr.Read(rows[at:])
		at += k
		if at < len(rows) && (err != nil || k == 0) {
			return nil, n, errors.Join(fmt.Errorf("it ends after %d of %d rows: %w", at, want, err), pr.Close())
		}
	}
	return rows, n, pr.Close()
}
