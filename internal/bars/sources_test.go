package bars

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
)

// at is a time in ns.
func at(t *testing.T, text string) int64 {
	t.Helper()
	when, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixNano()
}

// bid is a bar of bids with the default spread.
func bid(ns int64, open, high, low, closing, volume float64) Bar {
	b := Bar{TimeNS: ns, BidOpen: open, BidHigh: high, BidLow: low, BidClose: closing, Volume: volume}
	b.assumeSpread(1 + DefaultSpreadBps/1e4)
	return b
}

// twoBars are what most of the texts below hold: two bars, five minutes apart.
func twoBars(t *testing.T, volume float64) []Bar {
	first := at(t, "2024-01-02 17:00:00")
	return []Bar{bid(first, 1.1, 1.25, 1.05, 1.2, volume), bid(first+300e9, 1.2, 1.3, 1.15, 1.25, volume)}
}

func encodeUTF16(text string, bigEndian bool) string {
	var out []byte
	for _, u := range utf16.Encode([]rune("\uFEFF" + text)) {
		if bigEndian {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zstded(t testing.TB, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// What programs write of the same two bars.
func TestSources(t *testing.T) {
	const (
		mt5 = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n" +
			"2024.01.02\t17:00:00\t1.1\t1.25\t1.05\t1.2\t5\t0\t3\r\n2024.01.02\t17:05:00\t1.2\t1.3\t1.15\t1.25\t5\t0\t3\r\n"
		plain = "time,open,high,low,close,volume\n2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\n2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5\n"
		kline = "%s,1.1,1.25,1.05,1.2,5,%s,5.5,12,3,3.3,0\n%s,1.2,1.3,1.15,1.25,5,%s,5.5,12,3,3.3,0\n"
	)
	klines := func(text string, times ...string) string {
		for _, s := range times {
			text = strings.Replace(text, "%s", s, 1)
		}
		return text
	}
	for _, test := range []struct{ name, text, says string }{
		{"MetaTrader 5", mt5, "separated by tabs"},
		{"MetaTrader 5, UTF-16", encodeUTF16(mt5, false), "UTF-16"},
		{"MetaTrader 5, UTF-16 big-endian", encodeUTF16(mt5, true), "UTF-16"},
		{"MetaTrader 5, UTF-16 without a mark", encodeUTF16(mt5, false)[2:], "UTF-16"},
		{"MetaTrader 5, no header", mt5[strings.Index(mt5, "\n")+1:], "no header, as MetaTrader"},
		{"MetaTrader 4", "2024.01.02,17:00,1.1,1.25,1.05,1.2,5\n2024.01.02,17:05,1.2,1.3,1.15,1.25,5\n", "no header, as MetaTrader"},
		{"MetaTrader's copy_rates", "time,open,high,low,close,tick_volume,spread,real_volume\n1704214800,1.1,1.25,1.05,1.2,5,3,0\n1704215100,1.2,1.3,1.15,1.25,5,3,0\n", "s since 1970"},
		{"copy_rates with an index", ",time,open,high,low,close,tick_volume,spread,real_volume\n0,2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5,3,0\n1,2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5,3,0\n", ""},
		{"Dukascopy", "Gmt time,Open,High,Low,Close,Volume\n02.01.2024 17:00:00.000,1.1,1.25,1.05,1.2,5\n02.01.2024 17:05:00.000,1.2,1.3,1.15,1.25,5\n", "day first"},
		{"Dukascopy, local time with an offset of zero", "Local time,Open,High,Low,Close,Volume\n02.01.2024 17:00:00.000 GMT+0000,1.1,1.25,1.05,1.2,5\n02.01.2024 17:05:00.000 GMT+0000,1.2,1.3,1.15,1.25,5\n", "day first"},
		{"candles in s", klines(kline, "1704214800", "1704215099", "1704215100", "1704215399"), "an exchange's candles"},
		{"candles in ms", klines(kline, "1704214800000", "1704215099999", "1704215100000", "1704215399999"), "ms since 1970"},
		{"candles in us", klines(kline, "1704214800000000", "1704215099999999", "1704215100000000", "1704215399999999"), "us since 1970"},
		{"candles in ns", klines(kline, "1704214800000000000", "1704215099999999999", "1704215100000000000", "1704215399999999999"), "ns since 1970"},
		{"candles, ms and then us", klines(kline, "1704214800000", "1704215099999", "1704215100000000", "1704215399999999"), "ms and us since 1970"},
		{"candles with a header", "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n" +
			klines(kline, "1704214800000", "1704215099999", "1704215100000", "1704215399999"), "ms since 1970"},
		{"candles of seven columns", "1704214800,1.1,1.25,1.05,1.2,5,12\n1704215100,1.2,1.3,1.15,1.25,5,9\n", "an exchange's candles"},
		{"a float of seconds", "timestamp,open,high,low,close,volume\n1704214800.0,1.1,1.25,1.05,1.2,5\n1704215100.0,1.2,1.3,1.15,1.25,5\n", "s since 1970"},
		{"DuckDB", strings.ReplaceAll(plain, ":00,", ":00+00,"), "with an offset"},
		{"Polars", strings.ReplaceAll(strings.ReplaceAll(plain, ":00,", ":00.000000+0000,"), "02 17", "02T17"), "with an offset"},
		{"with UTC", strings.ReplaceAll(plain, ":00,", ":00 UTC,"), "with an offset"},
		{"no seconds", strings.ReplaceAll(plain, ":00,", ","), "year first"},
		{"an index without a name", strings.TrimPrefix(plain, "time"), "time is column 1"},
		{"an index named Unnamed: 0", "Unnamed: 0" + strings.TrimPrefix(plain, "time"), "year first"},
		{"freqtrade's CSV", "date" + strings.TrimPrefix(plain, "time"), "time is date"},
		{"freqtrade's JSON", "[[1704214800000,1.1,1.25,1.05,1.2,5],[1704215100000,1.2,1.3,1.15,1.25,5.0]]", "JSON"},
		{"JSON of objects", `[{"date":"2024-01-02T17:00:00Z","open":1.1,"high":1.25,"low":1.05,"close":1.2,"volume":5},` +
			`{"date":"2024-01-02T17:05:00Z","open":1.2,"low":1.15,"high":1.3,"close":1.25,"volume":5}]`, "a list of objects"},
		{"JSON, an object a line", "{\"t\":1704214800,\"o\":1.1,\"h\":1.25,\"l\":1.05,\"c\":1.2,\"v\":5}\n{\"t\":1704215100,\"o\":1.2,\"h\":1.3,\"l\":1.15,\"c\":1.25,\"v\":5}\n", "one object per row"},
		{"gzip", gzipped(t, plain), "compressed by gzip"},
		{"zstd", zstded(t, plain), "compressed by zstd"},
		{"zstd of JSON", zstded(t, "[[1704214800000,1.1,1.25,1.05,1.2,5],[1704215100000,1.2,1.3,1.15,1.25,5]]"), "JSON, no header, compressed by zstd"},
		{"semicolons and decimal commas", "Date;Open;High;Low;Close;Volume\n02.01.2024 17:00;1,1;1,25;1,05;1,2;5\n02.01.2024 17:05;1,2;1,3;1,15;1,25;5\n", "decimal commas"},
		{"candles of objects, keys that differ in case", `[{"t":1704214800000,"T":1704215099999,"s":"X","i":"5m","o":"1.1","c":"1.2","h":"1.25","l":"1.05","v":"5","n":7},` +
			`{"t":1704215100000,"T":1704215399999,"s":"X","i":"5m","o":"1.2","c":"1.25","h":"1.3","l":"1.15","v":"5","n":7}]`, "ms since 1970"},
		{"Bybit's archive", "start_at,open,high,low,close,volume,turnover\n1704214800,1.1,1.25,1.05,1.2,5,9\n1704215100,1.2,1.3,1.15,1.25,5,9\n", "s since 1970"},
		{"Dukascopy, Time (UTC)", "Time (UTC),Open,High,Low,Close,Volume \n2024.01.02 17:00:00,1.1,1.25,1.05,1.2,5\n2024.01.02 17:05:00,1.2,1.3,1.15,1.25,5\n", "year first"},
		{"Excel's first line", "sep=;\n" + strings.ReplaceAll(plain, ",", ";"), "semicolons"},
		{"Excel's clock", "Date,Open,High,Low,Close,Volume\n2024/1/2 5:00:00 PM,1.1,1.25,1.05,1.2,5\n2024/1/2 5:05:00 PM,1.2,1.3,1.15,1.25,5\n", ""},
		{"Stooq", "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\nX,5,20240102,170000,1.1,1.25,1.05,1.2,5,0\nX,5,20240102,170500,1.2,1.3,1.15,1.25,5,0\n", "time is <DATE>+<TIME>"},
		{"a byte order mark", "\xEF\xBB\xBF" + plain, ""},
		{"bids alone", strings.Replace(plain, "open,high,low,close", "bid_open,bid_high,bid_low,bid_close", 1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := mustOpenText(t, test.text, Form{})
			if want := twoBars(t, 5); !slices.Equal(set.Bars, want) {
				t.Errorf("got\n%v, want\n%v", set.Bars, want)
			}
			if said := set.Read.Format + "; " + set.Read.Columns + "; " + set.Read.Time; !strings.Contains(said, test.says) {
				t.Errorf("read as %s, want %s", said, test.says)
			}
			if set.SpreadBps != DefaultSpreadBps || set.NoVolume {
				t.Errorf("spread %v, no volume %v", set.SpreadBps, set.NoVolume)
			}
		})
	}
}

// mustOpenText reads a file of that content whose name says nothing.
func mustOpenText(t *testing.T, text string, form Form) Set {
	t.Helper()
	set, err := openText(t, text, form)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func openText(t *testing.T, text string, form Form) (Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bars.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadFile(path, ReadOptions{Form: form})
}

// Every format has its place in the document about data.
func TestFormatsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range formats() {
		if !strings.Contains(string(b), f.name) {
			t.Errorf("docs/data.md does not mention the format %s", f.name)
		}
	}
}

// Daily bars, and files without a volume.
func TestSourcesOfDays(t *testing.T) {
	first := at(t, "2024-01-02 00:00:00")
	days := func(volume float64) []Bar {
		return []Bar{bid(first, 1.1, 1.25, 1.05, 1.2, volume), bid(first+day, 1.2, 1.3, 1.15, 1.25, volume)}
	}
	for _, test := range []struct {
		name, text string
		volume     float64
	}{
		{"pandas", "time,open,high,low,close,volume\n2024-01-02,1.1,1.25,1.05,1.2,5\n2024-01-03,1.2,1.3,1.15,1.25,5\n", 5},
		{"Yahoo", "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,1.1,1.25,1.05,1.2,9.9,5\n2024-01-03,1.2,1.3,1.15,1.25,9.9,5\n", 5},
		{"yfinance", "Price,Close,High,Low,Open,Volume\nTicker,X,X,X,X,X\nDate,,,,,\n2024-01-02,1.2,1.25,1.05,1.1,5\n2024-01-03,1.25,1.3,1.15,1.2,5\n", 5},
		{"MetaTrader 5", "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.01.02\t1.1\t1.25\t1.05\t1.2\t5\t0\t3\n2024.01.03\t1.2\t1.3\t1.15\t1.25\t5\t0\t3\n", 5},
		{"MetaTrader 5, no header", "2024.01.02\t1.1\t1.25\t1.05\t1.2\t5\t0\t3\n2024.01.03\t1.2\t1.3\t1.15\t1.25\t5\t0\t3\n", 5},
		{"Stooq", "Date,Open,High,Low,Close,Volume\n20240102,1.1,1.25,1.05,1.2,5\n20240103,1.2,1.3,1.15,1.25,5\n", 5},
		{"no volume", "Date,Open,High,Low,Close\n2024-01-02,1.1,1.25,1.05,1.2\n2024-01-03,1.2,1.3,1.15,1.25\n", 0},
		{"volumes that are NaN", "Date,Open,High,Low,Close,Volume\n2024-01-02,1.1,1.25,1.05,1.2,NaN\n2024-01-03,1.2,1.3,1.15,1.25,nan\n", 0},
		{"no volume in any row", "Date,Open,High,Low,Close,Volume\n2024-01-02,1.1,1.25,1.05,1.2,\n2024-01-03,1.2,1.3,1.15,1.25,\n", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := mustOpenText(t, test.text, Form{})
			if want := days(test.volume); !slices.Equal(set.Bars, want) {
				t.Errorf("got\n%v, want\n%v", set.Bars, want)
			}
			if none := test.volume == 0; set.NoVolume != none || none != slices.ContainsFunc(set.Read.Notes, func(n string) bool { return strings.Contains(n, "no volume") }) {
				t.Errorf("no volume: %v, notes %q", set.NoVolume, set.Read.Notes)
			}
		})
	}
}

// What flags say of a file overrules its content.
func TestForm(t *testing.T) {
	want := twoBars(t, 5)
	const plain = "time,open,high,low,close,volume\n2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\n2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5\n"
	histdata := "20240102 120000;1.1;1.25;1.05;1.2;5\n20240102 120500;1.2;1.3;1.15;1.25;5\n"
	for _, test := range []struct {
		name, text string
		form       Form
	}{
		{"columns by name", "When,A,B,C,D,E\n2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\n2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5\n",
			Form{Columns: "time=when,open=A,high=B,low=C,close=D,volume=E"}},
		{"columns by number, no header", "X,2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\nX,2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5\n",
			Form{Columns: "time=2,open=3,high=4,low=5,close=6,volume=7"}},
		{"a clock of its own", "day,hour,open,high,low,close,volume\n2024-01-02,17:00,1.1,1.25,1.05,1.2,5\n2024-01-02,17:05,1.2,1.3,1.15,1.25,5\n", Form{Columns: "time=day+hour"}},
		{"close of another column", "time,open,high,low,close,Last,volume\n2024-01-02 17:00:00,1.1,1.25,1.05,9,1.2,5\n2024-01-02 17:05:00,1.2,1.3,1.15,9,1.25,5\n", Form{Columns: "close=Last"}},
		{"day first", strings.ReplaceAll(plain, "2024-01-02", "02/01/2024"), Form{TimeFormat: "%d/%m/%Y %H:%M:%S"}},
		{"month first", strings.ReplaceAll(plain, "2024-01-02", "01/02/2024"), Form{TimeFormat: "%m/%d/%Y %T"}},
		{"a month by name", strings.NewReplacer("2024-01-02 17:00:00", "2-Jan-24 5:00 PM", "2024-01-02 17:05:00", "2-January-24 5:05 pm").Replace(plain), Form{TimeFormat: "%d-%b-%y %I:%M %p"}},
		{"seconds", strings.NewReplacer("2024-01-02 17:00:00", "1704214800", "2024-01-02 17:05:00", "1704215100").Replace(plain), Form{TimeFormat: "s"}},
		{"HistData", histdata, Form{TZ: "EST"}},
		{"HistData by offset", histdata, Form{TZ: "-05:00"}},
		{"New York", histdata, Form{TZ: "America/New_York"}},
		{"a broker's server", strings.ReplaceAll(plain, "02 17:", "02 19:"), Form{TZ: "America/New_York+7"}},
		{"offsets", strings.NewReplacer(":00,", ":00-05:00,", "02 17:", "02 12:").Replace(plain), Form{TZ: "UTC"}},
		{"a separator", strings.ReplaceAll(plain, ",", "^"), Form{Sep: "^"}},
		{"tabs", strings.ReplaceAll(plain, ",", "\t"), Form{Sep: "tab"}},
		{"columns that differ in case", "t,T,open,high,low,close,volume\n2024-01-02 17:00:00,2024-01-02 17:05:00,1.1,1.25,1.05,1.2,5\n2024-01-02 17:05:00,2024-01-02 17:10:00,1.2,1.3,1.15,1.25,5\n", Form{Columns: "time=t"}},
		{"decimal commas in quotes", "time,open,high,low,close,volume\n2024-01-02 17:00:00,\"1,1\",\"1,25\",\"1,05\",\"1,2\",5\n2024-01-02 17:05:00,\"1,2\",\"1,3\",\"1,15\",\"1,25\",5\n", Form{Decimal: ","}},
		{"copy_rates by its server's clock", "time,open,high,low,close,tick_volume,spread,real_volume\n1704222000,1.1,1.25,1.05,1.2,5,3,0\n1704222300,1.2,1.3,1.15,1.25,5,3,0\n", Form{TZ: "Europe/Helsinki"}},
		{"Dukascopy's local time", "Local time,Open,High,Low,Close,Volume\n02.01.2024 18:00:00.000,1.1,1.25,1.05,1.2,5\n02.01.2024 18:05:00.000,1.2,1.3,1.15,1.25,5\n", Form{TZ: "Europe/Zurich"}},
		{"Dukascopy's Time (CET)", "Time (CET),Open,High,Low,Close,Volume\n02.01.2024 18:00:00,1.1,1.25,1.05,1.2,5\n02.01.2024 18:05:00,1.2,1.3,1.15,1.25,5\n", Form{TZ: "CET"}},
		{"decimal commas", "time;open;high;low;close;volume\n2024-01-02 17:00:00;1,100;1,250;1,050;1,200;5\n2024-01-02 17:05:00;1,200;1,300;1,150;1,250;5\n", Form{Decimal: ","}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := mustOpenText(t, test.text, test.form)
			if !slices.Equal(set.Bars, want) {
				t.Errorf("got\n%v, want\n%v", set.Bars, want)
			}
			if set.Read.Form != test.form {
				t.Errorf("form %+v, want %+v", set.Read.Form, test.form)
			}
		})
	}
}

// A column of spreads in points makes the asks, if it is asked for.
func TestPoint(t *testing.T) {
	const text = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.01.02\t17:00:00\t1.1\t1.25\t1.05\t1.2\t5\t0\t3\n"
	set := mustOpenText(t, text, Form{Point: "0.00001"})
	spread := 3 * 0.00001
	want := Bar{at(t, "2024-01-02 17:00:00"), 1.1, 1.25, 1.05, 1.2, 1.1 + spread, 1.25 + spread, 1.05 + spread, 1.2 + spread, 5}
	if !slices.Equal(set.Bars, []Bar{want}) || set.SpreadBps != 0 {
		t.Errorf("%v with spread %v, want %v", set.Bars, set.SpreadBps, want)
	}
	set = mustOpenText(t, text, Form{})
	if set.SpreadBps != DefaultSpreadBps || !strings.Contains(strings.Join(set.Read.Notes, "; "), "<SPREAD> is not used") {
		t.Errorf("spread %v, notes %q", set.SpreadBps, set.Read.Notes)
	}
}

// What can be read in two ways, or in none, is refused.
func TestSourcesRefused(t *testing.T) {
	const six = "time,open,high,low,close,volume\n"
	row := func(time string) string { return time + ",1.1,1.25,1.05,1.2,5\n" }
	for _, test := range []struct {
		name, text string
		form       Form
		want       string
	}{
		{"day or month", six + row("01/02/2024 00:00") + row("02/02/2024 00:00"), Form{}, `line 2: in "01/02/2024 00:00", and in each other time, either the day or the month may be first`},
		{"day and month", six + row("13/02/2024") + row("02/14/2024"), Form{}, `line 2 has the day first, "13/02/2024", and line 3 the month, "02/14/2024"`},
		{"the month first with dots", six + row("02.14.2024"), Form{}, "want the day first in dates with dots"},
		{"no such day", six + row("31/02/2024"), Form{}, `line 2 (bar 1): time: "31/02/2024"`},
		{"two digits of a year", six + row("13/02/24"), Form{}, "the year in four digits"},
		{"another form", six + row("2024-01-02") + row("03/01/2024"), Form{}, `line 3 (bar 2): time: "03/01/2024" (want a time in the form of the first row)`},
		{"an offset", six + row("2024-01-02 00:00:00-05:00"), Form{}, "--tz UTC reads other offsets"},
		{"times with and without an offset", six + row("2024-01-02 00:00:00") + row("2024-01-02 00:05:00Z"), Form{TZ: "EST"}, "line 2 has \"2024-01-02 00:00:00\", line 3 has"},
		{"an epoch of no unit", six + row("123456"), Form{}, "a UTC time"},
		{"thousands or decimals", "time;open;high;low;close;volume\n2024-01-02;1,234;1,250;1,050;1,240;5\n", Form{}, "the comma may separate thousands"},
		{"both marks", "time;open;high;low;close;volume\n2024-01-02;1,1;1.25;1,05;1,2;5\n", Form{}, `line 2 (bar 1): high: "1.25" (want a number with a decimal comma`},
		{"no header, unknown columns", "2024-01-02,1.1,1.25,1.05,1.2,5,6,7,8\n", Form{}, "no header line"},
		{"candles that close before they open", "1704214800,1.1,1.25,1.05,1.2,5,1704214000,5.5,12,3,3.3,0\n", Form{}, "no header line"},
		{"a volume here and there", six + row("2024-01-02") + "2024-01-03,1.1,1.25,1.05,1.2,\n", Form{}, `line 3 (bar 2): volume: "" (want a number)`},
		{"two columns of one alias", "Time stamp,timestamp,open,high,low,close\n1,2,1,1,1,1\n", Form{}, "two columns are named as"},
		{"time in EET", "Time (EET),Open,High,Low,Close,Volume\n2024.01.02 00:00:00,1.1,1.25,1.05,1.2,5\n", Form{}, "want --tz EET"},
		{"time in CET", "Time (CET),Open,High,Low,Close,Volume\n2024.01.02 00:00:00,1.1,1.25,1.05,1.2,5\n", Form{}, "want --tz CET"},
		{"time in CET, named", "Time (CET),Open,High,Low,Close,Volume\n2024.01.02 00:00:00,1.1,1.25,1.05,1.2,5\n", Form{Columns: "time=Time (CET)"}, "want --tz CET"},
		{"local time", "Local time,Open,High,Low,Close,Volume\n02.01.2024 18:00:00.000,1.1,1.25,1.05,1.2,5\n", Form{}, "column Local time: its times are not in UTC (want --tz with the zone"},
		{"a name of which the case is open", "Time stamp,TIME STAMP,open,high,low,close\n2024-01-02,2024-01-03,1,1,1,1\n", Form{Columns: "time=time stamp"}, "two columns are named as"},
		{"two instruments", "symbol,time,open,high,low,close\nA,2024-01-02,1,1,1,1\nB,2024-01-03,1,1,1,1\n", Form{}, `line 3 (bar 2): rows of "A" and of "B" (want one instrument`},
		{"two instruments of Stooq", "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\nX,D,20240102,000000,1,1,1,1,5,0\nY,D,20240103,000000,1,1,1,1,5,0\n", Form{}, "want one instrument"},
		{"two instruments as objects", `[{"symbol":"A","t":1704214800,"o":1,"h":1,"l":1,"c":1},{"symbol":"B","t":1704214900,"o":1,"h":1,"l":1,"c":1}]`, Form{}, "want one instrument"},
		{"a number in base 16", six + "2024-01-02,0x1p1,0x1p1,0x1p1,0x1p1,5\n", Form{}, `open: "0x1p1" (want a number)`},
		{"a number with an underscore", six + "2024-01-02,1_0,1_0,1_0,1_0,5\n", Form{}, `open: "1_0" (want a number)`},
		{"what no repair helps against", six + row("2024-01-03") + row("2024-01-02") + row("x"), Form{Repair: "sort"}, `line 4 (bar 3): time: "x"`},
		{"HistData without its zone", "20240102 170000;1.1;1.25;1.05;1.2;5\n", Form{}, "want --tz EST"},
		{"several tickers", "Price,Close,Close,High,Low,Open\nTicker,A,B,A,A,A\nDate,,,,,\n", Form{}, "several instruments"},
		{"instruments that a repair would mix", "symbol,time,open,high,low,close\nA,2024-01-02,1,1,1,1\nB,2024-01-01,1,1,1,1\n", Form{Repair: "sort"}, `rows of "A" and of "B"`},
		{"no such column", six + row("2024-01-02"), Form{Columns: "time=Datum"}, `the file has no column "Datum"`},
		{"sides and none", six + row("2024-01-02"), Form{Columns: "open=open,bid_high=high"}, "bid_high beside prices without a side"},
		{"a point without spreads", six + row("2024-01-02"), Form{Point: "0.01"}, "no column of spreads"},
		{"a cut gzip", gzipped(t, six+row("2024-01-02"))[:40], Form{}, "unexpected EOF"},
		{"a spoilt zstd", zstded(t, six+row("2024-01-02"))[:20], Form{}, "unexpected EOF"},
		{"feather", "ARROW1\x00\x00\x00", Form{}, "want parquet: python3"},
		{"JSON that ends", "[[1704214800,1,1,1,1,1],", Form{}, "reading bar 2"},
		{"JSON with more behind", "[[1704214800,1,1,1,1,1]] x", Form{}, "something follows"},
		{"JSON of other keys", `[{"t":1704214800,"o":1,"h":1,"l":1,"c":1},{"t":1704214900,"o":1,"h":1,"l":1,"x":1}]`, Form{}, `key "x" is not in the first object`},
		{"JSON with a key twice", `[{"t":1704214800,"o":1,"h":1,"l":1,"c":1},{"t":1704214900,"o":1,"o":1,"l":1,"c":1}]`, Form{}, `key "o" appears twice`},
		{"JSON of nested lists", "[[[1704214800],1,1,1,1]]", Form{}, "a list or an object in a row"},
		{"a time format without a day", six, Form{TimeFormat: "%Y-%m"}, "it has no date"},
		{"an unknown directive", six, Form{TimeFormat: "%Y-%m-%d %Q"}, `"%Q" is no directive`},
		{"another time than told", six + row("2024-01-02"), Form{TimeFormat: "%d/%m/%Y"}, "(want a time as --time-format"},
		{"an unknown zone", six, Form{TZ: "Atlantis"}, `time zone "Atlantis" is unknown`},
		{"an unknown repair", six, Form{Repair: "all"}, `repair "all" is unknown`},
		{"a point of 0", six, Form{Point: "0"}, "--point"},
		{"a comma for all", six, Form{Sep: ",", Decimal: ","}, "--decimal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, err := openText(t, test.text, test.form)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bars, error %v\nwant one with %s", len(set.Bars), err, test.want)
			}
		})
	}
}

