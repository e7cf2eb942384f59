package trade

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
)

// aDecision draws one of any kind.
func aDecision(t *rapid.T) BarDecision {
	x := BarDecision{Decision: Decision(rapid.IntRange(0, decisions-1).Draw(t, "decision"))}
	if x.Decision.HasScore() {
		x.Score = rapid.Float64Range(0, 1).Draw(t, "score")
	}
	if x.Decision.HasSide() {
		x.Side = rapid.SampledFrom([]Side{Long, Short}).Draw(t, "side")
	}
	return x
}

// everyDecision has each decision once, those with a side twice.
func everyDecision() (all []BarDecision) {
	for k := range Decision(decisions) {
		x := BarDecision{Decision: k}
		if k.HasScore() {
			x.Score = 0.25 + float64(k)/32
		}
		if k.HasSide() {
			all = append(all, BarDecision{k, Short, 0.75})
			x.Side = Long
		}
		all = append(all, x)
	}
	return all
}

func decisionsOf(all []BarDecision) *Decisions {
	var d Decisions
	for _, x := range all {
		d.Add(x)
	}
	return &d
}

func listDecisions(d *Decisions) (all []BarDecision) {
	for r := d.Reader(); ; {
		x, ok := r.Next()
		if !ok {
			return all
		}
		all = append(all, x)
	}
}

func encodeDecisions(t testing.TB, d *Decisions) (footer.Artifact, [][]byte) {
	t.Helper()
	a, parts, err := EncodeDecisions(DecisionsName, d)
	if err != nil {
		t.Fatal(err)
	}
	return a, parts
}

// What was added comes back, from memory and from its coded form.
func TestDecisionsSurviveCoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.Custom(aDecision)).Draw(t, "all")
		d := decisionsOf(all)
		if got := listDecisions(d); !slices.Equal(got, all) || d.Len() != len(all) {
			t.Fatalf("%+v came back as %+v", all, got)
		}
		a, parts, err := EncodeDecisions(DecisionsName, d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeDecisions(a, parts)
		if err != nil || !slices.Equal(listDecisions(&back), all) {
			t.Fatalf("%+v came back as %+v, %v", all, back, err)
		}
		if _, again, err := EncodeDecisions(DecisionsName, &back); err != nil || !reflect.DeepEqual(again, parts) {
			t.Fatalf("encoded anew they differ (%v)", err)
		}
	})
}

func TestDecisionsGolden(t *testing.T) {
	_, parts := encodeDecisions(t, decisionsOf(everyDecision()))
	golden(t, "decisions.hex", []byte(hex.Dump(slices.Concat(parts...))))
}

// What a decision does not have is not kept.
func TestDecisionsLeaveOut(t *testing.T) {
	d := decisionsOf([]BarDecision{{DecisionWarmup, Short, 0.5}, {DecisionEqual, Short, 0.5}, {DecisionNoSignal, Long, math.NaN()}})
	if got, want := listDecisions(d), []BarDecision{{DecisionWarmup, 0, 0}, {DecisionEqual, 0, 0.5}, {DecisionNoSignal, 0, 0}}; !slices.Equal(got, want) {
		t.Errorf("%+v (want %+v)", got, want)
	}
}

func TestDecisionsThatAreNone(t *testing.T) {
	for _, x := range []BarDecision{{decisions, 0, 0}, {DecisionSignal, Long, math.NaN()}, {DecisionSignal, Long, 1.5}, {DecisionEqual, 0, -0.1}} {
		if _, _, err := EncodeDecisions(DecisionsName, decisionsOf([]BarDecision{{}, x})); err == nil || !strings.Contains(err.Error(), "decision 1: ") {
			t.Errorf("%+v: %v (want an error that says where)", x, err)
		}
	}
}

// manyDecisions is enough for three parts.
func manyDecisions() *Decisions {
	var d Decisions
	for i := range 300_000 {
		x := BarDecision{Decision: Decision(i % decisions)}
		if x.Decision.HasSide() {
			x.Side = Long
		}
		if x.Decision.HasScore() {
			x.Score = float64(i) / 300_000
		}
		d.Add(x)
	}
	return &d
}

