package bars

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// slowJSON is a text as the same rows in JSON: a list of objects, or of lists.
// Its numbers and times are the cells as they stand, in quotes, so that the slow
// reader's readings of the text are those of the JSON.
func slowJSON(text string, lists bool) (string, bool) {
	rows := strings.Split(strings.Trim(text, "\n"), "\n")
	if len(rows) < 2 || strings.Contains(text, "\n\n") {
		return "", false
	}
	names := strings.Split(rows[0], ",")
	var all []string
	for _, row := range rows[1:] {
		cells := strings.Split(row, ",")
		if len(cells) != len(names) || len(cells) < 5 {
			return "", false
		}
		var parts []string
		for i, cell := range cells {
			part, _ := json.Marshal(cell)
			if !lists {
				name, _ := json.Marshal(names[i])
				part = slices.Concat(name, []byte(":"), part)
			}
			parts = append(parts, string(part))
		}
		list := strings.Join(parts, ",")
		if lists {
			all = append(all, "["+list+"]")
		} else {
			all = append(all, "{"+list+"}")
		}
	}
	return "[" + strings.Join(all, ",") + "]", true
}

// FuzzReadJSONAsText: of the JSON that the reader takes, the slow reader reads
// the same in the text of which it was made. Lists have no names, so theirs are
// those of a text whose columns are in the order of candles.
func FuzzReadJSONAsText(f *testing.F) {
	for _, seed := range slowSeeds() {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, lists bool) {
		head, _, _ := strings.Cut(text, "\n")
		if lists && head != "time,open,high,low,close,volume" && head != "time,open,high,low,close" {
			return
		}
		content, ok := slowJSON(text, lists)
		if !ok {
			return
		}
		set, err := readJSON(source{}, strings.NewReader(content), ReadOptions{}, &form{})
		slow, serr := slowRead(text)
		if err != nil || serr != nil {
			return
		}
		if len(slow) != 1 {
			t.Fatalf("read in one of %d ways, which is a guess: %+v\n%s", len(slow), set.Bars, content)
		}
		if err := slowSame(set.Bars, slow[0]); err != nil {
			t.Fatalf("%v\n%s", err, content)
		}
	})
}

// FuzzReadNoHeader: of a file without a header that the reader takes, the slow
// reader reads the same with the header that such a file stands for.
func FuzzReadNoHeader(f *testing.F) {
	f.Add("2024.01.02,17:00,1.1,1.25,1.05,1.2,5\n", uint8(0))
	f.Add("1704214800000,1.1,1.25,1.05,1.2,5,1704215099999,5.5,12,3,3.3,0\n", uint8(1))
	f.Add("1704214800,1.1,1.25,1.05,1.2,5,12\n", uint8(2))
	f.Add("2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\n", uint8(3))
	f.Add("2024-01-02,1.1,1.25,1.05,1.2\n", uint8(4))
	heads := []string{
		"<DATE>,<TIME>,open,high,low,close,volume", "time,open,high,low,close,volume,close_time,x1,x2,x3,x4,x5",
		"time,open,high,low,close,volume,x1", "time,open,high,low,close,volume", "time,open,high,low,close",
	}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		head := heads[int(kind)%len(heads)]
		first, _, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n")
		if strings.Count(first, ",") != strings.Count(head, ",") || strings.ContainsAny(first, ";\t|") {
			return
		}
		set, err := readCSV(strings.NewReader(text), ReadOptions{})
		slow, serr := slowRead(head + "\n" + text)
		if err != nil || serr != nil || !strings.Contains(set.Read.Format, "no header") {
			return
		}
		if len(slow) != 1 {
			t.Fatalf("read in one of %d ways, which is a guess: %+v", len(slow), set.Bars)
		}
		if err := slowSame(set.Bars, slow[0]); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}

// FuzzReadParquetOfText: bars that are written as parquet in one of the ways of
// other programs are read as the slow reader reads their text.
func FuzzReadParquetOfText(f *testing.F) {
	for _, seed := range slowSeeds() {
		for kind := range uint8(6) {
			f.Add(seed, kind)
		}
	}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		slow, err := slowRead(text)
		if err != nil || len(slow) != 1 {
			return
		}
		tb := &table{names: []string{"time", "open", "high", "low", "close", "volume"}}
		double := parquet.Optional(parquet.Leaf(parquet.DoubleType))
		when := []parquet.Node{
			parquet.Timestamp(parquet.Nanosecond), parquet.Timestamp(parquet.Microsecond), parquet.TimestampAdjusted(parquet.Millisecond, false),
			parquet.Int(64), parquet.String(), parquet.Uint(64),
		}[kind%6]
		tb.nodes = []parquet.Node{parquet.Optional(when), double, double, double, double, double}
		for _, b := range slow[0] {
			unit := []int64{1, 1e3, 1e6, 1e9, 1, 1}[kind%6]
			if b.when.UnixNano()%unit != 0 || b.when.Year() < 1990 || b.when.Year() > 2099 {
				return
			}
			row := []any{b.when.UnixNano() / unit}
			if kind%6 == 4 {
				row[0] = b.when.UTC().Format("2006-01-02 15:04:05.999999999Z07:00")
			}
			for _, v := range b.values {
				row = append(row, v)
			}
			tb.rows = append(tb.rows, row)
		}
		content := tb.write(t)
		set, err := decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{}, &form{})
		if err != nil {
			return // bars that are not valid
		}
		if err := slowSame(set.Bars, slow[0]); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