// The whole file tells what a row leaves open.
func TestDateOrder(t *testing.T) {
	for _, test := range []struct{ rows, want string }{
		{"01/02/2024,13/02/2024", "2024-02-01"},
		{"01/02/2024,01/13/2024", "2024-01-02"},
		{"01-02-2024,13-02-2024", "2024-02-01"},
		{"1/2/2024 0:00,1/13/2024 0:05", "2024-01-02"},
		{"01.02.2024,02.02.2024", "2024-02-01"},
	} {
		text := "time,open,high,low,close\n"
		for row := range strings.SplitSeq(test.rows, ",") {
			text += row + ",1,1,1,1\n"
		}
		if set := mustOpenText(t, text, Form{}); set.Bars[0].TimeNS != at(t, test.want+" 00:00:00") {
			t.Errorf("%s: begins at %s, want %s", test.rows, formatTime(set.Bars[0].TimeNS), test.want)
		}
	}
}

// Hours that a clock shows twice or never are refused with their lines; others
// around them are read by the right offset.
func TestZones(t *testing.T) {
	read := func(zone string, times ...string) ([]Bar, error) {
		text := "time,open,high,low,close\n"
		for _, s := range times {
			text += s + ",1,1,1,1\n"
		}
		set, err := openText(t, text, Form{TZ: zone})
		return set.Bars, err
	}
	for _, test := range []struct{ zone, local, utc string }{
		{"Europe/Helsinki", "2024-03-31 02:59:59", "2024-03-31 00:59:59"},
		{"Europe/Helsinki", "2024-03-31 04:00:00", "2024-03-31 01:00:00"},
		{"Europe/Helsinki", "2024-10-27 02:59:59", "2024-10-26 23:59:59"},
		{"Europe/Helsinki", "2024-10-27 04:00:00", "2024-10-27 02:00:00"},
		{"EET", "2024-07-01 12:00:00", "2024-07-01 09:00:00"},
		{"EST", "2024-07-01 12:00:00", "2024-07-01 17:00:00"},
		{"America/New_York+7", "2024-03-10 08:59:00", "2024-03-10 06:59:00"},
		{"America/New_York+7", "2024-03-10 10:00:00", "2024-03-10 07:00:00"},
		{"America/New_York+7", "2024-03-20 00:00:00", "2024-03-19 21:00:00"}, // Europe has its winter clock still
		{"Asia/Kolkata", "2024-01-01 00:00:00", "2023-12-31 18:30:00"},
		{"UTC+5:30", "2024-01-01 00:00:00", ""},
		{"+05:30", "2024-01-01 00:00:00", "2023-12-31 18:30:00"},
		{"UTC-3", "2024-01-01 00:00:00", "2024-01-01 03:00:00"},
		{"Pacific/Apia", "2012-01-01 00:00:00", "2011-12-31 10:00:00"}, // two days after it left one out
	} {
		bars, err := read(test.zone, test.local)
		if test.utc == "" {
			if err == nil {
				t.Errorf("%s was taken", test.zone)
			}
			continue
		}
		if err != nil || bars[0].TimeNS != at(t, test.utc) {
			t.Errorf("%s in %s: %v, %v; want %s", test.local, test.zone, bars, err, test.utc)
		}
	}
	_, err := read("Europe/Helsinki", "2024-10-27 02:00:00", "2024-10-27 03:00:00", "2024-10-27 03:30:00", "2024-10-27 04:00:00")
	if err == nil || !strings.Contains(err.Error(), "2 times that the clock shows twice (line 3, line 4)") {
		t.Errorf("hours that are there twice: %v", err)
	}
	_, err = read("Europe/Helsinki", "2024-03-31 02:00:00", "2024-03-31 03:30:00", "2024-03-31 04:00:00")
	if err == nil || !strings.Contains(err.Error(), "1 times that the clock skips (line 3)") {
		t.Errorf("an hour that is not there: %v", err)
	}
	// Every hour of years, by a clock that is a slow and different way.
	where, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	z, err := parseZoneName("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for u := time.Date(2023, 1, 1, 0, 30, 0, 0, time.UTC); u.Year() < 2026; u = u.Add(time.Hour) {
		local := u.In(where)
		wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC)
		bars := []Bar{{TimeNS: at(t, "2022-06-01 12:00:00")}, {TimeNS: wall.UnixNano()}}
		err := z.toUTC(bars, func(int) string { return "" })
		twice := 0
		for _, shift := range []time.Duration{4 * time.Hour, 5 * time.Hour} {
			if got := wall.Add(shift).In(where); got.Hour() == wall.Hour() && got.Day() == wall.Day() {
				twice++
			}
		}
		if (err == nil) != (twice == 1) || err == nil && bars[1].TimeNS != u.UnixNano() {
			t.Fatalf("%v: %v, %v (is there %d times)", local, bars[1].time(), err, twice)
		}
	}
}

