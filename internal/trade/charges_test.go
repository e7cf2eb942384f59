package trade

import (
	"bytes"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/policy"

	"pgregory.net/rapid"
)

// exampleCosts are those of docs/engine.md.
func exampleCosts() *policy.Costs {
	return &policy.Costs{
		CommissionBps: 0.5, CommissionPerTradeBps: 1, SwapLongBpsPerNight: 0.8, SwapShortBpsPerNight: -0.3,
		RolloverHourUTC: 22, TripleSwapWeekday: "wednesday", SlippageBps: 0.25,
	}
}

func drawCosts(t *rapid.T) *policy.Costs {
	bps := func(name string, least float64) float64 { return rapid.Float64Range(least, 9999).Draw(t, name) }
	return &policy.Costs{
		CommissionBps: bps("commission", 0), CommissionPerTradeBps: bps("per trade", 0),
		SwapLongBpsPerNight: bps("long", -9999), SwapShortBpsPerNight: bps("short", -9999), SlippageBps: bps("slippage", 0),
		RolloverHourUTC:   rapid.IntRange(0, 23).Draw(t, "hour"),
		TripleSwapWeekday: rapid.SampledFrom([]string{"", "monday", "tuesday", "wednesday", "thursday", "friday"}).Draw(t, "triple"),
	}
}

// The trades of docs/engine.md, which were charged with pencil and paper, are
// charged so. The document's policy is exampleCosts.
func TestChargesByHand(t *testing.T) {
	b, err := os.ReadFile("../../docs/engine.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(b), "\n## Costs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, doc, fenced := strings.Cut(section, "```yaml\n")
	doc, _, closed := strings.Cut(doc, "```")
	if !found || !fenced || !closed {
		t.Fatal("docs/engine.md has no section Costs with a policy")
	}
	p, err := policy.Parse("engine.md", []byte(doc), policy.Options{Strict: true})
	if err != nil || p.Costs == nil || *p.Costs != *exampleCosts() {
		t.Fatalf("its policy has costs %+v, %v (want %+v)", p.Costs, err, exampleCosts())
	}
	n := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.ReplaceAll(line, " ", ""), "|")
		if len(cells) != 14 || cells[2] != "long" && cells[2] != "short" {
			continue
		}
		n++
		s := Signal{Side: Long, ExitBar: 1, EntryTimeNS: handTime(t, cells[3]), ExitTimeNS: handTime(t, cells[5]), EntryPrice: handNumber(t, cells[4]), ExitPrice: handNumber(t, cells[6])}
		if cells[2] == "short" {
			s.Side = Short
		}
		got := Charge(p.Costs, &s)
		for i, x := range []float64{s.PnlBps(), float64(got.Nights), got.CommissionBps, got.SwapBps, got.SlippageBps, got.NetPnlBps} {
			if want := handNumber(t, cells[7+i]); math.Abs(x-want) > 1e-9 {
				t.Errorf("trade %s: %v (want %v) in\n%s", cells[1], x, want, line)
			}
		}
	}
	if n != 5 {
		t.Errorf("%d trades (want 5)", n)
	}
}

