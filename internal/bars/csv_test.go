package bars

import (
	"bytes"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestReadCSVQuotes(t *testing.T) {
	content, err := os.ReadFile("testdata/quotes.csv")
	if err != nil {
		t.Fatal(err)
	}
	bars, spread, err := ReadCSV(bytes.NewReader(content), ReadOptions{SpreadBps: new(9.0)})
	if err != nil {
		t.Fatal(err)
	}
	if spread != 0 {
		t.Errorf("assumed spread %v, want 0: the file has bid and ask", spread)
	}
	want := []Bar{
		{1704153600e9, 2063, 2064.375, 2062.125, 2063.75, 2063.2, 2064.625, 2062.375, 2064.25, 131},
		{1704153900e9, 2063.75, 2064, 2060, 2060.25, 2064.25, 2064.5, 2060.2, 2060.75, 0},
		{1704154200e9 + 5e8, 2060.25, 2060.75, 2059.75, 2060.5, 2060.75, 2061.25, 2060.25, 2061, 17.5},
	}
	if !slices.Equal(bars, want) {
		t.Errorf("got\n%v, want\n%v", bars, want)
	}
	// The file is what we write: mid prices are half-way, numbers shortest.
	var out bytes.Buffer
	if err := WriteCSV(&out, bars); err != nil {
		t.Fatal(err)
	}
	if out.String() != string(content) {
		t.Errorf("wrote\n%s, want\n%s", out.String(), content)
	}
}

func TestReadCSVMetaTrader(t *testing.T) {
	content, err := os.ReadFile("testdata/metatrader.csv") // byte order mark, CRLF, capitals, a column more
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		given *float64
		want  float64
	}{{nil, DefaultSpreadBps}, {new(100.0), 100}, {new(0.0), 0}} {
		bars, spread, err := ReadCSV(bytes.NewReader(content), ReadOptions{SpreadBps: test.given})
		if err != nil {
			t.Fatal(err)
		}
		if spread != test.want {
			t.Errorf("assumed spread %v, want %v", spread, test.want)
		}
		f := 1 + test.want/1e4
		want := []Bar{
			{1704153600e9, 2063, 2064.375, 2062.125, 2063.75, 2063 * f, 2064.375 * f, 2062.125 * f, 2063.75 * f, 131},
			{1704153900e9, 2063.75, 2064, 2060, 2060.25, 2063.75 * f, 2064 * f, 2060 * f, 2060.25 * f, 99},
		}
		if !slices.Equal(bars, want) {
			t.Errorf("got\n%v, want\n%v", bars, want)
		}
	}
}

