package bars

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		name   string
		spoil  func(b *Bar) // the second of three
		column string       // "" for a valid bar
		value  string
		want   string
	}{
		{"valid", func(b *Bar) {}, "", "", ""},
		{"no spread", func(b *Bar) { *b = flat(b.TimeNS, 10, 10) }, "", "", ""},
		{"no volume", func(b *Bar) { b.Volume = 0 }, "", "", ""},
		{"same time", func(b *Bar) { b.TimeNS = 60e9 }, "time", "1970-01-01T00:01:00+00:00", "after"},
		{"earlier time", func(b *Bar) { b.TimeNS = 59e9 }, "time", "1970-01-01T00:00:59+00:00", "after"},
		{"too early", func(b *Bar) { b.TimeNS = minTimeNS - 1 }, "time", "1899-12-31T23:59:59.999999999+00:00", "1900 to 2189"},
		{"too late", func(b *Bar) { b.TimeNS = maxTimeNS }, "time", "2190-01-01T00:00:00+00:00", "1900 to 2189"},
		{"no time", func(b *Bar) { b.TimeNS = math.MinInt64 }, "time", "1677-", "1900 to 2189"},
		{"NaN open", func(b *Bar) { b.BidOpen = nan }, "bid_open", "NaN", "finite price above 0"},
		{"infinite high", func(b *Bar) { b.AskHigh = inf }, "ask_high", "+Inf", "finite price above 0"},
		{"zero low", func(b *Bar) { b.BidLow = 0 }, "bid_low", "0", "finite price above 0"},
		{"negative close", func(b *Bar) { b.AskClose = -3 }, "ask_close", "-3", "finite price above 0"},
		{"NaN volume", func(b *Bar) { b.Volume = nan }, "volume", "NaN", "at least 0"},
		{"infinite volume", func(b *Bar) { b.Volume = inf }, "volume", "+Inf", "at least 0"},
		{"negative volume", func(b *Bar) { b.Volume = -1 }, "volume", "-1", "at least 0"},
		{"bid high below open", func(b *Bar) { b.BidOpen = 12.5 }, "bid_high", "12", "at least bid_open 12.5"},
		{"bid high below close", func(b *Bar) { b.BidClose = 12.5 }, "bid_high", "12", "at least bid_close 12.5"},
		{"bid high below low", func(b *Bar) { b.BidHigh, b.BidOpen, b.BidClose = 8, 8, 8 }, "bid_high", "8", "at least bid_low 9"},
		{"bid low above open", func(b *Bar) { b.BidLow = 10.5 }, "bid_low", "10.5", "at most bid_open 10"},
		{"bid low above close", func(b *Bar) { b.BidOpen, b.BidLow = 11.5, 11.25 }, "bid_low", "11.25", "at most bid_close 11"},
		{"ask high below open", func(b *Bar) { b.AskOpen = 12.75 }, "ask_high", "12.5", "at least ask_open 12.75"},
		{"ask high below close", func(b *Bar) { b.AskClose = 12.75 }, "ask_high", "12.5", "at least ask_close 12.75"},
		{"ask low above open", func(b *Bar) { b.AskLow = 11 }, "ask_low", "11", "at most ask_open 10.5"},
		{"ask low above close", func(b *Bar) { b.AskOpen, b.AskLow = 12, 11.75 }, "ask_low", "11.75", "at most ask_close 11.5"},
		{"bid open above ask", func(b *Bar) { b.BidOpen = 10.75 }, "bid_open", "10.75", "at most ask_open 10.5"},
		{"bid high above ask", func(b *Bar) { b.BidHigh = 12.75 }, "bid_high", "12.75", "at most ask_high 12.5"},
		{"bid low above ask", func(b *Bar) { b.BidLow = 9.75 }, "bid_low", "9.75", "at most ask_low 9.5"},
		{"bid close above ask", func(b *Bar) { b.BidClose = 11.75 }, "bid_close", "11.75", "at most ask_close 11.5"},
		{"the first column of two", func(b *Bar) { b.AskClose, b.BidHigh = nan, nan }, "bid_high", "NaN", "finite price"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bars := []Bar{flat(60e9, 10, 11), {
				TimeNS:  120e9,
				BidOpen: 10, BidHigh: 12, BidLow: 9, BidClose: 11,
				AskOpen: 10.5, AskHigh: 12.5, AskLow: 9.5, AskClose: 11.5,
				Volume: 7,
			}, flat(180e9, 10, 11)}
			test.spoil(&bars[1])
			err := Validate(bars)
			if test.column == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			var cell *CellError
			if !errors.As(err, &cell) {
				t.Fatalf("error %v, want a *CellError", err)
			}
			if cell.Row != 2 || cell.Column != test.column || !strings.HasPrefix(cell.Value, test.value) || !strings.Contains(cell.Want, test.want) {
				t.Errorf("got %v\nwant row 2, %s, %s, want %s", cell, test.column, test.value, test.want)
			}
		})
	}
}

func TestValidateEmpty(t *testing.T) {
	if err := Validate(nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("error %v, want ErrEmpty", err)
	}
}

// The first bad row is reported, whatever its column and those after it.
func TestValidateFirstRow(t *testing.T) {
	bars := []Bar{flat(1, 1, 1), flat(2, 1, 1), flat(3, 1, 1)}
	bars[2].BidOpen = math.NaN()
	bars[1].Volume = -1
	var cell *CellError
	if err := Validate(bars); !errors.As(err, &cell) || cell.Row != 2 || cell.Column != "volume" {
		t.Errorf("error %v, want row 2, volume", err)
	}
}

// sound decides and explain says why: whenever a bar is refused, there is a
// reason, and the reason is true of what the bar holds.
func TestSoundAndExplainAgree(t *testing.T) {
	odd := rapid.SampledFrom([]float64{
		math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), -1, 1, 2, 3, math.MaxFloat64, 5e-324,
	})
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		b := Bar{TimeNS: 60e9}
		for c := colBidOpen; c < columnCount; c++ {
			*c.float(&b) = odd.Draw(t, c.String())
		}
		err := (&checker{}).next(&b)
		if (err == nil) != sound(&b) {
			t.Fatalf("sound is %v, error %v", sound(&b), err)
		}
		if err != nil {
			refused++
			if err.Column == "time" {
				t.Fatalf("no reason found for %+v: %v", b, err)
			}
		}
	})
	if refused == 0 {
		t.Error("no bar was refused: the test tests nothing")
	}
}
