package bars

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
)

// plainTable is a file of one price a bar, as DuckDB, Spark, Polars and
// freqtrade write it.
func plainTable(bars []Bar) *table {
	t := &table{}
	double := parquet.Optional(parquet.Leaf(parquet.DoubleType))
	t.names = []string{"time", "open", "high", "low", "close", "volume"}
	t.nodes = []parquet.Node{parquet.Optional(parquet.Timestamp(parquet.Microsecond)), double, double, double, double, double}
	for i := range bars {
		b := &bars[i]
		t.rows = append(t.rows, []any{b.TimeNS / 1e3, b.BidOpen, b.BidHigh, b.BidLow, b.BidClose, b.Volume})
	}
	return t
}

// bids are bars of bids with the default spread, their prices in cents.
func bids(n int, step time.Duration) []Bar {
	list := Generate(int64(n), 3)
	for i := range list {
		b := &list[i]
		b.TimeNS = syntheticStartNS + int64(i)*int64(step)
		for c := colBidOpen; c <= colBidClose; c++ {
			v, err := strconv.ParseFloat(strconv.FormatFloat(*c.float(b), 'f', 2, 64), 64)
			if err != nil {
				panic(err)
			}
			*c.float(b) = v
		}
		b.assumeSpread(1 + DefaultSpreadBps/1e4)
	}
	return list
}

