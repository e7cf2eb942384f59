package execengine

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// emitPolicy has no model, and names features that nobody here knows.
const emitPolicy = `policy_name: emits
features: [attention_1]
replay_config: {replay_pregate: {enabled: true, allow_sessions: [EU, US, ASIA]}}
entry: {p_side_min: 0.6, max_gap: 8000h}
exit: {stop_bps: 8, target_bps: 12, max_bars: 40}
risk: {max_open_trades: 1}
`

const (
	emitBars  = 400
	emitFirst = 120 // the chunk
	emitEnd   = 300
	emitWarm  = 20 // bars of the slice before it
	emitTail  = 5
)

// emitOf is a chunk of a data set, and a directory for what a command leaves.
func emitOf(t testing.TB, kind, doc string) (Emit, []bars.Bar) {
	t.Helper()
	p, err := policy.Parse("emits.yaml", []byte(doc), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := bars.Generate(emitBars, 5)
	e := Emit{
		Kind: kind, Dir: in(t, t.TempDir()), Chunk: run.BarRange{First: emitFirst, End: emitEnd}, Policy: p, Source: replay.InMemory(list),
		Data:     run.Data{SHA256: bars.Digest(list), Bars: emitBars, BarLength: bars.BarLength(list)},
		FirstRow: emitFirst - emitWarm, Bars: emitEnd - emitFirst,
	}
	for _, b := range list[emitFirst-emitWarm : emitEnd+emitTail] {
		e.Times = append(e.Times, b.TimeNS)
	}
	return e, list
}

// scoresText are scores of n own bars that make signals of both sides.
func scoresText(e Emit, n int) []byte {
	var b bytes.Buffer
	b.WriteString("time,p_long,p_short\n")
	for k := range n {
		x := 0.5 + 0.3*math.Sin(float64(k)/3)
		fmt.Fprintf(&b, "%s,%v,%v\n", stamp(e.Times[emitWarm+k]), x, 1-x)
	}
	return b.Bytes()
}

func emitted(t testing.TB, e Emit) Emission {
	t.Helper()
	out, err := Emitted(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// signalsIn are the signals among what goes with the footer.
func signalsIn(t testing.TB, out Emission) []trade.Signal {
	t.Helper()
	k := slices.IndexFunc(out.Artifacts, func(a Artifact) bool { return a.Name == trade.ArtifactName })
	if k < 0 {
		return nil
	}
	list, err := trade.DecodeSignals(out.Artifacts[k].Artifact, out.Artifacts[k].Content)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestEmittedScores(t *testing.T) {
	e, list := emitOf(t, run.EmitsScores, emitPolicy)
	leaveFile(t, e.Dir.Path(""), "scores.csv", scoresText(e, emitEnd-emitFirst))
	out := emitted(t, e)
	f := footer.Footer{
		Engine: "exec", BarsProcessed: out.Bars, NModelCalls: 77, NTradesClosed: 99, PregateSkips: 98, TModelTotalSec: 5, PnlBps: 1e9,
		SkipReasons: footer.Counts{"made up": 1},
	}
	out.fill(&f)
	signals := signalsIn(t, out)
	if out.Bars != emitEnd-emitFirst || len(signals) < 40 || int64(len(signals)) != f.NSignals {
		t.Fatalf("%d bars, %d signals, %d counted", out.Bars, len(signals), f.NSignals)
	}
	if err := trade.ValidateSignals(signals, e.Chunk, e.Data.Bars); err != nil {
		t.Error(err)
	}
	// The chunk's own count is the replay's, and what is the command's stays.
	var want footer.Footer
	replay.CountTrades(&want, signals, e.Policy.Risk)
	if f.NTradesClosed != want.NTradesClosed || f.PnlBps != want.PnlBps || !reflect.DeepEqual(f.DropReasons, want.DropReasons) || want.NTradesClosed == 0 {
		t.Errorf("%d trades, %v bps, dropped %v (want %d, %v, %v)", f.NTradesClosed, f.PnlBps, f.DropReasons, want.NTradesClosed, want.PnlBps, want.DropReasons)
	}
	if f.NModelCalls != 77 || f.TModelTotalSec != 5 {
		t.Errorf("%d calls, %v s (want the command's)", f.NModelCalls, f.TModelTotalSec)
	}
	skips := int64(0)
	for _, b := range list[emitFirst:emitEnd] {
		if h := b.TimeNS / 3600e9 % 24; h >= 12 && h < 16 {
			skips++
		}
	}
	if f.PregateSkips != skips || f.SkipReasons[trade.SkipSession] != skips || f.PregatePasses != out.Bars-skips || skips == 0 {
		t.Errorf("%d skips of %v, %d passes (want %d)", f.PregateSkips, f.SkipReasons, f.PregatePasses, skips)
	}
}

// What is there of a stopped command's scores is what was replayed, whatever
// else it said.
func TestEmittedScoresOfAStoppedCommand(t *testing.T) {
	for _, rows := range []int{0, 1, 50, emitEnd - emitFirst} {
		for _, said := range []int64{0, 60, emitEnd - emitFirst} {
			e, _ := emitOf(t, run.EmitsScores, emitPolicy)
			e.Partial, e.Bars = true, said
			leaveFile(t, e.Dir.Path(""), "scores.csv", append(scoresText(e, rows), "2026-01-02T0"...))
			out := emitted(t, e)
			if out.Bars != int64(rows) {
				t.Errorf("%d rows, %d bars said: %d bars", rows, said, out.Bars)
			}
			if err := trade.ValidateSignals(signalsIn(t, out), run.BarRange{First: emitFirst, End: emitFirst + int64(rows)}, e.Data.Bars); err != nil {
				t.Errorf("%d rows: %v", rows, err)
			}
		}
	}
	e, _ := emitOf(t, run.EmitsScores, emitPolicy)
	if _, err := Emitted(context.Background(), e); err == nil {
		t.Error("a command that did all and left nothing is taken")
	}
	e.Partial = true
	if out := emitted(t, e); out.Bars != 0 || len(out.Artifacts) > 0 {
		t.Errorf("nothing left: %d bars, %d artifacts", out.Bars, len(out.Artifacts))
	}
}

func TestEmittedSignals(t *testing.T) {
	e, list := emitOf(t, run.EmitsSignals, emitPolicy)
	at := func(bar int64) string { return stamp(list[bar].TimeNS) }
	var b bytes.Buffer
	b.WriteString("time,side,entry_time,entry_price,exit_time,exit_price\n")
	for _, s := range []struct {
		bar, exit int64 // exit 0: open
		side      string
		entry     float64
	}{
		{130, 140, "long", 2000}, {135, 150, "short", 2000}, {200, 240, "long", 2000}, {260, 0, "short", 2000}, {299, 303, "long", 2000}, {298, 0, "long", 2000},
	} {
		fmt.Fprintf(&b, "%s,%s,%s,%v,", at(s.bar), s.side, at(s.bar+1), s.entry)
		if s.exit > 0 {
			fmt.Fprintf(&b, "%s,%v\n", at(s.exit), s.entry+1)
			continue
		}
		b.WriteString(",\n")
	}
	leaveFile(t, e.Dir.Path(""), "signals.csv", b.Bytes())
	for _, c := range []struct {
		partial        bool
		bars           int64
		signals, mark  int64 // how many, and where the short is marked
		closed, opened int64
	}{
		{false, 180, 6, 304, 2, 1}, // to the end of the tail
		{true, 180, 6, 299, 3, 1},  // an open trade counts up to where it is marked
		{true, 170, 4, 289, 2, 1},
		{true, 81, 3, 0, 2, 0},
		{true, 80, 2, 0, 1, 0},
		{true, 0, 0, 0, 0, 0},
	} {
		e.Partial, e.Bars = c.partial, c.bars
		out := emitted(t, e)
		got := signalsIn(t, out)
		var f footer.Footer
		out.fill(&f)
		if out.Bars != c.bars || int64(len(got)) != c.signals || f.NSignals != c.signals || f.NTradesClosed != c.closed || f.TradesOpen != c.opened {
			t.Errorf("%+v: %d bars, %d signals, %+v", c, out.Bars, len(got), f)
			continue
		}
		if err := trade.ValidateSignals(got, run.BarRange{First: emitFirst, End: emitFirst + c.bars}, e.Data.Bars); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		for _, s := range got {
			if !s.Open {
				continue
			}
			price := list[s.MarkBar].AskClose
			if s.Side == trade.Long {
				price = list[s.MarkBar].BidClose
			}
			if s.MarkBar != c.mark || s.MarkPrice != price || s.BarsHeld != s.MarkBar-s.Bar || s.MAEBps > min(0, s.PnlBps()) || s.MFEBps < max(0, s.PnlBps()) {
				t.Errorf("%+v: %+v (want it marked at bar %d, %v)", c, s, c.mark, price)
			}
		}
	}
	// Gate and warm-up are the command's.
	e.Partial, e.Bars = false, 180
	out := emitted(t, e)
	f := footer.Footer{PregateSkips: 7, SkipReasons: footer.Counts{"own": 7}}
	if out.fill(&f); f.PregateSkips != 7 || f.SkipReasons["own"] != 7 || slices.Contains(out.Given, "pregate_skips") {
		t.Errorf("%d skips, %v, given %v", f.PregateSkips, f.SkipReasons, out.Given)
	}
}

func TestEmittedTrades(t *testing.T) {
	e, _ := emitOf(t, run.EmitsTrades, emitPolicy)
	e.Policy = policy.Policy{}
	row := strings.Repeat("x", 1000) + ",1\n"
	text := "id,pnl\n" + strings.Repeat(row, 1200)
	leaveFile(t, e.Dir.Path(""), "trades.csv", []byte(text))
	out := emitted(t, e)
	if len(out.Artifacts) != 1 || !slices.Equal(out.Given, []string{"n_trades_closed"}) || out.Bars != e.Bars {
		t.Fatalf("%d artifacts, given %v, %d bars", len(out.Artifacts), out.Given, out.Bars)
	}
	a := out.Artifacts[0]
	if a.Name != "trades.csv" || a.Parts != 3 || len(a.Content) != 3 || a.Bytes != int64(len(text)) || string(bytes.Join(a.Content, nil)) != text {
		t.Errorf("%+v, %d parts", a.Artifact, len(a.Content))
	}
	f := footer.Footer{NTradesClosed: 1199, PnlBps: 3}
	if out.fill(&f); f.NTradesClosed != 1200 || f.PnlBps != 3 || f.DropReasons != nil {
		t.Errorf("%+v", f)
	}
	e.Dir = in(t, t.TempDir())
	if out := emitted(t, e); len(out.Artifacts) > 0 {
		t.Error("an artifact of nothing")
	}
	e.Kind = "everything"
	if _, err := Emitted(context.Background(), e); err == nil || !strings.Contains(err.Error(), "--exec-emits") {
		t.Errorf("%v", err)
	}
}

func TestCheckEmits(t *testing.T) {
	for _, c := range []struct{ kind, doc, want string }{
		{run.EmitsScores, emitPolicy, ""},
		{run.EmitsSignals, emitPolicy, ""},
		{run.EmitsScores, "policy_name: p\nentry_config: rules.yaml\n", "rules.yaml is not there"},
		{run.EmitsTrades, "policy_name: p\nentry_config: rules.yaml\n", ""},
	} {
		p, err := policy.Parse("p.yaml", []byte(c.doc), policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = CheckEmits(c.kind, p, run.Data{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s of %q: %v (want %q)", c.kind, c.doc, err, c.want)
		}
	}
	p, _ := policy.Parse("p.yaml", []byte(emitPolicy), policy.Options{})
	p.Replay.Fill = "never"
	if err := CheckEmits(run.EmitsScores, p, run.Data{}); err == nil || !strings.Contains(err.Error(), "replay.fill") {
		t.Errorf("a fill that there is not: %v", err)
	}
}
