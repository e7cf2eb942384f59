package trade

import (
	"bytes"
	"errors"
	"iter"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// kept are the signals of the fixture, in each of their states, with and
// without a place in the selection.
func kept() []KeptSignal {
	var list []KeptSignal
	for i, s := range fixture() {
		k := KeptSignal{Signal: s, Taken: i%2 == 0}
		if !k.Taken {
			k.Dropped = DropMaxOpen
		}
		list = append(list, k)
	}
	return list
}

func seqOf(list []KeptSignal) iter.Seq2[KeptSignal, error] {
	return func(yield func(KeptSignal, error) bool) {
		for _, k := range list {
			if !yield(k, nil) {
				return
			}
		}
	}
}

func writeSignals(t testing.TB, skipped BarSet, list []KeptSignal) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSignals(&b, skipped, seqOf(list)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readSignals(b []byte, dataBars int64) (SignalFile, error) {
	return ReadSignals(bytes.NewReader(b), int64(len(b)), dataBars)
}

const fixtureBars = 60_000 // more than the fixture's signals reach

func TestSignalFileSurvives(t *testing.T) {
	skipped := NewBarSet(fixtureBars)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		skipped.Add(rng.Int64N(fixtureBars))
	}
	for name, c := range map[string]struct {
		skipped BarSet
		list    []KeptSignal
	}{
		"all states": {skipped, kept()},
		"no gate":    {BarSet{}, kept()},
		"no signals": {skipped, nil},
		"nothing":    {},
		"last bar":   {func() BarSet { s := NewBarSet(fixtureBars); s.Add(fixtureBars - 1); return s }(), nil},
		"empty gate": {NewBarSet(fixtureBars), nil},
	} {
		b := writeSignals(t, c.skipped, c.list)
		got, err := readSignals(b, fixtureBars)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got, SignalFile{c.list, c.skipped}) {
			t.Errorf("%s: read %+v (want %+v)", name, got, SignalFile{c.list, c.skipped})
		}
		if again := writeSignals(t, c.skipped, c.list); !bytes.Equal(b, again) {
			t.Errorf("%s: equal signals are other bytes", name)
		}
	}
}

func TestSignalFileRefuses(t *testing.T) {
	change := func(f func(r *signalRow)) []byte {
		var rows []signalRow
		for _, k := range kept() {
			rows = append(rows, newSignalRow(&k))
		}
		for i := range rows {
			if rows[i].StateName == stateClosedName {
				f(&rows[i])
				break
			}
		}
		var b bytes.Buffer
		if err := writeRows(&b, signalsTable, func(yield func(signalRow, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	meta := func(text string) []byte {
		var b bytes.Buffer
		if err := writeRows(&b, signalsTable, func(func(signalRow, error) bool) {}, parquet.KeyValueMetadata(skippedKey, text)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := writeSignals(t, NewBarSet(fixtureBars), kept())
	for name, c := range map[string]struct {
		b    []byte
		bars int64
		want string
	}{
		"empty":             {nil, fixtureBars, "no parquet file"},
		"torn":              {good[:len(good)/2], fixtureBars, "parquet"},
		"trades":            {writeParquet(t, nil), fixtureBars, "its columns are"},
		"other data":        {good, fixtureBars + 1, "gx1.pregate_skipped"},
		"behind the data":   {writeSignals(t, BarSet{}, kept()), 3, "it is not in the chunk"},
		"state":             {change(func(r *signalRow) { r.StateName = "gone" }), fixtureBars, `state is "gone"`},
		"side":              {change(func(r *signalRow) { r.Side = "up" }), fixtureBars, "side is 0"},
		"left where closed": {change(func(r *signalRow) { r.Stop = 1 }), fixtureBars, "left_"},
		"price":             {change(func(r *signalRow) { r.ExitPrice = -1 }), fixtureBars, "exit_price is -1"},
		"taken, dropped":    {change(func(r *signalRow) { r.Taken, r.Dropped = true, "x" }), fixtureBars, "taken is true"},
		"neither":           {change(func(r *signalRow) { r.Taken, r.Dropped = false, "" }), fixtureBars, "taken is false"},
		"bar":               {change(func(r *signalRow) { r.Bar = 0 }), fixtureBars, "row "},
		"no bits":           {meta("60000"), fixtureBars, "a colon"},
		"no base64":         {meta("60000:!"), fixtureBars, "gx1.pregate_skipped"},
		"no deflate":        {meta("60000:AAAA"), fixtureBars, "gx1.pregate_skipped"},
		"too few bits":      {meta("60000:AwA="), fixtureBars, "it has 0 bytes of bits (want 7500)"},
	} {
		if _, err := readSignals(c.b, c.bars); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (want %q)", name, err, c.want)
		}
	}
}

func TestSignalFileIsBounded(t *testing.T) {
	var s Signal
	rng := rand.New(rand.NewPCG(2, 2))
	endless := func(yield func(KeptSignal, error) bool) {
		for bar := int64(0); ; bar++ {
			s = Signal{
				Bar: bar, TimeNS: bar, Side: Long, Score: rng.Float64(), EntryBar: bar + 1, EntryTimeNS: bar + 1, EntryPrice: rng.Float64(),
				ExitBar: bar + 2, ExitTimeNS: bar + 2, ExitPrice: rng.Float64(), ExitReason: ExitStop, MFEBps: rng.Float64(), MAEBps: -rng.Float64(), MarkBar: NoBar,
			}
			if !yield(KeptSignal{Signal: s, Taken: true}, nil) {
				return
			}
		}
	}
	var n count
	if err := WriteSignals(&n, BarSet{}, endless); !errors.Is(err, ErrSignalsTooLarge) {
		t.Errorf("signals without an end: %v (want ErrSignalsTooLarge)", err)
	}
	if n > MaxSignalFile {
		t.Errorf("%d bytes were written (want at most %d)", n, int64(MaxSignalFile))
	}
}

type count int64

func (n *count) Write(p []byte) (int, error) { *n += count(len(p)); return len(p), nil }

func TestBarSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		n := rng.Int64N(70)
		s, want := NewBarSet(n), map[int64]bool{}
		for range rng.IntN(40) {
			if n > 0 {
				bar := rng.Int64N(n)
				s.Add(bar)
				want[bar] = true
			}
		}
		first, end := rng.Int64N(90)-10, rng.Int64N(90)-10
		var sum int64
		for bar := int64(-10); bar < 90; bar++ {
			if s.Has(bar) != want[bar] {
				t.Fatalf("bar %d of %d: %t", bar, n, s.Has(bar))
			}
			if want[bar] && bar >= first && bar < end {
				sum++
			}
		}
		if got := s.Count(first, end); got != sum {
			t.Fatalf("%d bars in [%d, %d) of %d (want %d)", got, first, end, n, sum)
		}
	}
}

func FuzzReadSignals(f *testing.F) {
	f.Add(writeSignals(f, NewBarSet(fixtureBars), kept()))
	f.Add(writeSignals(f, BarSet{}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := readSignals(b, fixtureBars)
		if err != nil {
			return
		}
		again, err := readSignals(writeSignals(t, file.Skipped, file.Signals), fixtureBars)
		if err != nil || !reflect.DeepEqual(again, file) {
			t.Errorf("read %+v, then %+v, %v", file, again, err)
		}
	})
}