// Columns that make the time, and those of a bar's names that were not taken,
// are no columns beside the bars.
func TestExtraBesideAliases(t *testing.T) {
	for _, test := range []struct {
		text, columns string
		extra         []string
		skipped       int
	}{
		{"date,time,open,high,low,close,volume,note\n2024.01.02,17:00,1,1,1,1,5,x\n", "", []string{"note"}, 0},
		{"Date,Time,open,high,low,close,f\n2024-01-02,07:00,1,1,1,1,2\n", "time=Date", []string{"f"}, 1},
		{"time,open,high,low,close,volume,Vol2\n2024-01-02,1,1,1,1,5,6\n", "volume=Vol2", []string{"Vol2"}, 1},
	} {
		set, err := readCSV(strings.NewReader(test.text), ReadOptions{Extra: true, Form: Form{Columns: test.columns}})
		if err != nil {
			t.Errorf("%v\n%s", err, test.text)
			continue
		}
		var names []string
		for _, c := range set.Extra {
			names = append(names, c.Name)
		}
		if !slices.Equal(names, test.extra) || len(set.ExtraSkipped) != test.skipped {
			t.Errorf("extra %q, skipped %q\n%s", names, set.ExtraSkipped, test.text)
		}
		if err := CheckColumns(set.Extra, len(set.Bars)); err != nil {
			t.Error(err)
		}
	}
}

