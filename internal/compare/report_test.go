package compare_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/internal/compare"
	"gx1replay/internal/footer"
)

// update writes the golden files anew: go test ./internal/compare -update.
var update = flag.Bool("update", false, "write testdata anew")

// inputs are perf JSON files, by the name that they have in testdata.
func inputs(tb testing.TB) map[string][]byte {
	slow := onRun()
	slow.each(func(f *footer.Footer) { f.WallClockSec, f.NTradesClosed, f.TFeatureBuildSec = 6, 48, 0.6008 })
	stopped := onRun()
	stopped.stop()
	stopped.report.Policy.SHA256WithoutGate = "another|policy_1234"
	stopped.report.Policy.Name = "gate | <b>*x*</b>"
	stopped.footers[0].Unreported = []string{"t_feature_build_total_sec", "pnl_bps"}
	return map[string][]byte{
		"off.json": offRun().json(tb), "on.json": onRun().json(tb), "slow.json": slow.json(tb),
		"stopped.json": stopped.json(tb), "stub.json": stub(tb),
	}
}

func TestGolden(t *testing.T) {
	in := inputs(t)
	files := map[string][]byte{}
	for name, b := range in {
		files[name] = b
	}
	for name, on := range map[string]string{"pass": "on.json", "fail": "slow.json", "incomplete": "stopped.json", "stub": "stub.json"} {
		r := compare.Judge(compare.Read("off.json", in["off.json"]), compare.Read(on, in[on]), compare.DefaultLimits())
		asJSON, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		files["report_"+name+".md"], files["report_"+name+".json"] = r.Markdown(), asJSON
	}
	for name, got := range files {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "v1", name)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s:\n%s", path, got)
			}
		})
	}
}

// Net and gross are both shown where a run has costs, and each by its name.
func TestReportOfCosts(t *testing.T) {
	off, on := offRun(), onRun()
	one := compare.Judge(off.side(t), on.side(t), compare.DefaultLimits())
	if text := string(one.Markdown()); !strings.Contains(text, "| pnl of the closed, bps |") || strings.Contains(text, "costs") {
		t.Errorf("without costs:\n%s", text)
	}
	on.netPnlBps = new(7.5)
	one = compare.Judge(off.side(t), on.side(t), compare.DefaultLimits())
	if text := string(one.Markdown()); !strings.Contains(text, "| pnl of the closed after costs, bps | – | 7.5 |") || !strings.Contains(text, "| the same before costs, bps | ") {
		t.Errorf("with costs in ON:\n%s", text)
	}
	off.netPnlBps = new(-2.25)
	one = compare.Judge(off.side(t), on.side(t), compare.DefaultLimits())
	if text := string(one.Markdown()); !strings.Contains(text, "| pnl of the closed after costs, bps | -2.25 | 7.5 |") {
		t.Errorf("with costs in both:\n%s", text)
	}
	asJSON, err := one.JSON()
	if err != nil || !bytes.Contains(asJSON, []byte(`"net_pnl_bps": -2.25`)) || !bytes.Contains(asJSON, []byte(`"net_pnl_bps": 7.5`)) {
		t.Errorf("%s, %v", asJSON, err)
	}
}

// A value as it is shown stands where the judged one does.
func TestInvariant4_ShownStandsWhereJudged(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		threshold := rapid.SampledFrom([]float64{0, 0.1, 0.3, 0.30000000000000004, 1, 3, 80}).Draw(rt, "threshold")
		value := max(0, threshold+rapid.Float64Range(-1, 1).Draw(rt, "away")*rapid.SampledFrom([]float64{1, 1e-3, 1e-9, 1e-16, 0}).Draw(rt, "scale"))
		bound := rapid.SampledFrom([]compare.Bound{compare.AtLeast, compare.AtMost}).Draw(rt, "bound")
		r := compare.Result{Figures: []compare.Figure{{Value: compare.Number{Value: value, Known: true}, Bound: bound, Threshold: threshold}}}
		line := r.Lines()[0]
		shown, err := strconv.ParseFloat(strings.ReplaceAll(line[1], ",", ""), 64)
		if err != nil {
			rt.Fatal(err)
		}
		limit, err := strconv.ParseFloat(strings.TrimLeft(line[2], "≥≤ "), 64)
		if err != nil {
			rt.Fatal(err)
		}
		if (value < threshold) != (shown < limit) || (value > threshold) != (shown > limit) {
			rt.Errorf("%v beside %v is shown as %q beside %q", value, threshold, line[1], line[2])
		}
	})
}

// No more digits than that takes, and never fewer than two.
func TestShownDigits(t *testing.T) {
	for _, c := range []struct {
		value float64
		want  string
	}{{0.25, "0.25"}, {0.3, "0.30"}, {0.3004, "0.3004"}, {0.3000012345678, "0.300001"}, {0.2999912345678, "0.29999"}, {12345.678, "12,345.68"}} {
		r := compare.Result{Figures: []compare.Figure{{Value: compare.Number{Value: c.value, Known: true}, Bound: compare.AtMost, Threshold: 0.3}}}
		if got := r.Lines()[0][1]; got != c.want {
			t.Errorf("%v beside 0.3 is %q (want %q)", c.value, got, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		value float64
		want  string
	}{
		{0, "0"}, {840, "840"}, {70000, "70,000"}, {1234567, "1,234,567"}, {-1234.56, "-1,234.6"}, {20.8333333, "20.83"}, {0.00123456, "0.001235"}, {999.96, "1000"},
	} {
		if got := (compare.Number{Value: c.value, Known: true}).String(); got != c.want {
			t.Errorf("%v is %q (want %q)", c.value, got, c.want)
		}
	}
	if got := fmt.Sprint(compare.Number{}); got != "–" {
		t.Errorf("an unknown number is %q", got)
	}
}

// Text of a file neither moves a terminal nor breaks a report.
func TestForeignText(t *testing.T) {
	if got, want := compare.Plain("a\x1b[2Jb\nc\u202e\xff"), "a [2Jb c \ufffd"; got != want {
		t.Errorf("%q (want %q)", got, want)
	}
	if got := compare.Plain(strings.Repeat("x", 5000)); len(got) > 1100 {
		t.Errorf("%d bytes of a long text", len(got))
	}
	on := onRun()
	on.report.Policy.Name = "x | y\n| <script>"
	md := string(compare.Judge(offRun().side(t), on.side(t), compare.DefaultLimits()).Markdown())
	if !strings.Contains(md, `| policy | example_pilot_off | x \| y \| &lt;script> |`) {
		t.Errorf("the row of the policy is broken:\n%s", md)
	}
}
