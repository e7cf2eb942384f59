package dataset

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// freshSet is a set of features that has seen nothing.
func freshSet(t testing.TB, names ...string) *feature.Set {
	t.Helper()
	table := feature.NewSessionTable([]policy.MarketSession{{Name: "DAY", StartHour: 0, EndHour: 24}})
	set, err := feature.New(names, table)
	must(t, err)
	return set
}

func TestStatesName(t *testing.T) {
	d := run.Data{SHA256: strings.Repeat("0a", 32), Bars: 11, SliceBars: 5}
	name := StatesName(d, freshSet(t, "ema20_slope"))
	if parts := strings.Split(name, "."); len(parts) != 3 || parts[0] != "state" || parts[1] != d.SHA256 || len(parts[2]) != 64 {
		t.Errorf("%q (want state, the data set's digest and one of the features)", name)
	}
	if other := StatesName(d, freshSet(t, "body_pct", "ema20_slope")); other != name {
		t.Errorf("%q with another feature that looks back at nothing (want %q)", other, name)
	}
	if other := StatesName(d, freshSet(t, "ema100_slope")); other == name {
		t.Error("another recursive feature has the same name")
	}
	if other := StatesName(run.Data{SHA256: strings.Repeat("0b", 32), Bars: 11, SliceBars: 5}, freshSet(t, "ema20_slope")); other == name {
		t.Error("another data set has the same name")
	}
	for _, bars := range []int64{1, 5} {
		d.Bars = bars
		if name := StatesName(d, freshSet(t, "ema20_slope")); name != "" {
			t.Errorf("%d bars in slices of 5: %q (want none)", bars, name)
		}
	}
	d.Bars = 6
	if StatesName(d, freshSet(t, "ema20_slope")) == "" {
		t.Error("6 bars in slices of 5: no name")
	}
	if name := StatesName(d, freshSet(t, "body_pct", "std50")); name != "" {
		t.Errorf("features that look back at a few bars: %q (want none)", name)
	}
}

// Each state is the one that a set has which has consumed all bars before.
func TestStatesOfEveryBorder(t *testing.T) {
	names := []string{"ema20_slope", "h1_trend", "pos_vs_ema200"}
	for _, n := range []int64{1, 9, 10, 11, 57, 60} {
		all := bars.Generate(n, 3)
		d := run.Data{SHA256: bars.Digest(all), Bars: n, SliceBars: 10}
		data, err := ComputeStates(d, all, freshSet(t, names...))
		must(t, err)
		store := newMemory()
		must(t, store.PutObject(t.Context(), "x", data))
		s, err := LoadStates(t.Context(), store, "x", d, freshSet(t, names...))
		must(t, err)
		if want := (n - 1) / 10; int64(len(s.States)) != want || s.SliceBars != 10 {
			t.Fatalf("%d bars: %d states, every %d (want %d, 10)", n, len(s.States), s.SliceBars, want)
		}
		set := freshSet(t, names...)
		for i, b := range all {
			if i > 0 && i%10 == 0 && !slices.Equal(s.States[i/10-1], set.AppendState(nil)) {
				t.Errorf("%d bars: the state at bar %d differs", n, i)
			}
			set.Push(b)
		}
	}
}

func TestStatesOfWhatDoesNotFit(t *testing.T) {
	all := bars.Generate(20, 3)
	d := run.Data{SHA256: bars.Digest(all), Bars: 20, SliceBars: 10}
	used := freshSet(t, "ema20_slope")
	used.Skip(all[0])
	for name, err := range map[string]error{
		"fewer bars":  second(ComputeStates(d, all[1:], freshSet(t, "ema20_slope"))),
		"used before": second(ComputeStates(d, all, used)),
		"no slices":   second(ComputeStates(run.Data{Bars: 20}, all, freshSet(t, "ema20_slope"))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestStatesThatContradictTheManifestAreRefused(t *testing.T) {
	all := bars.Generate(25, 3)
	d := run.Data{SHA256: bars.Digest(all), Bars: 25, SliceBars: 10}
	whole, err := ComputeStates(d, all, freshSet(t, "ema20_slope"))
	must(t, err)
	var good States
	must(t, msgpack.Unmarshal(whole, &good))
	for name, c := range map[string]struct {
		change func(*States)
		want   string // in the error
	}{
		"schema":          {func(s *States) { s.Schema = 2 }, "schema 2 is unknown (want 1)"},
		"other data":      {func(s *States) { s.Data = "x" }, `data set "x"`},
		"more bars":       {func(s *States) { s.Bars = 26 }, "26 bars"},
		"other slices":    {func(s *States) { s.SliceBars = 5 }, "slices of 5"},
		"a state missing": {func(s *States) { s.States = s.States[:1] }, "it has 1 states (want 2)"},
		"a state more":    {func(s *States) { s.States = append(s.States, s.States[0]) }, "it has 3 states (want 2)"},
		"a state twice":   {func(s *States) { s.States[1] = s.States[0] }, "the state at bar 20 is one after 10 bars"},
		"a state cut off": {func(s *States) { s.States[1] = s.States[1][:20] }, "the state at bar 20: feature state"},
		"no state":        {func(s *States) { s.States[0] = nil }, "the state at bar 10: feature state"},
	} {
		s := good
		s.States = slices.Clone(good.States)
		c.change(&s)
		data, err := msgpack.Marshal(s)
		must(t, err)
		store := newMemory()
		must(t, store.PutObject(t.Context(), "x", data))
		_, err = LoadStates(t.Context(), store, "x", d, freshSet(t, "ema20_slope"))
		if !errors.Is(err, ErrStates) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "object x") {
			t.Errorf("%s: %v (want ErrStates, the object's name and %q in it)", name, err, c.want)
		}
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "null": {0xc0}, "truncated": whole[:len(whole)-1],
		"bytes follow": append(slices.Clone(whole), 0), "a huge list": {0xdd, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := decodeStates(data, d, freshSet(t, "ema20_slope")); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := decodeStates(whole, d, freshSet(t, "ema20_slope", "ema100_slope")); err == nil || !strings.Contains(err.Error(), "the features differ") {
		t.Errorf("states of other features: %v", err)
	}
	store := newMemory()
	if _, err := LoadStates(t.Context(), store, "x", d, freshSet(t, "ema20_slope")); !errors.Is(err, errMissing) || errors.Is(err, ErrStates) {
		t.Errorf("a missing object: %v (want the store's error)", err)
	}
}

func FuzzDecodeStates(f *testing.F) {
	all := bars.Generate(25, 3)
	d := run.Data{SHA256: bars.Digest(all), Bars: 25, SliceBars: 10}
	good, err := ComputeStates(d, all, freshSet(f, "ema20_slope", "h4_trend"))
	must(f, err)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("\x81\xa6states\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		probe := freshSet(t, "ema20_slope", "h4_trend")
		s, err := decodeStates(data, d, probe)
		if err != nil {
			return
		}
		// What is taken is safe to use as it is.
		if len(s.States) != 2 || probe.Seen() != 20 {
			t.Errorf("%d states were taken, the last after %d bars", len(s.States), probe.Seen())
		}
		for i, state := range s.States {
			if err := probe.LoadState(state); err != nil || probe.Seen() != int64(i+1)*10 {
				t.Errorf("state %d was taken: %v, after %d bars", i, err, probe.Seen())
			}
		}
	})
}