func handTime(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse("Mon2006-01-0215:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixNano()
}

func handNumber(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(strings.ReplaceAll(text, "−", "-"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Nights are the rollovers after the entry, up to the exit, one by one.
func TestNightsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCosts(t)
		// Whole quarters of an hour, so that rollovers are met exactly.
		quarter := int64(15 * time.Minute)
		entry := quarter * rapid.Int64Range(-100_000, 2_000_000).Draw(t, "entry")
		exit := entry + quarter*rapid.Int64Range(0, 4*24*30).Draw(t, "held")
		want := int64(0)
		for at := entry + quarter; at <= exit; at += quarter {
			now := time.Unix(0, at).UTC()
			if now.Hour() != c.RolloverHourUTC || now.Minute() != 0 {
				continue
			}
			switch day := now.Weekday(); {
			case c.TripleSwapWeekday == "":
				want++
			case strings.EqualFold(day.String(), c.TripleSwapWeekday):
				want += 3
			case day != time.Saturday && day != time.Sunday:
				want++
			}
		}
		if got := nights(c, entry, exit); got != want {
			t.Errorf("%d nights from %v to %v with %+v (want %d)", got, time.Unix(0, entry).UTC(), time.Unix(0, exit).UTC(), c, want)
		}
	})
}

// Costs change no column that is there without them, and what is measured of
// rows is what is measured of trades.
func TestChargedFilesAreReadBack(t *testing.T) {
	list := someTrades(t)
	costs := exampleCosts()
	plain := strings.Split(string(writeCSV(t, list)), "\n")
	for i, line := range strings.Split(string(writeCharged(t, list, costs)), "\n") {
		if !strings.HasPrefix(line, plain[i]) {
			t.Errorf("line %d is %s (want it to begin with %s)", i+1, line, plain[i])
		}
	}
	var want []Row
	for i := range list {
		r, err := NewRow(&list[i], testSessions(t), costs)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	got, err := ReadCSV(writeCharged(t, list, costs))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("CSV: %v, got\n%+v\nwant\n%+v", err, got, want)
	}
	b := writeChargedParquet(t, list, costs)
	got, _, err = ReadParquet(bytes.NewReader(b), int64(len(b)), int64(len(want)))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("parquet: %v, got\n%+v\nwant\n%+v", err, got, want)
	}
	m, fromRows := Measure(closedOf(list), testSessions(t), costs), MeasureRows(want)
	if m.Net == nil || fromRows.Net == nil || *m.Net != *fromRows.Net {
		t.Errorf("of rows: %+v, of signals %+v", fromRows.Net, m.Net)
	}
	without := Measure(closedOf(list), testSessions(t), nil)
	gross := m.Figures
	if gross.Net = nil; !reflect.DeepEqual(gross, without.Figures) {
		t.Errorf("costs change %+v to %+v", without.Figures, gross)
	}
	total := 0.0
	for _, r := range want {
		total += r.Charges.NetPnlBps
	}
	if m.Net.TotalPnlBps != total || total >= m.TotalPnlBps {
		t.Errorf("net %v, rows add up to %v, gross %v", m.Net.TotalPnlBps, total, m.TotalPnlBps)
	}
}

// Each column that costs bring is held against the policy.
func TestChargesAreChecked(t *testing.T) {
	list, costs := someTrades(t), exampleCosts()
	r, err := NewRow(&list[0], testSessions(t), costs)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		column string
		spoil  func(*Row)
	}{
		{"nights", func(r *Row) { r.Charges.Nights++ }},
		{"commission_bps", func(r *Row) { r.Charges.CommissionBps += 0.5 }},
		{"swap_bps", func(r *Row) { r.Charges.SwapBps++ }},
		{"slippage_bps", func(r *Row) { r.Charges.SlippageBps++ }},
		{"net_pnl_bps", func(r *Row) { r.Charges.NetPnlBps++ }},
	} {
		bad := r
		c.spoil(&bad)
		if list := bad.CheckCharges(7, costs); len(list) != 1 || list[0].Line != 7 || list[0].Column != c.column {
			t.Errorf("%s: %v", c.column, list)
		}
	}
	if list := r.CheckCharges(7, nil); len(list) != 1 || list[0].Want != "absent" {
		t.Errorf("without costs: %v", list)
	}
	plain, err := NewRow(&list[0], testSessions(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if list := plain.CheckCharges(7, costs); len(list) != 1 || list[0].Value != "absent" {
		t.Errorf("without the columns: %v", list)
	}
	if list := plain.Differences(&r); len(list) != 1 || list[0].Column != "net_pnl_bps" {
		t.Errorf("one file charged: %v", list)
	}
}
