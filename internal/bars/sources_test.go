package bars

import (
	"bytes"
	"compress/gzip"
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
