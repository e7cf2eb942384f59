package bars

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// nullTime stands for a missing time until the bars are checked; no valid
// time is as early. pandas writes it (NaT) for a missing time, too.
const nullTime = math.MinInt64

// ReadParquet reads the bars of a parquet file of size bytes. Columns are found
// by name as ReadCSV finds them. `time` (or an index without a name) is a
// timestamp, a date, a number since 1970 or a text, in UTC or without a zone,
// then taken as UTC; prices and volume are doubles, floats, integers or
// decimals. Where there are no asks DefaultSpreadBps is assumed. Other columns
// are ignored. A missing value is an error, but for a volume that is missing in
// every row. The bars are valid (Validate); errors of a cell are a *CellError.
func ReadParquet(r io.ReaderAt, size int64) (bars []Bar, err error) {
	set, err := decodeParquet(r, size, ReadOptions{}, &form{})
	return set.Bars, err
}

// decodeParquet is ReadParquet with options.
func decodeParquet(r io.ReaderAt, size int64, opt ReadOptions, form *form) (set Set, err error) {
	// The decoder panics on some damaged files; a file is input, not our bug.
	defer func() {
		if p := recover(); p != nil {
			set, err = Set{}, fmt.Errorf("damaged parquet file: %v", p)
		}
	}()
	f, err := OpenParquet(r, size, parquet.ReadBufferSize(1<<16))
	if err != nil {
		return Set{}, err
	}
	notes := pandasNotes(f)
	p, err := newParquetColumns(f, form)
	if err != nil {
		return Set{}, err
	}
	if err := p.checkZone(notes, form); err != nil {
		return Set{}, err
	}
	if err := p.checkCodecs(f.Metadata()); err != nil {
		return Set{}, err
	}
	if set.SpreadBps, p.factor, p.point, err = p.layout.prices(opt, form); err != nil {
		return Set{}, err
	}
	set.SpreadAssumed = p.layout.assumesSpread(p.point)
	var others parquetExtra
	if opt.Extra {
		others = newParquetExtra(f, p, notes)
	}
	// The row count is a claim of the file: believed only so far.
	bars := make([]Bar, 0, max(0, min(f.NumRows(), 1<<20)))
	for g, group := range f.RowGroups() {
		before := len(bars)
		if bars, err = p.readGroup(group, bars); err == nil {
			err = others.readGroup(group, len(bars)-before)
		}
		if err != nil {
			return Set{}, fmt.Errorf("reading row group %d: %w", g, err)
		}
	}
	raw := rawBars{bars: bars, layout: &p.layout, nulls: p.nulls}
	if len(bars) == 0 {
		return Set{}, ErrEmpty
	}
	if err := p.settle(&raw, form); err != nil {
		return Set{}, err
	}
	set.Read = Reading{Format: p.format, Columns: p.layout.describe(), Time: p.describeTime(form), Notes: p.notes}
	set.NoVolume = p.settleVolume(raw.bars)
	set.instrument = cmp.Or(p.instrument, p.symbols.first)
	p.note(&set, form)
	return finish(set, raw, opt, form, others.finish)
}

// checkFrame refuses what is no parquet file, and a footer that is longer than
// the file or than itself, for which the decoder would allocate what it claims.
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
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if n > size-12 {
		return fmt.Errorf("damaged parquet file: a footer of %d bytes in a file of %d", n, size)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-8-n); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the footer: %w", err)
	}
	if err := checkFooter(footer); err != nil {
		return fmt.Errorf("damaged parquet file: %w", err)
	}
	return nil
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

// checkZone refuses an index of another zone than UTC, unless --tz says that
// zones are known of. Its instants would be clear, but sessions and borders are
// UTC, and a data set that was made for local time is more often a mistake than
// a wish.
func (p *parquetColumns) checkZone(notes []pandasNote, form *form) error {
	name := p.header[p.layout.index[colTime]]
	for _, n := range notes {
		if n.FieldName != name || form.zone != nil {
			continue
		}
		switch zone := n.zone(); zone {
		case "", "UTC", "Etc/UTC", "+00:00", "Z":
		default:
			return fmt.Errorf("%s: time zone %s (want UTC; --tz UTC takes its times as the instants that they are)", n.FieldName, shorten(zone))
		}
	}
	return p.layout.checkZone(form)
}

// checkCodecs refuses LZ4: given a damaged page, its decoder doubles its
// buffer until the process is out of memory, which nothing can recover.
func (p *parquetColumns) checkCodecs(meta *format.FileMetaData) error {
	for _, group := range meta.RowGroups {
		for _, leaf := range p.used {
			if leaf >= len(group.Columns) {
				return fmt.Errorf("damaged parquet file: a row group of %d columns", len(group.Columns))
			}
			if codec := group.Columns[leaf].MetaData.Codec; !isSafe(codec) {
				return fmt.Errorf("column %s: compressed by %s (want snappy, gzip, brotli, zstd or none)", strings.Join(group.Columns[leaf].MetaData.PathInSchema, "."), codec)
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
