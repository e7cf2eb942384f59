package trade

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"gx1replay/internal/bars"
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
	f, err := bars.OpenParquet(r, size)
	if err != nil {
		return nil, 0, err
	}
	if n = f.NumRows(); n != want {
		return nil, n, fmt.Errorf("%w: %d (want %d)", ErrRows, n, want)
	}
	if rows, ok, err := readRows[Row](f, want); ok {
		return rows, n, err
	}
	charged, ok, err := readRows[chargedRow](f, want)
	if !ok {
		return nil, n, fmt.Errorf("its columns are %.300q (want those of trades)", f.Schema().String())
	}
	if err != nil {
		return nil, n, err
	}
	rows = make([]Row, len(charged))
	for i, c := range charged {
		rows[i] = c.Row
		rows[i].Charged, rows[i].Charges = true, c.Charges
	}
	return rows, n, nil
}

// readRows reads want rows of f if its columns are those of T.
func readRows[T any](f *parquet.File, want int64) (rows []T, ok bool, err error) {
	var row T
	schema := parquet.NewSchema(tradesTable, parquet.SchemaOf(row))
	if f.Schema().String() != schema.String() {
		return nil, false, nil
	}
	pr := parquet.NewGenericReader[T](f, schema)
	rows = make([]T, want)
	for at := 0; at < len(rows); {
		k, err := pr.Read(rows[at:])
		at += k
		if at < len(rows) && (err != nil || k == 0) {
			return nil, true, errors.Join(fmt.Errorf("it ends after %d of %d rows: %w", at, want, err), pr.Close())
		}
	}
	return rows, true, pr.Close()
}
