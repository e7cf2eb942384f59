package trade

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/policy"
	"gx1replay/test/testsize"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"pgregory.net/rapid"
)

// closedOf yields the closed ones of signals as trades.
func closedOf(signals []Signal) iter.Seq[*Signal] {
	return func(yield func(*Signal) bool) {
		for i := range signals {
			if s := &signals[i]; s.Closed() && !yield(s) {
				return
			}
		}
	}
}

func writeCSV(t testing.TB, signals []Signal) []byte { return writeCharged(t, signals, nil) }

func writeParquet(t testing.TB, signals []Signal) []byte { return writeChargedParquet(t, signals, nil) }

func writeCharged(t testing.TB, signals []Signal, costs *policy.Costs) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteCSV(&b, closedOf(signals), testSessions(t), costs); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeChargedParquet(t testing.TB, signals []Signal, costs *policy.Costs) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteParquet(&b, closedOf(signals), testSessions(t), costs); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRowByHand(t *testing.T) {
	sessions := testSessions(t)
	f := fixture()
	for _, c := range []struct {
		name string
		s    Signal
		want Row
	}{
		// Long from 10,000 to 10,010: 10 bps, its best. Entered at bar 11 (bar
		// number 1), out at bar 31 (bar number 21). The signal at 11:10 is EU.
		{"long", f[0], Row{
			TradeID: "T000000010", EntryTimeNS: minute(11), ExitTimeNS: minute(31), PnlBps: 10, MAEBps: 2, MFEBps: 10,
			TimeToMAEBars: 0, TimeToMFEBars: 20, CloseToMFEBps: 0, ExitEfficiency: 1, DurationBars: 20,
			Side: "long", Session: "EU", ExitReason: "target", EntryPrice: 10_000, ExitPrice: 10_010, Score: 0.625,
			SignalBar: 10, EntryBar: 11, ExitBar: 31,
		}},
		// Short to 10,008: -8 bps; 3 - (-8) = 11 given back; -8 / 3.
		{"short", f[1], Row{
			TradeID: "T000000012", EntryTimeNS: minute(13), ExitTimeNS: minute(18), PnlBps: -8, MAEBps: 8, MFEBps: 3,
			TimeToMAEBars: 0, TimeToMFEBars: 5, CloseToMFEBps: 11, ExitEfficiency: -8. / 3, DurationBars: 5,
			Side: "short", Session: "EU", ExitReason: "stop", EntryPrice: 10_000, ExitPrice: 10_008, Score: 0.625,
			SignalBar: 12, EntryBar: 13, ExitBar: 18,
		}},
		// Entered at the close of bar 200 (14:20), so that bar number 1 is 201;
		// never above its entry, so nothing was given back.
		{"entered at the close", f[5], Row{
			TradeID: "T000000200", EntryTimeNS: minute(200), ExitTimeNS: minute(204), PnlBps: f[5].PnlBps(), MAEBps: 1.5, MFEBps: 0,
			TimeToMAEBars: 1, TimeToMFEBars: 0, CloseToMFEBps: 0, ExitEfficiency: 1, DurationBars: 4,
			Side: "short", Session: "OVERLAP", ExitReason: `a "own", reason`, EntryPrice: 10_000, ExitPrice: 10_000.1, Score: 0.625,
			SignalBar: 200, EntryBar: 200, ExitBar: 204,
		}},
	} {
		got, err := NewRow(&c.s, sessions, nil)
		// 10,010 - 10,000 is exact, what follows is rounded: 10 within an ulp.
		if d := got.PnlBps - c.want.PnlBps; math.Abs(d) > 1e-12 {
			t.Errorf("%s: pnl %v (want %v)", c.name, got.PnlBps, c.want.PnlBps)
		}
		for _, x := range []struct{ got, want *float64 }{
			{&got.PnlBps, &c.want.PnlBps}, {&got.CloseToMFEBps, &c.want.CloseToMFEBps}, {&got.ExitEfficiency, &c.want.ExitEfficiency},
		} {
			if math.Abs(*x.got-*x.want) < 1e-12 {
				*x.got = *x.want
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n got %+v\nwant %+v", c.name, err, got, c.want)
		}
	}
	if _, err := NewRow(&f[7], sessions, nil); err == nil || !strings.Contains(err.Error(), "has no exit") {
		t.Errorf("an open trade: %v", err)
	}
	bad := f[0]
	bad.EntryPrice = 0
	if _, err := NewRow(&bad, sessions, nil); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("a trade from price 0: %v", err)
	}
}