// Where both volumes are there, the canonical name counts; the order of the
// columns does not.
func TestReadCSVColumns(t *testing.T) {
	const text = "tick_volume,close,low,high,open,volume,time,note\n" +
		"5, 11 ,9,12,10,7,2024-01-02 00:00:00,\"a, b\"\n"
	bars, _, err := ReadCSV(strings.NewReader(text), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := bars[0]
	if b.Volume != 7 || b.BidOpen != 10 || b.BidHigh != 12 || b.BidLow != 9 || b.BidClose != 11 {
		t.Errorf("got %+v", b)
	}
}

func TestReadCSVRefuses(t *testing.T) {
	const six = "time,open,high,low,close,tick_volume\n"
	const good = "2024-01-02 00:00:00,10,12,9,11,5\n"
	tests := []struct{ name, text, want string }{
		{"nothing", "", "no header line"},
		{"a header alone", six, ErrEmpty.Error()},
		{"missing columns", "time,open,close\n", "missing columns high, low (found"},
		{"some quotes", "time,open,high,low,close,volume,bid_open\n", "missing columns bid_high, bid_low, bid_close, ask_open, ask_high, ask_low, ask_close (found"},
		{"a column twice", "time,open,high,low,close,volume,Open\n", `column "open" appears twice`},
		{"half a character of UTF-16", "\xff\xfet\x00\x00\xd8", "unexpected EOF"},
		{"another zone", six + "2024-01-02 00:00:00+02:00,10,12,9,11,5\n", `line 2 (bar 1): time: "2024-01-02 00:00:00+02:00" (want UTC`},
		{"no time", six + "yesterday,10,12,9,11,5\n", `line 2 (bar 1): time: "yesterday" (want a UTC time`},
		{"no number", six + good + "2024-01-02 00:05:00,10,x,9,11,5\n", `line 3 (bar 2): high: "x" (want a number)`},
		{"an empty cell", six + "2024-01-02 00:00:00,10,12,,11,5\n", `line 2 (bar 1): low: "" (want a number)`},
		{"a comma for a point", six + "2024-01-02 00:00:00,10,12,9,11,5,5\n", "line 2 (bar 1): 7 fields (want 6"},
		{"NaN", six + "2024-01-02 00:00:00,10,12,nan,11,5\n", "low: NaN (want a finite price above 0)"},
		{"out of range", six + "2024-01-02 00:00:00,10,1e999,9,11,5\n", `high: "1e999" (want a finite number)`},
		{"time stands still", six + good + good, "line 3 (bar 2): time: 2024-01-02T00:00:00+00:00 (want a time after"},
		{"high below low", six + "2024-01-02 00:00:00,8,8,9,8,5\n", "line 2 (bar 1): high: 8 (want at least low 9)"},
		{"the names of the file", strings.ToUpper(six) + "2024-01-02 00:00:00,10,9,9,9,5\n", "HIGH: 9 (want at least open 10)"},
		{"blank lines count as lines", six + "\n\n" + "2024-01-02 00:00:00,10,12,9,11,-5\n", "line 4 (bar 1): tick_volume: -5"},
		{"a quote left open", six + "\"2024-01-02 00:00:00,10,12,9,11,5\n", "reading bar 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bars, _, err := ReadCSV(strings.NewReader(test.text), ReadOptions{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bars, error %v\nwant one with %s", len(bars), err, test.want)
			}
		})
	}
}

func TestReadCSVBidAboveAsk(t *testing.T) {
	content, err := os.ReadFile("testdata/quotes.csv")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(content), ",2064.25,2064.5,", ",2063.25,2064.5,", 1) // ask_open of bar 2
	var cell *CellError
	if _, _, err := ReadCSV(strings.NewReader(text), ReadOptions{}); !errors.As(err, &cell) ||
		*cell != (CellError{Row: 2, Line: 3, Column: "bid_open", Value: "2063.75", Want: "at most ask_open 2063.25"}) {
		t.Errorf("error %v", err)
	}
}

func TestReadCSVAssumedSpread(t *testing.T) {
	const text = "time,open,high,low,close,volume\n2024-01-02 00:00:00,10,12,9,11,5\n"
	for _, bps := range []float64{-1, math.NaN(), math.Inf(1)} {
		_, _, err := ReadCSV(strings.NewReader(text), ReadOptions{SpreadBps: &bps})
		if err == nil || !strings.Contains(err.Error(), "assumed spread: "+formatFloat(bps)) {
			t.Errorf("%v bps: error %v", bps, err)
		}
	}
}

// What is written is read back to the last bit.
func TestCSVRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bars := anyBars(t)
		var text bytes.Buffer
		if err := WriteCSV(&text, bars); err != nil {
			t.Fatal(err)
		}
		back, _, err := ReadCSV(&text, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back, bars) {
			t.Fatalf("got %v, want %v", back, bars)
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	for _, name := range []string{"testdata/quotes.csv", "testdata/metatrader.csv"} {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, 0.0)
	}
	f.Fuzz(func(t *testing.T, content []byte, spreadBps float64) {
		bars, _, err := ReadCSV(bytes.NewReader(content), ReadOptions{SpreadBps: &spreadBps})
		if err != nil {
			return
		}
		if err := Validate(bars); err != nil {
			t.Fatalf("read, but not valid: %v", err)
		}
		var text bytes.Buffer
		if err := WriteCSV(&text, bars); err != nil {
			t.Fatal(err)
		}
		back, _, err := ReadCSV(&text, ReadOptions{})
		if err != nil || Digest(back) != Digest(bars) {
			t.Fatalf("written and read again: %v\n%v\n%v", err, back, bars)
		}
	})
}