// All bars of a kind are counted, with the first ten and the largest; a repair
// that is told puts them right.
func TestRefusedWhole(t *testing.T) {
	text := "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close\n"
	for i := range 20 {
		ask := "1.2"
		if i%2 == 1 {
			ask = "1.09"
		}
		if i == 13 {
			ask = "1.05"
		}
		text += time.Unix(1704153600+int64(i)*60, 0).UTC().Format("2006-01-02 15:04:05") + ",1.1,1.1,1.1,1.1," + strings.Repeat(","+ask, 4)[1:] + "\n"
	}
	_, err := openText(t, text, Form{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Kind != KindCrossed || refused.Count != 10 || len(refused.Where) != 10 || refused.LargestAt != "line 15" || !near(refused.Largest, 0.05) {
		t.Fatalf("%+v, %v", refused, err)
	}
	for _, want := range []string{"line 3 (bar 2): bid_open: 1.1 (want at most ask_open 1.09); 10 such bars (line 3, line 5", "the largest by 0.05 (line 15)", "--repair crossed puts that right"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	set := mustOpenText(t, text, Form{Repair: "crossed"})
	if len(set.Read.Repairs) != 1 || set.Read.Repairs[0].Bars != 10 || set.Bars[1].AskOpen != 1.1 || set.Bars[0].AskOpen != 1.2 {
		t.Errorf("repairs %+v, bars %v", set.Read.Repairs, set.Bars[:2])
	}
}

func near(a, b float64) bool { return a > b-1e-9 && a < b+1e-9 }

func TestRepairs(t *testing.T) {
	const head = "time,open,high,low,close,volume,note\n"
	text := head +
		"2024-01-02 00:10:00,1,1,1,1,3,c\n" +
		"2024-01-02 00:00:00,1,1,1,1,1,a\n" +
		"2024-01-02 00:05:00,1,1,1,1,2,b\n" +
		"2024-01-02 00:05:00,1,1,1,1,2,b\n" +
		"2024-01-02 00:15:00,0.30000000000000004,0.3,0.3,0.3,4,d\n"
	path := filepath.Join(t.TempDir(), "d.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := ReadFile(path, ReadOptions{Extra: true, Form: Form{Repair: "ulp,duplicates, sort"}})
	if err != nil {
		t.Fatal(err)
	}
	var volumes []float64
	for _, b := range set.Bars {
		volumes = append(volumes, b.Volume)
	}
	if !slices.Equal(volumes, []float64{1, 2, 3, 4}) || !slices.Equal(set.Extra[0].Strings, []string{"a", "b", "c", "d"}) {
		t.Errorf("volumes %v, notes %v", volumes, set.Extra[0].Strings)
	}
	var said []string
	for _, c := range set.Read.Repairs {
		said = append(said, c.Repair+" "+strings.Join(c.First, ","))
	}
	if want := []string{"sort line 3,line 4,line 5", "duplicates line 5", "ulp line 6"}; !slices.Equal(said, want) {
		t.Errorf("changes %q, want %q", said, want)
	}
	for form, want := range map[string]string{"": "--repair sort puts that right", "sort": "--repair duplicates puts that right", "sort,duplicates": "--repair ulp puts that right"} {
		if _, err := openText(t, text, Form{Repair: form}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("repair %q: error %v, want %s", form, err, want)
		}
	}
	// Two bars of one time are no duplicates: nobody knows which is right.
	if _, err := openText(t, head+"2024-01-02,1,1,1,1,1,a\n2024-01-02,1,2,1,1,1,a\n", Form{Repair: "duplicates,sort"}); err == nil || !strings.Contains(err.Error(), "want a time after the bar before") {
		t.Errorf("two bars of one time: %v", err)
	}
}

func TestPeriod(t *testing.T) {
	all := Generate(1000, 1)
	open := func(f Form) Set {
		t.Helper()
		set, err := Open("synthetic:1000", ReadOptions{Form: f})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	stampOf := func(i int) string { return time.Unix(0, all[i].TimeNS).UTC().Format("2006-01-02T15:04:05Z") }
	if set := open(Form{From: stampOf(300), To: stampOf(400)}); !slices.Equal(set.Bars, all[300:400]) || set.Before != 0 {
		t.Errorf("%d bars, %d before", len(set.Bars), set.Before)
	}
	if set := open(Form{From: stampOf(300), Warmup: "50"}); !slices.Equal(set.Bars, all[250:]) || set.Before != 50 {
		t.Errorf("%d bars, %d before", len(set.Bars), set.Before)
	}
	if set := open(Form{From: stampOf(30), Warmup: "50"}); !slices.Equal(set.Bars, all) || set.Before != 30 {
		t.Errorf("%d bars, %d before", len(set.Bars), set.Before)
	}
	for _, f := range []Form{{From: "2030-01-01"}, {From: "x"}, {To: "2018-13-01"}, {From: "2018-02-01", To: "2018-01-01"}, {Warmup: "5"}, {From: "2018-01-01", Warmup: "-1"}, {TZ: "EST"}} {
		if set, err := Open("synthetic:1000", ReadOptions{Form: f}); err == nil {
			t.Errorf("%+v: %d bars", f, len(set.Bars))
		}
	}
}

func TestReadDirectory(t *testing.T) {
	all := Generate(300, 2)
	dir := t.TempDir()
	write := func(name string, bars []Bar) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(path, bars); err != nil {
			t.Fatal(err)
		}
	}
	// The order of names is not that of time.
	write("month=1/part-0.parquet", all[:100])
	write("month=10/part-0.parquet", all[200:])
	write("month=2/part-0.parquet", all[100:200])
	if err := os.WriteFile(filepath.Join(dir, "_SUCCESS"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "month=1", ".part-0.parquet.crc"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := ReadFile(dir, ReadOptions{Form: Form{From: "2018-01-01"}})
	if err != nil || !slices.Equal(set.Bars, all) || set.Source != dir || !strings.HasPrefix(set.Read.Format, "3 files, parquet") {
		t.Fatalf("%d bars of %s, %s, %v", len(set.Bars), set.Source, set.Read.Format, err)
	}
	hive := t.TempDir()
	for name, part := range map[string][]Bar{"symbol=A/part-0.parquet": all[:100], "symbol=B/part-0.parquet": all[100:]} {
		path := filepath.Join(hive, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(path, part); err != nil {
			t.Fatal(err)
		}
	}
	if set, err := ReadFile(hive, ReadOptions{}); err == nil || !strings.Contains(err.Error(), `rows of "A" and of "B" (want one instrument`) {
		t.Errorf("two instruments: %d bars, %v", len(set.Bars), err)
	}
	write("month=3/part-0.parquet", all[150:160])
	if _, err := ReadFile(dir, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "month=3/part-0.parquet begins at") {
		t.Errorf("files that overlap: %v", err)
	}
}

// Flags and FormOf are each other's way back.
func TestFormFlags(t *testing.T) {
	f := Form{Columns: "time=a,open=b,high=c,low=d,close=e", TimeFormat: "s", TZ: "EST", Sep: ";", Decimal: ",", Point: "0.1", Repair: "sort", From: "2024-01-01", To: "2024-02-01", Warmup: "7"}
	m := f.Flags()
	if len(m) != len(formFields()) {
		t.Errorf("flags %v", m)
	}
	if back, err := FormOf(m); err != nil || back != f {
		t.Errorf("%+v, %v", back, err)
	}
	if m := (Form{}).Flags(); m != nil {
		t.Errorf("flags of the zero form %v", m)
	}
	for _, m := range []map[string]string{{"tz": "nowhere"}, {"another": "x"}, {"columns": "a"}} {
		if f, err := FormOf(m); err == nil {
			t.Errorf("%v: %+v", m, f)
		}
	}
}