func cents(v any) int64 {
	n, err := strconv.ParseInt(strings.Replace(strconv.FormatFloat(v.(float64), 'f', 2, 64), ".", "", 1), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// bigEndian is n in a two's complement of so many bytes.
func bigEndian(n int64, size int) []byte {
	return big.NewInt(n).FillBytes(make([]byte, size))
}

func TestParquetSources(t *testing.T) {
	fives, days := bids(300, 5*time.Minute), bids(300, 24*time.Hour)
	us := func(v any) time.Time { return time.UnixMicro(v.(int64)).UTC() }
	text := func(layout string) func(any) any {
		return func(v any) any { return us(v).Format(layout) }
	}
	prices := []string{"open", "high", "low", "close"}
	for _, test := range []struct {
		name   string
		bars   []Bar
		change func(*table)
	}{
		{"one price", fives, func(*table) {}},
		{"a date", days, func(tb *table) {
			tb.change("time", parquet.Optional(parquet.Date()), func(v any) any { return int32(v.(int64) / 86400e6) })
		}},
		{"INT96", fives, func(tb *table) {
			tb.change("time", parquet.Optional(parquet.Leaf(parquet.Int96Type)), func(v any) any {
				ns := v.(int64) * 1e3
				day, rest := ns/86400e9+2440588, uint64(ns%86400e9)
				return deprecated.Int96{uint32(rest), uint32(rest >> 32), uint32(day)}
			})
		}},
		{"seconds as integers", fives, func(tb *table) {
			tb.change("time", parquet.Optional(parquet.Int(64)), func(v any) any { return v.(int64) / 1e6 })
		}},
		{"seconds as int32", fives, func(tb *table) {
			tb.change("time", parquet.Optional(parquet.Int(32)), func(v any) any { return int32(v.(int64) / 1e6) })
		}},
		{"milliseconds without a sign", fives, func(tb *table) {
			tb.change("time", parquet.Optional(parquet.Uint(64)), func(v any) any { return v.(int64) / 1e3 })
		}},
		{"texts", fives, func(tb *table) { tb.change("time", parquet.Optional(parquet.String()), text("2006-01-02 15:04:05")) }},
		{"texts, day first", fives, func(tb *table) {
			tb.change("time", parquet.Optional(parquet.String()), text("02.01.2006 15:04"))
		}},
		{"freqtrade", fives, func(tb *table) { tb.names[0] = "date" }},
		{"copy_rates", fives, func(tb *table) {
			tb.names[5] = "tick_volume"
			tb.change("time", parquet.Optional(parquet.Int(64)), func(v any) any { return v.(int64) / 1e6 })
			tb.add("spread", parquet.Optional(parquet.Int(32)), func(int) any { return int32(3) })
			tb.add("real_volume", parquet.Optional(parquet.Uint(64)), func(int) any { return int64(0) })
		}},
		{"an index that counts", fives, func(tb *table) {
			tb.add("__index_level_0__", parquet.Optional(parquet.Int(64)), func(i int) any { return int64(i) })
		}},
		{"decimals in int32", fives, func(tb *table) {
			for _, name := range prices {
				tb.change(name, parquet.Optional(parquet.Decimal(2, 9, parquet.Int32Type)), func(v any) any { return int32(cents(v)) })
			}
		}},
		{"decimals in int64", fives, func(tb *table) {
			for _, name := range prices {
				tb.change(name, parquet.Optional(parquet.Decimal(2, 18, parquet.Int64Type)), func(v any) any { return cents(v) })
			}
		}},
		{"decimals in 16 bytes", fives, func(tb *table) {
			for _, name := range prices {
				tb.change(name, parquet.Optional(parquet.Decimal(2, 38, parquet.FixedLenByteArrayType(16))), func(v any) any { return bigEndian(cents(v), 16) })
			}
		}},
		{"volumes without a sign", fives, func(tb *table) {
			tb.change("volume", parquet.Optional(parquet.Uint(32)), func(v any) any { return int32(v.(float64)) })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tb := plainTable(test.bars)
			test.change(tb)
			content := tb.write(t)
			set, err := decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{}, &form{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(set.Bars, test.bars) {
				t.Errorf("the first of %d bars is\n%v, want\n%v", len(set.Bars), set.Bars[0], test.bars[0])
			}
			if set.SpreadBps != DefaultSpreadBps {
				t.Errorf("assumed spread %v", set.SpreadBps)
			}
		})
	}
}

// Numbers that a signed or a small type does not hold.
func TestParquetLargeNumbers(t *testing.T) {
	tb := plainTable(bids(3, time.Minute))
	tb.change("volume", parquet.Optional(parquet.Uint(64)), func(any) any { return int64(-1) })
	content := tb.write(t)
	set, err := decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{}, &form{})
	if err != nil || set.Bars[0].Volume != 1<<64 {
		t.Errorf("volume %v, %v; want 2^64", set.Bars, err)
	}
	for _, test := range []struct {
		bytes []byte
		scale int
		want  float64
	}{
		{[]byte{0xFF}, 0, -1},
		{[]byte{}, 2, 0},
		{bigEndian(1<<53+1, 9), 0, 1 << 53},
		{append([]byte{1}, make([]byte, 15)...), 38, 0.013292279957849159},
		{bytes.Repeat([]byte{0xFF}, 16), 2, -0.01},
	} {
		if got := bigDecimal(test.bytes, test.scale); got != test.want {
			t.Errorf("%x with %d places: %v, want %v", test.bytes, test.scale, got, test.want)
		}
	}
	for text, want := range map[string]float64{"1.1052": 1.1052, "-2.5": -2.5, "0": 0, "123456789.987654321": 123456789.987654321} {
		r, _ := new(big.Rat).SetString(text)
		for size, digits := range map[int]int{8: nautilusDigits, 16: nautilusDigitsHigh} {
			n := new(big.Int).Mul(r.Num(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
			n.Quo(n, r.Denom())
			if got := fixedPoint(little(n, size), digits); got != want {
				t.Errorf("%s in %d bytes: %v", text, size, got)
			}
		}
	}
}

// little is n in a little-endian two's complement.
func little(n *big.Int, size int) []byte {
	m := new(big.Int).Set(n)
	if m.Sign() < 0 {
		m.Add(m, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	b := m.FillBytes(make([]byte, size))
	slices.Reverse(b)
	return b
}

// nautilusTable is a file of NautilusTrader's catalogue.
func nautilusTable(bars []Bar, barType string, size int, after time.Duration, closes bool) *table {
	scale := int64(1e9) / 100
	places := big.NewInt(scale)
	if size == 16 {
		places = big.NewInt(1e16 / 100)
	}
	number := func(v float64) any {
		return little(new(big.Int).Mul(big.NewInt(cents(v)), places), size)
	}
	t := &table{names: []string{"open", "high", "low", "close", "volume", "ts_event", "ts_init"}}
	for range 5 {
		t.nodes = append(t.nodes, parquet.Leaf(parquet.FixedLenByteArrayType(size)))
	}
	t.nodes = append(t.nodes, parquet.Uint(64), parquet.Uint(64))
	if barType != "" {
		t.options = append(t.options, parquet.KeyValueMetadata("bar_type", barType))
	}
	for i := range bars {
		b := &bars[i]
		event := b.TimeNS
		if closes {
			event += int64(5 * time.Minute)
		}
		t.rows = append(t.rows, []any{number(b.BidOpen), number(b.BidHigh), number(b.BidLow), number(b.BidClose), number(b.Volume), event, event + int64(after)})
	}
	return t
}

func TestParquetOfNautilus(t *testing.T) {
	const kind = "EUR/USD.SIM-5-MINUTE-BID-EXTERNAL"
	bars := bids(50, 5*time.Minute)
	read := func(tb *table) (Set, error) {
		content := tb.write(t)
		return decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{}, &form{})
	}
	for name, tb := range map[string]*table{
		"16 bytes, times are ends":       nautilusTable(bars, kind, 16, 0, true),
		"8 bytes, times are ends":        nautilusTable(bars, kind, 8, 0, true),
		"16 bytes, times are beginnings": nautilusTable(bars, kind, 16, 5*time.Minute, false),
	} {
		set, err := read(tb)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !slices.Equal(set.Bars, bars) || !strings.Contains(set.Read.Format, "NautilusTrader") {
			t.Errorf("%s: read as %+v, the first bar is\n%v, want\n%v", name, set.Read, set.Bars[0], bars[0])
		}
	}
	for want, tb := range map[string]*table{
		"without a note bar_type":         nautilusTable(bars, "", 16, 0, true),
		"want bars of a time":             nautilusTable(bars, "EUR/USD.SIM-100-TICK-BID-EXTERNAL", 16, 0, true),
		"want bars of bids":               nautilusTable(bars, "EUR/USD.SIM-5-MINUTE-ASK-EXTERNAL", 16, 0, true),
		"row 1: ts_init is 1s after":      nautilusTable(bars, kind, 16, time.Second, true),
		"want INSTRUMENT-STEP-UNIT-SIDE-": nautilusTable(bars, "x", 16, 0, true),
	} {
		if set, err := read(tb); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bars, error %v, want one with %s", len(set.Bars), err, want)
		}
	}
}

// Flags hold for parquet as for texts.
func TestParquetFlags(t *testing.T) {
	bars := bids(100, 5*time.Minute)
	read := func(tb *table, told Form) (Set, error) {
		t.Helper()
		f, err := told.compile()
		if err != nil {
			t.Fatal(err)
		}
		content := tb.write(t)
		return decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{Form: told}, &f)
	}
	naive := plainTable(bars)
	naive.change("time", parquet.TimestampAdjusted(parquet.Microsecond, false), func(v any) any { return v.(int64) - 5*3600e6 })
	set, err := read(naive, Form{TZ: "EST"})
	if err != nil || !slices.Equal(set.Bars, bars) {
		t.Errorf("a zone: %v, %v", set.Bars[:min(1, len(set.Bars))], err)
	}
	set, err = read(plainTable(bars), Form{TZ: "EST"})
	if err != nil || !slices.Equal(set.Bars, bars) {
		t.Errorf("a zone for instants: %v", err)
	}
	other := plainTable(bars)
	other.names = []string{"When", "A", "B", "C", "D", "E"}
	set, err = read(other, Form{Columns: "time=When,open=A,high=B,low=C,close=D"})
	if err != nil || set.Bars[3].BidHigh != bars[3].BidHigh || !set.NoVolume {
		t.Errorf("columns: %v", err)
	}
	points := plainTable(bars)
	points.add("spread", parquet.Optional(parquet.Int(32)), func(i int) any { return int32(i) })
	set, err = read(points, Form{Point: "0.01"})
	if err != nil || set.SpreadBps != 0 || set.Bars[7].AskLow != bars[7].BidLow+7*0.01 {
		t.Errorf("points: %v", err)
	}
	empty := plainTable(bars)
	empty.change("volume", empty.nodes[5], func(any) any { return nil })
	set, err = read(empty, Form{})
	if err != nil || !set.NoVolume || set.Bars[0].Volume != 0 {
		t.Errorf("no volume: %v", err)
	}
	wrong := plainTable(bars)
	wrong.change("time", parquet.String(), func(any) any { return "noon" })
	if _, err := read(wrong, Form{}); err == nil || !strings.Contains(err.Error(), `row 1: time: "noon"`) {
		t.Errorf("no time: %v", err)
	}
}

// Files of which the instrument, the fixed point or the clock is not what a
// glance at their columns says.
func TestParquetNotAsItLooks(t *testing.T) {
	bars := bids(100, 5*time.Minute)
	read := func(tb *table, told Form) (Set, error) {
		t.Helper()
		f, err := told.compile()
		if err != nil {
			t.Fatal(err)
		}
		content := tb.write(t)
		return decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{Form: told}, &f)
	}
	symbols := plainTable(bars)
	symbols.add("symbol", parquet.Optional(parquet.String()), func(i int) any { return string(rune('A' + i/50)) })
	for _, told := range []Form{{}, {Repair: "sort"}} {
		if set, err := read(symbols, told); err == nil || !strings.Contains(err.Error(), `row 51: rows of "A" and of "B" (want one instrument`) {
			t.Errorf("two instruments: %d bars, %v", len(set.Bars), err)
		}
	}
	one := plainTable(bars)
	one.add("symbol", parquet.Optional(parquet.String()), func(int) any { return "A" })
	if set, err := read(one, Form{}); err != nil || !slices.Equal(set.Bars, bars) {
		t.Errorf("one instrument: %v", err)
	}

	// NautilusTrader's int64 without its note: the command that the refusal names
	// reads the fixed point, too.
	fixed := nautilusTable(bars, "", 8, 5*time.Minute, false)
	for _, name := range []string{"open", "high", "low", "close", "volume"} {
		node := parquet.Int(64)
		if name == "volume" {
			node = parquet.Uint(64)
		}
		fixed.change(name, node, func(v any) any { return int64(binary.LittleEndian.Uint64(v.([]byte))) })
	}
	if _, err := read(fixed, Form{}); err == nil || !strings.Contains(err.Error(), "want --columns time=ts_event if they are the beginning") {
		t.Errorf("without a note: %v", err)
	}
	if set, err := read(fixed, Form{Columns: "time=ts_event"}); err != nil || !slices.Equal(set.Bars, bars) {
		t.Errorf("int64 with --columns: %v, the first bar is\n%v, want\n%v", err, set.Bars[:min(1, len(set.Bars))], bars[0])
	}
	if set, err := read(nautilusTable(bars, "", 16, 5*time.Minute, false), Form{Columns: "time=ts_event"}); err != nil || !slices.Equal(set.Bars, bars) {
		t.Errorf("16 bytes with --columns: %v", err)
	}
	noted := nautilusTable(bars, "EUR/USD.SIM-5-MINUTE-BID-EXTERNAL", 16, 0, true)
	if set, err := read(noted, Form{Columns: "close=close"}); err != nil || !slices.Equal(set.Bars, bars) {
		t.Errorf("a note, with --columns for another column: %v", err)
	}

	rates := plainTable(bars)
	rates.names[5] = "tick_volume"
	rates.change("time", parquet.Optional(parquet.Int(64)), func(v any) any { return v.(int64)/1e6 + 2*3600 })
	rates.add("real_volume", parquet.Optional(parquet.Uint(64)), func(int) any { return int64(0) })
	if set, err := read(rates, Form{TZ: "+02:00"}); err != nil || !slices.Equal(set.Bars, bars) {
		t.Errorf("copy_rates by its server's clock: %v", err)
	}
	if set, err := read(plainTable(bars), Form{TZ: "EST"}); err != nil || !slices.ContainsFunc(set.Read.Notes, func(n string) bool { return strings.Contains(n, "--tz EST has no effect") }) {
		t.Errorf("a zone of instants: %v, notes %q", err, set.Read.Notes)
	}
	local := plainTable(bars)
	local.names[0] = "Local time"
	local.change("Local time", parquet.TimestampAdjusted(parquet.Microsecond, false), func(v any) any { return v })
	if _, err := read(local, Form{}); err == nil || !strings.Contains(err.Error(), "its times are not in UTC (want --tz") {
		t.Errorf("local time: %v", err)
	}
}
