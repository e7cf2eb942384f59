package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// digestVersion begins what is hashed. It changes when the encoding does, or
// when a key gets a meaning that changes what a replay of old files does.
const digestVersion = "gx1-policy-v1"

// digests returns SHA256 and SHA256WithoutGate: the SHA-256, in hex, of
// digestVersion, every field that a replay reads with its default filled in,
// and every other key as it stands (a user's command reads the whole file).
// The policy's name is a label and left out, so two files that differ in
// their name alone agree. The gate comes last and is left out of the second.
func (p Policy) digests(others []other) (all, withoutGate string) {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%s="+format+"\n", append([]any{key}, args...)...)
	}
	b.WriteString(digestVersion + "\n")
	line("version", "%q", p.Version)
	line("instrument", "%q", p.Instrument)
	line("timeframe", "%q", p.Timeframe)
	line("warmup_bars", "%d", p.WarmupBars)
	for _, s := range p.Sessions {
		line("session", "%q %d %d", s.Name, s.StartHour, s.EndHour)
	}
	line("features", "%q", p.Features)
	if m := p.Model; m != nil {
		line("model", "%q %q %d", m.Kind, m.Path, m.Latency)
		for _, s := range slices.Sorted(maps.Keys(m.Paths)) {
			line("model.path", "%q %q", s, m.Paths[s])
		}
		m.Long.digest(line, "model.long")
		m.Short.digest(line, "model.short")
	}
	e := p.Entry
	line("entry", "%s %s %s %s %q %d", num(e.PSideMin.Long), num(e.PSideMin.Short),
		num(e.MarginMin.Long), num(e.MarginMin.Short), e.Sessions, e.MaxGap)
	x := p.Exit
	line("exit", "%s %s %d", opt(x.StopBps), opt(x.TargetBps), x.MaxBars)
	if x.BreakEven != nil {
		line("break_even", "%s %s", num(x.BreakEven.ActivateBps), num(x.BreakEven.OffsetBps))
	}
	if t := x.Trailing; t != nil {
		line("trailing", "%s %s %d", num(t.ActivateBps), num(t.DistanceBps), t.WithinBars)
	}
	if a := x.RuleA; a != nil {
		line("rule_a", "%s %s %s %d %s", num(a.ProfitMinBps), num(a.ProfitMaxBps),
			num(a.AdaptiveThresholdBps), a.AdaptiveBars, num(a.TrailingStopBps))
	}
	r := p.Risk
	line("risk", "%d %d %d %t %d %t", r.MaxOpenTrades, r.MaxOpenTradesPerSide, r.CooldownBarsAfterEntry,
		r.CooldownAfterEntryIsSet, r.CooldownBarsAfterExit, r.CooldownAfterExitIsSet)
	line("replay", "%q %d %t %q %q", string(p.Replay.Fill), p.Replay.FollowBars,
		p.Replay.CloseOpenTradesAtEnd, p.Replay.EOFCloseReason, p.Replay.EOFPriceSource)
	if p.Costs != nil { // nothing where there are none, so that older policies keep their digests
		p.Costs.digest(line)
	}

	var gate []other
	for _, o := range slices.SortedFunc(slices.Values(others), func(a, b other) int { return strings.Compare(a.path, b.path) }) {
		if strings.HasPrefix(o.path, gatePath+".") {
			gate = append(gate, o)
			continue
		}
		line("other", "%s %s", o.path, o.val.canonical())
	}
	withoutGate = sum(b.String())
	g := p.Pregate
	line("gate", "%t %q %s %s %s", g.Enabled, slices.Compact(slices.Sorted(slices.Values(g.AllowSessions))),
		opt(g.MaxSpreadBps), opt(g.MinATRBps), opt(g.MaxATRBps))
	for _, o := range gate {
		line("other", "%s %s", o.path, o.val.canonical())
	}
	return sum(b.String()), withoutGate
}

func (l Logistic) digest(line func(key, format string, args ...any), key string) {
	line(key, "%s", num(l.Bias))
	for _, f := range slices.Sorted(maps.Keys(l.Weights)) {
		line(key, "%q %s", f, num(l.Weights[f]))
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// num is the shortest text that reads back as v; -0 is 0.
func num(v float64) string {
	if v == 0 {
		return "0"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func opt(v *float64) string {
	if v == nil {
		return "-"
	}
	return num(*v)
}

// Numbers of which the notation means the same to every reader of YAML; all
// others count as they are written.
var (
	plainInt   = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	plainFloat = regexp.MustCompile(`^[-+]?[0-9]+\.[0-9]+$`)
)

// canonical is a text that two nodes share if and only if every reader of
// YAML sees the same value in them. Maps are sorted by key.
func (n *node) canonical() string {
	tag := ""
	if n.tagged {
		tag = n.tag + " "
	}
	switch n.kind {
	case mapping:
		parts := make([]string, len(n.pairs))
		for i, p := range n.pairs {
			parts[i] = p.key.canonical() + ":" + p.val.canonical()
		}
		slices.Sort(parts)
		return tag + "{" + strings.Join(parts, ",") + "}"
	case list:
		parts := make([]string, len(n.items))
		for i, it := range n.items {
			parts[i] = it.canonical()
		}
		return tag + "[" + strings.Join(parts, ",") + "]"
	}
	switch {
	case n.tagged:
		return tag + strconv.Quote(n.text)
	case n.tag == "!!null":
		return "null"
	case n.tag == "!!str" && n.plain && legacy(n.text):
		return "plain " + strconv.Quote(n.text)
	case n.tag == "!!str":
		return strconv.Quote(n.text)
	case n.tag == "!!int" && plainInt.MatchString(n.text):
		return "!!int " + strings.TrimPrefix(n.text, "+")
	case n.tag == "!!float" && plainFloat.MatchString(n.text):
		if v, err := strconv.ParseFloat(n.text, 64); err == nil {
			return "!!float " + num(v)
		}
	}
	return n.tag + " " + strconv.Quote(n.text)
}
