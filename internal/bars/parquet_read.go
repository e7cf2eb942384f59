package bars

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// nullTime stands for a missing time until the bars are checked; no valid
// time is as early. pandas writes it (NaT) for a missing time, too.
const nullTime = math.MinInt64

// ReadParquet reads the bars of a parquet file of size bytes, as we write
// it or as pandas does: `time` (or an index without a name) as timestamp of
// ns, us or ms, in UTC or without a zone, then taken as UTC; bid_… and ask_…
// open, high, low, close, and volume as doubles, floats or integers. Other
// columns, mid prices among them, are ignored. A missing value is an error.
// The bars are valid (Validate); errors of a cell are a *CellError.
func ReadParquet(r io.ReaderAt, size int64) (bars []Bar, err error) {
	set, err := decodeParquet(r, size, false)
	return set.Bars, err
}

// decodeParquet is ReadParquet, with the file's other columns if extra is set.
func decodeParquet(r io.ReaderAt, size int64, extra bool) (set Set, err error) {
	// The decoder panics on some damaged files; a file is input, not our bug.
	defer func() {
		if p := recover(); p != nil {
			set, err = Set{}, fmt.Errorf("damaged parquet file: %v", p)
		}
	}()
	if err := checkFrame(r, size); err != nil {
		return Set{}, err
	}
	f, err := parquet.OpenFile(r, size,
		parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<16))
	if err != nil {
		return Set{}, fmt.Errorf("opening a parquet file: %w", err)
	}
	notes := pandasNotes(f)
	if err := checkPandasZone(notes); err != nil {
		return Set{}, err
	}
	p, err := newParquetColumns(f)
	if err != nil {
		return Set{}, err
	}
	if err := p.checkCodecs(f.Metadata()); err != nil {
		return Set{}, err
	}
	var others parquetExtra
	if extra {
		others = newParquetExtra(f, p, notes)
	}
	// The row count is a claim of the file: believed only so far.
	set.Bars = make([]Bar, 0, max(0, min(f.NumRows(), 1<<20)))
	for g, group := range f.RowGroups() {
		if set.Bars, err = p.readGroup(group, set.Bars); err == nil {
			err = others.readGroup(group, len(set.Bars))
		}
		if err != nil {
			return Set{}, fmt.Errorf("reading row group %d: %w", g, err)
		}
	}
	if err := Validate(set.Bars); err != nil {
		var cell *CellError
		if errors.As(err, &cell) {
			p.asInFile(cell)
		}
		return Set{}, err
	}
	set.Extra, set.ExtraSkipped = others.finish(set.Bars)
	return set, nil
}

// checkFrame refuses what is no parquet file, and a footer longer than the
// file, for which the decoder would allocate whatever it claims.
func checkFrame(r io.ReaderAt, size int64) error {
	if size < 12 {
		return fmt.Errorf("%d bytes are no parquet file (want at least 12)", size)
	}
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the end of the file: %w", err)
	}
	if magic := string(tail[4:]); magic != "PAR1" {
		return fmt.Errorf("no parquet file: it ends with %q (want \"PAR1\")", magic)
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:4])); n > size-12 {
		return fmt.Errorf("damaged parquet file: a footer of %d bytes in a file of %d", n, size)
	}
	return nil
}

// pandasNote is what the note of pandas says of a column.
type pandasNote struct {
	FieldName  string `json:"field_name"`
	PandasType string `json:"pandas_type"`
	NumpyType  string `json:"numpy_type"`
	Metadata   *struct {
		Timezone string `json:"timezone"`
	} `json:"metadata"`
}

// pandasNotes reads the note of pandas, none where there is none or it is not
// readable: it is for pandas, and what we need stands in the schema.
func pandasNotes(f *parquet.File) []pandasNote {
	text, ok := f.Lookup("pandas")
	if !ok {
		return nil
	}
	var meta struct {
		Columns []pandasNote `json:"columns"`
	}
	if json.Unmarshal([]byte(text), &meta) != nil {
		return nil
	}
	return meta.Columns
}

func (n *pandasNote) zone() string {
	if n.Metadata == nil {
		return ""
	}
	return n.Metadata.Timezone
}

