package feature

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/internal/bars"
)

// Wherever the data are cut, and whatever features are named: a set that
// loads the state of a border, skips to its window and pushes from there has
// the bits of one that saw every bar, and is ready where that is.
func TestCutAnywhere(t *testing.T) {
	const n = 10_000
	x := bars.Generate(n, 11)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(allNames()), 1, 19, rapid.ID[string]).Draw(t, "names")
		first := rapid.IntRange(0, n-50).Draw(t, "first")
		whole, cut := makeSet(t, names), makeSet(t, names)
		start := max(0, first-int(cut.Window()))
		border := rapid.IntRange(0, start).Draw(t, "border")
		if rapid.Bool().Draw(t, "at the start") {
			border = start
		}
		for i, b := range x[:min(n, first+300)] {
			if i == border {
				// What the set saw before is forgotten.
				for _, b := range x[100:rapid.IntRange(100, 400).Draw(t, "before")] {
					cut.Push(b)
				}
				if err := cut.LoadState(whole.AppendState(nil)); err != nil {
					t.Fatal(err)
				}
			}
			whole.Push(b)
			switch {
			case i < border:
				continue
			case i < start:
				cut.Skip(b)
			default:
				cut.Push(b)
			}
			if cut.Seen() != int64(i+1) {
				t.Fatalf("Seen is %d after bar %d", cut.Seen(), i)
			}
			if i < first {
				continue
			}
			if cut.Ready() != whole.Ready() {
				t.Fatalf("bar %d: Ready %v (want %v)", i, cut.Ready(), whole.Ready())
			}
			if !slices.Equal(valueBits(cut), valueBits(whole)) {
				t.Fatalf("bar %d: %v (want %v)", i, cut.Values(), whole.Values())
			}
			atr, ok := cut.ATRBps()
			if want, wantOK := whole.ATRBps(); atr != want || ok != wantOK {
				t.Fatalf("bar %d: ATRBps %v %v (want %v %v)", i, atr, ok, want, wantOK)
			}
			if i%100 == 0 && !slices.Equal(cut.AppendState(nil), whole.AppendState(nil)) {
				t.Fatalf("bar %d: the states differ", i)
			}
		}
	})
}

// A set that only skips makes the states of one that pushes.
func TestSkipMakesTheSameStates(t *testing.T) {
	push, skip := newSet(t, allNames()...), newSet(t, allNames()...)
	for i, b := range bars.Generate(3000, 2) {
		push.Push(b)
		skip.Skip(b)
		if skip.Ready() {
			t.Fatalf("ready at bar %d, which was skipped", i)
		}
		if i%50 == 0 && !slices.Equal(push.AppendState(nil), skip.AppendState(nil)) {
			t.Fatalf("bar %d: the states differ", i)
		}
	}
}

// Until the window is full a set that loaded a state is not ready.
func TestNotReadyBeforeTheWindow(t *testing.T) {
	x := bars.Generate(9000, 3)
	for _, d := range Known() {
		whole, cut := newSet(t, d.Name), newSet(t, d.Name)
		const border = 7000 - 5800
		const from = 7000
		for _, b := range x[:border] {
			whole.Push(b)
		}
		if err := cut.LoadState(whole.AppendState(nil)); err != nil {
			t.Fatal(err)
		}
		for _, b := range x[border:from] {
			cut.Skip(b)
		}
		for k, b := range x[from : from+300] {
			cut.Push(b)
			if want := int64(k) >= cut.Window(); cut.Ready() != want {
				t.Fatalf("%s: Ready %v after %d bars and a window of %d", d.Name, cut.Ready(), k+1, cut.Window())
			}
		}
	}
}

// A set that goes back to the data set's beginning, or goes on after skipped
// bars, remembers nothing.
func TestNothingIsRemembered(t *testing.T) {
	x := bars.Generate(7000, 4)
	fresh, used := newSet(t, allNames()...), newSet(t, allNames()...)
	empty := fresh.AppendState(nil)
	for _, b := range x[3500:] {
		used.Push(scaled(b, 3))
	}
	if err := used.LoadState(empty); err != nil {
		t.Fatal(err)
	}
	if _, ok := used.ATRBps(); ok {
		t.Error("ATRBps is known before the first bar")
	}
	if _, ok := used.SpreadBps(); ok {
		t.Error("SpreadBps is known before the first bar")
	}
	for i, b := range x[:5000] {
		fresh.Push(b)
		used.Push(b)
		if !slices.Equal(valueBits(used), valueBits(fresh)) {
			t.Fatalf("bar %d: %v (want %v)", i, valueBits(used), valueBits(fresh))
		}
	}
	used.Skip(x[5000])
	for i, b := range x[5001:] {
		if used.Push(b); used.Ready() {
			t.Fatalf("ready %d bars after a skipped one (want %d)", i+1, used.Window()+1)
		}
	}
}

