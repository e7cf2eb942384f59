package bars

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// flat is a bar whose prices on either side are all the same.
func flat(timeNS int64, bid, ask float64) Bar {
	return Bar{
		TimeNS:  timeNS,
		BidOpen: bid, BidHigh: bid, BidLow: bid, BidClose: bid,
		AskOpen: ask, AskHigh: ask, AskLow: ask, AskClose: ask,
		Volume: 1,
	}
}

// anyBars draws valid bars with numbers of every size.
func anyBars(t *rapid.T) []Bar {
	n := rapid.IntRange(1, 40).Draw(t, "n")
	bars := make([]Bar, n)
	at := rapid.Int64Range(minTimeNS, 0).Draw(t, "start")
	price := rapid.Float64Range(1e-9, 1e9)
	for i := range bars {
		at += rapid.Int64Range(1, 1e15).Draw(t, "distance")
		bid := []float64{price.Draw(t, "p1"), price.Draw(t, "p2"), price.Draw(t, "p3"), price.Draw(t, "p4")}
		slices.Sort(bid)
		up := rapid.Float64Range(1, 2).Draw(t, "up")
		bars[i] = Bar{
			TimeNS:  at,
			BidLow:  bid[0],
			BidOpen: bid[1], BidClose: bid[2],
			BidHigh: bid[3],
			AskLow:  bid[0] * up,
			AskOpen: bid[1] * up, AskClose: bid[2] * up,
			AskHigh: bid[3] * up,
			Volume:  rapid.Float64Range(0, 1e12).Draw(t, "volume"),
		}
	}
	return bars
}

func TestCanonicalGolden(t *testing.T) {
	b := Bar{
		TimeNS:  1514764800000000000,
		BidOpen: 1.5, BidHigh: 2, BidLow: 1, BidClose: 1.25,
		AskOpen: 1.75, AskHigh: 2.25, AskLow: 1.125, AskClose: 1.5,
		Volume: math.Copysign(0, -1),
	}
	const want = "0000445e8f860515" + // little-endian time
		"000000000000f83f" + "0000000000000040" + "000000000000f03f" + "000000000000f43f" +
		"000000000000fc3f" + "0000000000000240" + "000000000000f23f" + "000000000000f83f" +
		"0000000000000000" // -0 is 0
	got := AppendCanonical([]byte("kept"), []Bar{b})
	if !bytes.HasPrefix(got, []byte("kept")) {
		t.Fatalf("the destination's beginning is lost: %q", got[:4])
	}
	if s := hex.EncodeToString(got[4:]); s != want {
		t.Errorf("canonical bytes\n%s, want\n%s", s, want)
	}
	if len(got)-4 != BarBytes {
		t.Errorf("%d bytes a bar, want %d", len(got)-4, BarBytes)
	}
}

func TestCanonicalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bars := anyBars(t)
		back, err := ParseCanonical(AppendCanonical(nil, bars))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back, bars) {
			t.Fatalf("got %v, want %v", back, bars)
		}
	})
}

func TestDigestIsThatOfTheSlices(t *testing.T) {
	bars := Generate(10_000, 3) // more than Digest hashes at a time
	h := sha256.New()
	for _, cut := range [][2]int{{0, 1}, {1, 5000}, {5000, 10_000}} {
		h.Write(AppendCanonical(nil, bars[cut[0]:cut[1]]))
	}
	if got, want := Digest(bars), hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("digest %s, of the slices %s", got, want)
	}
	changed := slices.Clone(bars)
	changed[9_999].Volume++
	if Digest(changed) == Digest(bars) {
		t.Error("another last volume has the same digest")
	}
}

func TestParseCanonicalLength(t *testing.T) {
	if bars, err := ParseCanonical(nil); err != nil || len(bars) != 0 {
		t.Errorf("no bytes: %v, %v", bars, err)
	}
	for _, n := range []int{1, BarBytes - 1, BarBytes + 1} {
		if bars, err := ParseCanonical(make([]byte, n)); err == nil {
			t.Errorf("%d bytes: %d bars, want an error", n, len(bars))
		}
	}
}

func FuzzParseCanonical(f *testing.F) {
	f.Add(AppendCanonical(nil, Generate(2, 1)))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, content []byte) {
		bars, err := ParseCanonical(content)
		if err != nil {
			return
		}
		again := AppendCanonical(nil, bars)
		if len(again) != len(content) {
			t.Fatalf("%d bytes of %d", len(again), len(content))
		}
		// A second round changes nothing: -0 and NaN have settled.
		bars, err = ParseCanonical(again)
		if err != nil || !bytes.Equal(AppendCanonical(nil, bars), again) {
			t.Fatalf("the canonical content is not stable (%v)", err)
		}
	})
}