// checkPandasZone refuses an index of another zone than UTC. Its instants
// would be clear, but sessions and borders are UTC, and a data set that was
// made for local time is more often a mistake than a wish.
func checkPandasZone(notes []pandasNote) error {
	for _, n := range notes {
		if n.FieldName != "time" && n.FieldName != "__index_level_0__" {
			continue
		}
		switch zone := n.zone(); zone {
		case "", "UTC", "Etc/UTC", "+00:00", "Z":
		default:
			return fmt.Errorf("%s: time zone %s (want UTC)", n.FieldName, shorten(zone))
		}
	}
	return nil
}

// parquetColumns is where and how a file holds a bar's values.
type parquetColumns struct {
	layout layout
	leaves [columnCount]int   // index of the column chunk in a row group
	unitNS int64              // of the time column
	nulls  [columnCount]int64 // row (from 1) of the first null, 0: none
}

func newParquetColumns(f *parquet.File) (*parquetColumns, error) {
	columns := f.Root().Columns()
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.Name()
	}
	l, err := matchColumns(header, false)
	if err != nil {
		return nil, err
	}
	p := &parquetColumns{layout: l}
	for c := range columnCount {
		leaf := columns[l.index[c]]
		if !leaf.Leaf() || leaf.Repeated() {
			return nil, fmt.Errorf("column %s: a nested column (want one value a row)", l.name[c])
		}
		p.leaves[c] = leaf.Index()
		logical := leaf.Type().LogicalType()
		if c == colTime {
			if p.unitNS = timestampUnit(logical); p.unitNS == 0 {
				return nil, fmt.Errorf("column %s: %s (want a timestamp of ns, us or ms)", l.name[c], leaf.Type())
			}
			continue
		}
		if !isNumber(leaf.Type().Kind(), logical) {
			return nil, fmt.Errorf("column %s: %s (want double or float)", l.name[c], leaf.Type())
		}
	}
	return p, nil
}

// timestampUnit is the number of ns in the unit of a timestamp, 0 for any
// other type.
func timestampUnit(t *format.LogicalType) int64 {
	if t == nil {
		return 0
	}
	ts, ok := t.Value.(*format.TimestampType)
	if !ok {
		return 0
	}
	switch ts.Unit.Value.(type) {
	case *format.NanoSeconds:
		return 1
	case *format.MicroSeconds:
		return 1e3
	case *format.MilliSeconds:
		return 1e6
	}
	return 0
}

// isNumber is true for doubles, floats and plain integers (pandas keeps
// volumes as int64), not for decimals, dates and times in integers.
func isNumber(kind parquet.Kind, t *format.LogicalType) bool {
	switch kind {
	case parquet.Double, parquet.Float:
		return true
	case parquet.Int32, parquet.Int64:
		if t == nil {
			return true
		}
		_, ok := t.Value.(*format.IntType)
		return ok
	}
	return false
}

// checkCodecs refuses LZ4: given a damaged page, its decoder doubles its
// buffer until the process is out of memory, which nothing can recover.
func (p *parquetColumns) checkCodecs(meta *format.FileMetaData) error {
	for _, group := range meta.RowGroups {
		for c, leaf := range p.leaves {
			if leaf >= len(group.Columns) {
				return fmt.Errorf("damaged parquet file: a row group of %d columns", len(group.Columns))
			}
			if codec := group.Columns[leaf].MetaData.Codec; !isSafe(codec) {
				return fmt.Errorf("column %s: compressed by %s (want snappy, gzip, brotli, zstd or none)", p.layout.name[c], codec)
			}
		}
	}
	return nil
}

func isSafe(codec format.CompressionCodec) bool {
	switch codec {
	case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd:
		return true
	}
	return false
}

// asInFile gives an error the names and the nulls of the file: a null was
// read as NaN (or nullTime), and the first bad cell of a file, if it is a
// null, is the first null of its column.
func (p *parquetColumns) asInFile(e *CellError) {
	for c := range columnCount {
		if e.Column == c.String() && p.nulls[c] == e.Row {
			e.Value = "null"
		}
	}
	p.layout.asInFile(e)
}