// Where a set is first ready after a state, or Lookback bars after it began
// without one, the quantiles are those of all 5760 bars.
func TestRegimeWindowIsWhole(t *testing.T) {
	x := bars.Generate(13_000, 5)
	loaded, late := newSet(t, "atr_regime_id"), newSet(t, "atr_regime_id")
	for _, b := range x[:100] {
		loaded.Skip(b)
	}
	for i, b := range x[100:] {
		loaded.Push(b)
		late.Push(b)
		if got := late.state.atrs.count == regimeBars; got != (int64(i) >= late.Lookback()) {
			t.Fatalf("%d ATRs are ranked after %d bars and a look-back of %d", late.state.atrs.count, i, late.Lookback())
		}
		if loaded.Ready() != (loaded.state.atrs.count == regimeBars) {
			t.Fatalf("ready %v with %d ATRs", loaded.Ready(), loaded.state.atrs.count)
		}
	}
}

func makeSet(t *rapid.T, names []string) *Set {
	s, err := New(names, mustSessions())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Version 1 of the format, kept for ever. Names in any order make the same.
func TestGoldenState(t *testing.T) {
	reversed := allNames()
	slices.Reverse(reversed)
	var got strings.Builder
	for _, names := range [][]string{allNames(), reversed, {"ema20_slope"}, {"h4_trend", "roc20"}, {"roc20"}} {
		s := newSet(t, names...)
		got.WriteString(hex.EncodeToString(s.AppendState(nil)) + "\n")
		for _, b := range bars.Generate(1000, 12) {
			s.Push(b)
		}
		state := s.AppendState(nil)
		if len(state) > MaxStateSize {
			t.Errorf("%d bytes (want %d at most)", len(state), MaxStateSize)
		}
		got.WriteString(hex.EncodeToString(state) + "\n")
	}
	golden(t, "testdata/state_v1.golden", []byte(got.String()))
}

func TestLoadStateErrors(t *testing.T) {
	s := newSet(t, "ema20_slope", "h1_trend", "roc20")
	x := bars.Generate(300, 13)
	for _, b := range x {
		s.Push(b)
	}
	good := s.AppendState(nil)
	change := func(at int, with ...byte) []byte {
		b := slices.Clone(good)
		copy(b[at:], with)
		return b
	}
	nan := []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}
	inf := []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x7f}
	zero := make([]byte, 8)
	for _, c := range []struct {
		want string
		data []byte
	}{
		{"0 bytes that do not start as a state does", nil},
		{"do not start", change(0, 'g')},
		{"version 2 (want 1)", change(4, 2)},
		{"parts 01011 (want 01001: the features differ)", change(5, 0b01011)},
		{"bars seen: 9223372036854775808", change(6, 0, 0, 0, 0, 0, 0, 0, 0x80)},
		{"close: 2339.645 without a bar (want 0)", change(6, zero...)},
		{"close: NaN is no price", change(22, nan...)},
		{"close: 0 is no price", change(22, zero...)},
		{"EMA: +Inf is no price", change(30, inf...)},
		{"completed bars: 300 (want 0 to 299)", change(38, 0x2c, 1)},
		{"EMA of completed bars: 2336.439999087442 without a bar", change(38, zero...)},
		{"ends too early", good[:len(good)-1]},
		{"a time of 7 without a bar", append(append([]byte("GX1F\x01\x09"), zero...), append([]byte{7}, make([]byte, 7+8+8+24)...)...)},
		{"1 bytes too many", append(slices.Clone(good), 0)},
	} {
		err := s.LoadState(c.data)
		if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v (want one with %q)", c.data, err, c.want)
		}
		if !slices.Equal(s.AppendState(nil), good) || s.Session() != s.sessions.At(x[299].TimeNS) {
			t.Fatalf("%q: the set changed", c.want)
		}
	}
}

func FuzzLoadState(f *testing.F) {
	for _, names := range [][]string{allNames(), {"roc20"}} {
		s := newSet(f, names...)
		f.Add(s.AppendState(nil))
		for _, b := range bars.Generate(700, 14) {
			s.Push(b)
		}
		state := s.AppendState(nil)
		f.Add(state)
		f.Add(state[:len(state)-3])
	}
	x := bars.Generate(20, 15)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, names := range [][]string{allNames(), {"roc20"}} {
			s := newSet(t, names...)
			if err := s.LoadState(data); err != nil {
				if !errors.Is(err, ErrState) || s.Seen() != 0 {
					t.Fatalf("error %v, Seen %d", err, s.Seen())
				}
				continue
			}
			// What is accepted is a state, the only one with these bytes.
			if got := s.AppendState(nil); !slices.Equal(got, data) {
				t.Fatalf("%x became %x", data, got)
			}
			for _, b := range x {
				s.Push(b)
				if s.Ready() {
					s.Values()
				}
			}
		}
	})
}