// What holds of every row of a trade that was followed.
func TestRowLaws(t *testing.T) {
	sessions := testSessions(t)
	rapid.Check(t, func(t *rapid.T) {
		r, x := drawRules(t), drawBars(t)
		signals := followEach(&r, x, drawSides(t, len(x)), len(x))
		for s := range closedOf(signals) {
			row, err := NewRow(s, sessions, nil)
			if err != nil {
				t.Fatal(err)
			}
			if row.TimeToMAEBars < 0 || row.TimeToMFEBars < 0 || row.TimeToMAEBars > row.DurationBars || row.TimeToMFEBars > row.DurationBars {
				t.Fatalf("an excursion is outside of the trade: %+v", row)
			}
			if row.MAEBps < 0 || row.CloseToMFEBps != row.MFEBps-row.PnlBps && row.MFEBps > 0 {
				t.Fatalf("%+v", row)
			}
			if row.ExitEfficiency > 1 || row.MFEBps == 0 && row.ExitEfficiency != 1 {
				t.Fatalf("%+v", row)
			}
		}
	})
}

// parseCSV reads what WriteCSV wrote as another program would.
func parseCSV(t testing.TB, b []byte) []Row {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	for k, rec := range records {
		var r Row
		columns := parquetColumns(&r)
		if r.Charged = len(rec) > len(columns); r.Charged {
			columns = append(columns, parquetColumns(&r.Charges)...)
		}
		if len(rec) != len(columns) {
			t.Fatalf("%d fields, %d columns", len(rec), len(columns))
		}
		if k == 0 {
			for i, c := range columns {
				if rec[i] != c.name {
					t.Fatalf("column %d is %q in the CSV, %q in the parquet file", i, rec[i], c.name)
				}
			}
			continue
		}
		for i, text := range rec {
			var err error
			switch p := columns[i].value.(type) {
			case *string:
				*p = text
			case *float64:
				*p, err = strconv.ParseFloat(text, 64)
			case *int64:
				if strings.HasSuffix(records[0][i], "_time") {
					var at time.Time
					at, err = time.Parse(time.RFC3339Nano, text)
					*p = at.UnixNano()
				} else {
					*p, err = strconv.ParseInt(text, 10, 64)
				}
			}
			if err != nil {
				t.Fatalf("%s: %v", records[0][i], err)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// column is a field of a row that files hold, with its place in memory.
type column struct {
	name  string
	value any
}

func parquetColumns(row any) (list []column) {
	v := reflect.ValueOf(row).Elem()
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("parquet"), ","); name != "-" {
			list = append(list, column{name, v.Field(i).Addr().Interface()})
		}
	}
	return list
}

// Both files give every bit of every row back.
func TestFilesHoldTheRows(t *testing.T) {
	sessions := testSessions(t)
	rapid.Check(t, func(rt *rapid.T) {
		r, x := drawRules(rt), drawBars(rt)
		signals := followEach(&r, x, drawSides(rt, len(x)), len(x))
		var costs *policy.Costs
		if rapid.Bool().Draw(rt, "costs") {
			costs = drawCosts(rt)
		}
		var want []Row
		for s := range closedOf(signals) {
			row, err := NewRow(s, sessions, costs)
			if err != nil {
				t.Fatal(err)
			}
			if list := row.CheckCharges(2, costs); len(list) > 0 {
				rt.Fatalf("%+v: %v", row, list)
			}
			want = append(want, row)
		}
		if got := parseCSV(t, writeCharged(t, signals, costs)); !slices.Equal(got, want) {
			rt.Fatalf("CSV holds %+v\nwant %+v", got, want)
		}
		b := writeChargedParquet(t, signals, costs)
		if costs == nil {
			got, err := parquet.Read[Row](bytes.NewReader(b), int64(len(b)))
			if err != nil || !slices.Equal(got, want) {
				rt.Fatalf("parquet holds %+v (%v)\nwant %+v", got, err, want)
			}
			return
		}
		got, err := parquet.Read[struct {
			Row
			Charges
		}](bytes.NewReader(b), int64(len(b)))
		for i := range got {
			got[i].Row.Charged, got[i].Row.Charges = true, got[i].Charges
			if i >= len(want) || got[i].Row != want[i] {
				rt.Fatalf("parquet holds %+v\nwant %+v", got, want)
			}
		}
		if err != nil || len(got) != len(want) {
			rt.Fatalf("parquet holds %d rows, %v (want %d)", len(got), err, len(want))
		}
	})
}

func TestFloatsInCSV(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0.0", 1: "1.0", -10: "-10.0", 0.1: "0.1", 2.5: "2.5", 1. / 3: "0.3333333333333333",
		123456789.25: "123456789.25", 1e14: "100000000000000.0", 1e15: "1e+15", 1e-6: "0.000001", 2e-7: "2e-07",
		math.MaxFloat64: "1.7976931348623157e+308", math.SmallestNonzeroFloat64: "5e-324",
	} {
		if got := string(appendFloat([]byte("a.b,"), x)); got != "a.b,"+want {
			t.Errorf("%v is written as %s (want %s)", x, got, want)
		}
	}
}

func TestFilesGolden(t *testing.T) {
	golden(t, "trades.csv", writeCSV(t, fixture()))
	golden(t, "trades_none.csv", writeCSV(t, nil))
	golden(t, "trades_charged.csv", writeCharged(t, fixture(), exampleCosts()))
	golden(t, "trades_charged_none.csv", writeCharged(t, nil, exampleCosts()))
	charged := writeChargedParquet(t, fixture(), exampleCosts())
	file, err := parquet.OpenFile(bytes.NewReader(charged), int64(len(charged)))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "trades_charged.schema", []byte(file.Schema().String()+"\n"))
	plainPages(t, file)
	for name, signals := range map[string][]Signal{"trades": fixture(), "no trades": nil} {
		b := writeParquet(t, signals)
		file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "trades.schema", []byte(file.Schema().String()+"\n"))
		plainPages(t, file)
		if want := int64(len(slices.Collect(closedOf(signals)))); file.NumRows() != want {
			t.Errorf("%s: %d rows (want %d)", name, file.NumRows(), want)
		}
		if again := writeParquet(t, signals); !bytes.Equal(again, b) {
			t.Errorf("%s: written again it has other bytes", name)
		}
	}
}

