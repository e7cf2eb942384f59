package policy

import (
	"reflect"
	"strings"
	"testing"
)

func TestCosts(t *testing.T) {
	for _, c := range []struct {
		doc  string
		want *Costs
	}{
		{"{}", nil},
		{"costs: null", nil},
		{"costs: {}", &Costs{RolloverHourUTC: 22}},
		{"costs: {commission_bps: 0}", &Costs{RolloverHourUTC: 22}},
		{"costs: {rollover_hour_utc: 0}", &Costs{}},
		{"costs: {commission_bps: 0.5, commission_per_trade_bps: 1, swap_long_bps_per_night: 0.8, swap_short_bps_per_night: -0.3, rollover_hour_utc: 21, triple_swap_weekday: friday, slippage_bps: 0.25}",
			&Costs{0.5, 1, 0.8, -0.3, 21, "friday", 0.25}},
	} {
		p := parse(t, c.doc, Options{Strict: true})
		if !reflect.DeepEqual(p.Costs, c.want) {
			t.Errorf("%s: %+v (want %+v)", c.doc, p.Costs, c.want)
		}
		checkRoundTrip(t, p, Options{})
		checkValues(t, p, false)
		b, err := p.Values(false)
		if err != nil || strings.Contains(string(b), "costs") != (c.want != nil) {
			t.Errorf("%s: values %s, %v", c.doc, b, err)
		}
	}
}

func TestCostsErrors(t *testing.T) {
	for doc, want := range map[string]string{
		"costs: 3":                              "costs: 3 is not a map (want key: value lines)",
		"costs: {commission_bps: -1}":           "costs.commission_bps: -1 is not a charge in bps (want a number >= 0 and < 10000)",
		"costs: {slippage_bps: 10000}":          "costs.slippage_bps: 10000 is not a charge in bps (want a number >= 0 and < 10000)",
		"costs: {commission_per_trade_bps: no}": "costs.commission_per_trade_bps: \"no\" is not a charge in bps (want a number >= 0 and < 10000)",
		"costs: {swap_long_bps_per_night: x}":   "costs.swap_long_bps_per_night: \"x\" is not a charge in bps (want a number between -10000 and 10000, a credit below 0)",
		"costs: {rollover_hour_utc: 24}":        "costs.rollover_hour_utc: 24 is not an hour (want a whole number from 0 to 23)",
		"costs: {triple_swap_weekday: sunday}":  "costs.triple_swap_weekday: \"sunday\" is not a weekday (want monday, tuesday, wednesday, thursday, friday)",
		"costs: {triple_swap_weekday: 3}":       "costs.triple_swap_weekday: 3 is not a weekday (want monday, tuesday, wednesday, thursday, friday)",
	} {
		if _, err := Parse("p.yaml", []byte(doc), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (want %s)", doc, err, want)
		}
		// A command may have its own costs.
		if p, err := Parse("p.yaml", []byte(doc), Options{GateOnly: true}); err != nil || p.Costs != nil || len(p.UnknownKeys) != 1 {
			t.Errorf("%s: with a command: %+v, unknown %v, %v", doc, p.Costs, p.UnknownKeys, err)
		}
	}
}

// Each cost is part of what a policy is, and a default written out is the same.
func TestCostsAreInTheDigest(t *testing.T) {
	seen := map[string]string{}
	for _, doc := range []string{
		"{}", "costs: {}", "costs: {commission_bps: 1}", "costs: {commission_per_trade_bps: 1}", "costs: {swap_long_bps_per_night: 1}",
		"costs: {swap_short_bps_per_night: 1}", "costs: {rollover_hour_utc: 1}", "costs: {triple_swap_weekday: monday}", "costs: {slippage_bps: 1}",
	} {
		p := parse(t, doc, Options{})
		if other, ok := seen[p.SHA256WithoutGate]; ok {
			t.Errorf("%s and %s have one digest", doc, other)
		}
		seen[p.SHA256WithoutGate] = doc
	}
	if a, b := parse(t, "costs: {}", Options{}), parse(t, "costs: {rollover_hour_utc: 22, slippage_bps: 0.0}", Options{}); a.SHA256 != b.SHA256 {
		t.Error("defaults that are written out change the digest")
	}
}