func TestDecisionsInParts(t *testing.T) {
	d := manyDecisions()
	a, parts := encodeDecisions(t, d)
	if len(parts) != 3 || a.Parts != 3 {
		t.Fatalf("%d parts, %d listed (want 3)", len(parts), a.Parts)
	}
	for i, p := range parts {
		if len(p) > MaxPartBytes || i < 2 && len(p) < MaxPartBytes-9 {
			t.Errorf("part %d has %d bytes", i, len(p))
		}
	}
	for _, parts := range [][][]byte{parts, {slices.Concat(parts...)}} {
		if back, err := DecodeDecisions(a, parts); err != nil || !slices.Equal(listDecisions(&back), listDecisions(d)) {
			t.Fatalf("%d came back of %d: %v", back.Len(), d.Len(), err)
		}
	}
	changed := slices.Clone(parts)
	changed[1] = bytes.Clone(parts[1])
	changed[1][100] ^= 1
	for name, c := range map[string]struct {
		parts [][]byte
		want  string
	}{
		"one is missing": {parts[:2], "2 parts are there, 3 are listed"},
		"out of place":   {[][]byte{parts[1], parts[0], parts[2]}, "SHA-256"},
		"a bit changed":  {changed, "SHA-256"},
	} {
		if _, err := DecodeDecisions(a, c.parts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v (want one with %q)", name, err, c.want)
		}
	}
}

func TestMalformedDecisions(t *testing.T) {
	_, parts := encodeDecisions(t, decisionsOf([]BarDecision{{}, {DecisionSignal, Long, 0.75}}))
	whole := parts[0]
	at := func(i int, b byte) []byte {
		c := bytes.Clone(whole)
		c[i] = b
		return c
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "does not begin with"},
		{"signals", at(3, 's'), "does not begin with"},
		{"other version", at(4, 2), "its version is 2 (want 1)"},
		{"more than bytes", at(8, 0xff), "declares 4278190082 decisions"},
		{"more than there are", at(5, 3), "it ends within a record"},
		{"fewer than there are", at(5, 1), "9 bytes follow the last decision"},
		{"cut", whole[:len(whole)-1], "it ends within a record"},
		{"an unknown code", at(partHeader, byte(decisions)), "decision 0: its code is 0xc"},
		{"a side where there is none", at(partHeader, codeShort), "decision 0: its code is 0x80"},
		{"a score that is none", at(len(whole)-1, 0xff), "decision 1: its score is"},
	} {
		if _, err := DecodeDecisions(artifactOf(c.b), [][]byte{c.b}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v (want one with %q)", c.name, err, c.want)
		}
	}
}

func FuzzDecodeDecisions(f *testing.F) {
	for _, d := range []*Decisions{decisionsOf(everyDecision()), {}} {
		_, parts, err := EncodeDecisions(DecisionsName, d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(parts[0])
	}
	f.Add([]byte("gx1d\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDecisions(artifactOf(b), [][]byte{b})
		if err != nil {
			return
		}
		_, again, err := EncodeDecisions(DecisionsName, &d)
		if err != nil || len(again) != 1 || !bytes.Equal(again[0], b) {
			t.Fatalf("decoded and encoded anew it differs: %v", err)
		}
		if n := len(listDecisions(&d)); n != d.Len() {
			t.Fatalf("%d decisions can be read of %d", n, d.Len())
		}
	})
}

// Decisions are held against each counter that they make.
func TestDecisionsFitTheirFooter(t *testing.T) {
	d := decisionsOf(everyDecision()) // four have a side
	want := footer.Footer{
		BarsProcessed: 16, BarsSkippedWarmup: 1, NModelCalls: 10, NSignals: 2,
		SkipReasons: footer.Counts{"session_not_allowed": 1, "spread_too_high": 1, "atr_too_low": 1, "atr_too_high": 1},
	}
	if err := d.Check(want); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*footer.Footer){
		"bars_processed":           func(f *footer.Footer) { f.BarsProcessed++ },
		"bars_skipped_warmup":      func(f *footer.Footer) { f.BarsSkippedWarmup = 0 },
		"n_model_calls":            func(f *footer.Footer) { f.NModelCalls-- },
		"n_signals":                func(f *footer.Footer) { f.NSignals++ },
		"skip_reasons.atr_too_low": func(f *footer.Footer) { f.SkipReasons["atr_too_low"]++ },
		"reasons in skip_reasons":  func(f *footer.Footer) { f.SkipReasons["made_up"] = 1 },
	} {
		f := want
		f.SkipReasons = footer.Counts{}
		for k, v := range want.SkipReasons {
			f.SkipReasons[k] = v
		}
		change(&f)
		if err := d.Check(f); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v (want an error that names it)", name, err)
		}
	}
}