// plainPages fails if some column has pages or encodings that only some readers
// know: fastparquet, one of the two that pandas has, refuses texts with delta
// lengths, and misreads large dictionaries in pages of version 2.
func plainPages(t testing.TB, file *parquet.File) {
	t.Helper()
	for _, group := range file.Metadata().RowGroups {
		for _, c := range group.Columns {
			for _, s := range c.MetaData.EncodingStats {
				known := s.Encoding == format.Plain || s.Encoding == format.RLEDictionary
				if s.PageType == format.DataPageV2 || !known {
					t.Errorf("column %v: %v in a page of kind %v (want plain or a dictionary, pages of version 1)", c.MetaData.PathInSchema, s.Encoding, s.PageType)
				}
			}
			if len(c.MetaData.EncodingStats) == 0 {
				t.Errorf("column %v does not say how it is encoded", c.MetaData.PathInSchema)
			}
		}
	}
}

// More rows than a buffer or a row group holds.
func TestFilesOfManyTrades(t *testing.T) {
	testsize.All(t)
	signals := make([]Signal, rowGroupRows+2000)
	for i := range signals {
		signals[i] = closed(int64(2*i), int64(i%7), Long, float64(i%13)-6, -6, 6, ExitMaxBars)
	}
	rows := parseCSV(t, writeCSV(t, signals))
	b := writeParquet(t, signals)
	file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(file.RowGroups()); n != 2 {
		t.Errorf("%d row groups (want 2)", n)
	}
	got, err := parquet.Read[Row](bytes.NewReader(b), int64(len(b)))
	if err != nil || len(got) != len(signals) || !slices.Equal(got, rows) {
		t.Errorf("parquet has %d rows, CSV %d (want %d, and the same): %v", len(got), len(rows), len(signals), err)
	}
}

// full is a disk that takes n bytes.
type full struct{ n int }

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.n {
		return 0, io.ErrShortWrite
	}
	f.n -= len(b)
	return len(b), nil
}

// A failed write is an error of every writer, whenever it comes.
func TestWritersReportAFullDisk(t *testing.T) {
	signals := make([]Signal, 3000)
	for i := range signals {
		signals[i] = closed(int64(i), 1, Long, 1, -1, 1, ExitTarget)
	}
	trades := closedOf(signals)
	sessions := testSessions(t)
	for name, write := range map[string]func(io.Writer) error{
		"CSV":         func(w io.Writer) error { return WriteCSV(w, trades, sessions, nil) },
		"parquet":     func(w io.Writer) error { return WriteParquet(w, trades, sessions, nil) },
		"curve":       func(w io.Writer) error { return WriteCurve(w, trades, nil) },
		"metrics":     func(w io.Writer) error { return Measure(trades, sessions, nil).WriteJSON(w) },
		"attribution": Attribution{}.WriteJSON,
		"summary":     fixtureSummary(t).WriteMarkdown,
	} {
		var whole bytes.Buffer
		if err := write(&whole); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, whole.Len() - 1} {
			if err := write(&full{n}); !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("%s on a disk of %d bytes: %v", name, n, err)
			}
		}
	}
	open := fixture()[7:8]
	only := func(yield func(*Signal) bool) { yield(&open[0]) }
	for name, err := range map[string]error{
		"CSV":     WriteCSV(io.Discard, only, sessions, nil),
		"parquet": WriteParquet(io.Discard, only, sessions, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), "writing trade 0 as "+name) {
			t.Errorf("%s of an open trade: %v", name, err)
		}
	}
}

func BenchmarkWriteCSV(b *testing.B) {
	signals := manySignals()
	sessions := testSessions(b)
	for b.Loop() {
		if err := WriteCSV(io.Discard, closedOf(signals), sessions, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(signals)), "ns/trade")
}

func BenchmarkWriteParquet(b *testing.B) {
	signals := manySignals()
	sessions := testSessions(b)
	for b.Loop() {
		if err := WriteParquet(io.Discard, closedOf(signals), sessions, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(signals)), "ns/trade")
}