// What a pass keeps of each signal adds up to its picks and drops, and keeping
// it changes neither.
func TestPassKeepsReasons(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, x := drawRules(t), drawBars(t)
		signals := followEach(&r, x, drawSides(t, len(x)), rapid.IntRange(0, 12).Draw(t, "most"))
		risk := policy.Risk{
			MaxOpenTrades:          rapid.IntRange(1, 3).Draw(t, "open"),
			CooldownAfterExitIsSet: true, CooldownBarsAfterExit: rapid.Int64Range(0, 3).Draw(t, "cooldown"),
		}
		plain, drops, err := Taken(signals, risk, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := NewPass(risk)
		p.KeepReasons = true
		picks, again, err := p.Next(signals, nil)
		if err != nil || !slices.Equal(slices.Collect(picks.All()), slices.Collect(plain.All())) || !maps.Equal(again, drops) {
			t.Fatalf("keeping reasons changed the selection: %v", err)
		}
		n := map[string]int64{}
		taken := map[int]bool{}
		for i := range picks.All() {
			taken[i] = true
		}
		for i := range signals {
			took, reason := picks.Dropped(i)
			if took != taken[i] || took != (reason == "") {
				t.Fatalf("signal %d: taken %v, reason %q (the picks say %v)", i, took, reason, taken[i])
			}
			if !took {
				n[reason]++
			}
		}
		if !maps.Equal(n, drops) {
			t.Fatalf("signals dropped for %v (want %v)", n, drops)
		}
	})
}

func rowsOf(all []BarDecision) iter.Seq2[DecisionRow, error] {
	return func(yield func(DecisionRow, error) bool) {
		for i, x := range all {
			if !yield(NewDecisionRow(int64(i), int64(i)*300e9, x, i%2 == 0, DropMaxOpen), nil) {
				return
			}
		}
	}
}

func TestDecisionRows(t *testing.T) {
	score := 0.75
	for _, c := range []struct {
		x     BarDecision
		taken bool
		want  DecisionRow
	}{
		{BarDecision{}, true, DecisionRow{7, 8, "warmup", "", "", nil}},
		{BarDecision{Decision: DecisionSkipATRLow}, true, DecisionRow{7, 8, "skip", "atr_too_low", "", nil}},
		{BarDecision{Decision: DecisionNoModel}, false, DecisionRow{7, 8, "pass", "no_model", "", nil}},
		{BarDecision{Decision: DecisionNoSignal}, false, DecisionRow{7, 8, "pass", "no_signal", "", nil}},
		{BarDecision{DecisionEqual, 0, 0.75}, false, DecisionRow{7, 8, "pass", "equal_scores", "", &score}},
		{BarDecision{DecisionPSideMin, Short, 0.75}, false, DecisionRow{7, 8, "pass", "p_side_min", "short", &score}},
		{BarDecision{DecisionSession, Long, 0.75}, false, DecisionRow{7, 8, "pass", "entry_sessions", "long", &score}},
		{BarDecision{DecisionMargin, Long, 0.75}, false, DecisionRow{7, 8, "pass", "margin_min", "long", &score}},
		{BarDecision{DecisionSignal, Long, 0.75}, false, DecisionRow{7, 8, "signal", DropMaxOpen, "long", &score}},
		{BarDecision{DecisionSignal, Short, 0.75}, true, DecisionRow{7, 8, "trade", "", "short", &score}},
	} {
		if got := NewDecisionRow(7, 8, c.x, c.taken, DropMaxOpen); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %+v (want %+v)", c.x, got, c.want)
		}
	}
}

func TestDecisionsFile(t *testing.T) {
	twoGroups := listDecisions(manyDecisions())[:rowGroupRows+2000]
	for _, all := range [][]BarDecision{nil, everyDecision(), twoGroups} {
		var b bytes.Buffer
		if err := WriteDecisions(&b, rowsOf(all)); err != nil {
			t.Fatal(err)
		}
		file, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "decisions.schema", []byte(file.Schema().String()+"\n"))
		if n := (len(all) + rowGroupRows - 1) / rowGroupRows; len(file.RowGroups()) != n {
			t.Errorf("%d row groups of %d rows (want %d)", len(file.RowGroups()), len(all), n)
		}
		plainPages(t, file)
		got, err := parquet.Read[DecisionRow](bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for want := range rowsOf(all) {
			if !reflect.DeepEqual(got[i], want) {
				t.Fatalf("row %d is %+v (want %+v)", i, got[i], want)
			}
			i++
		}
	}
	bad := errors.New("no bars")
	err := WriteDecisions(io.Discard, func(yield func(DecisionRow, error) bool) { yield(DecisionRow{}, bad) })
	if !errors.Is(err, bad) {
		t.Errorf("%v (want the rows' own error)", err)
	}
}
