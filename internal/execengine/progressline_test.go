package execengine

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"gx1replay/internal/footer"
)

func given(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

func TestParseReport(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		text string
		want Report
		raw  string // empty: text itself
	}{
		{text: `{}`},
		{text: " \t{ } \r\n", raw: `{ }`},
		{text: "\xef\xbb\xbf{\"bars_processed\": 5}", want: Report{Footer: footer.Footer{BarsProcessed: 5}, Given: given("bars_processed")}, raw: `{"bars_processed": 5}`},
		{
			text: `{"bars_processed":12.0,"n_model_calls":1.2e1,"t_model_total_sec":3,"pnl_bps":-2.5,"total_bars":-0}`,
			want: Report{
				Footer: footer.Footer{BarsProcessed: 12, NModelCalls: 12, TModelTotalSec: 3, PnlBps: -2.5},
				Given:  given("bars_processed", "n_model_calls", "t_model_total_sec", "pnl_bps", "total_bars"),
			},
		},
		{ // as Python writes them
			text: `{"pnl_bps": NaN, "bars_per_sec": Infinity, "open_pnl_bps": -Infinity, "n_signals": NaN, "trades_open": null, "x": [NaN, "NaN, \" Infinity"]}`,
			want: Report{Nonfinite: []string{"bars_per_sec", "n_signals", "open_pnl_bps", "pnl_bps"}},
			raw:  `{"pnl_bps": null, "bars_per_sec": null, "open_pnl_bps": null, "n_signals": null, "trades_open": null, "x": [null, "NaN, \" Infinity"]}`,
		},
		{ // as awk and C write them
			text: `{"pnl_bps":-nan,"bars_per_sec":inf,"wall_clock_sec":+INF,"t_io_total_sec":1e999}`,
			want: Report{Nonfinite: []string{"bars_per_sec", "pnl_bps", "t_io_total_sec", "wall_clock_sec"}},
			raw:  `{"pnl_bps":null,"bars_per_sec":null,"wall_clock_sec":null,"t_io_total_sec":1e999}`,
		},
		{
			text: `{"bars_processed":"12","n_signals":-1,"n_model_calls":1.5,"total_bars":9007199254740993,"trades_open":1e300,"t_io_total_sec":-1,"wall_clock_sec":true,"error":7,"phase":"sleep","final":"yes","status":[],"cpu_sys_sec":1e17,"skip_reasons":[],"pregate_skips":{"a":1}}`,
			want: Report{},
		},
		{text: `{"total_bars":9007199254740992}`, want: Report{Footer: footer.Footer{TotalBars: 1 << 53}, Given: given("total_bars")}},
		{ // identity, times and plan are not the command's to say
			text: `{"run_id":"x","chunk_idx":1,"worker_id":"w","attempt":9,"claim":1,"seq":1,"first_bar":1,"end_bar":2,"planned_bars":3,"artifacts":[],"host":"h","engine":"e","schema":9,"pid":1,"timestamp":"t","start_ts":"s","end_ts":"e","slot":1,"checkpoints":[[1,2,3,4,5]],"child":{},"unreported":["a"],"Bars_Processed":1}`,
		},
		{text: `{"chunk_id":3,"final":true,"status":"ok","phase":"Warmup"}`, want: Report{ChunkID: "3", Final: true, Status: "ok", Phase: footer.PhaseWarmup}},
		{text: `{"chunk_id":"chunk_3","final":null,"status":null,"phase":""}`, want: Report{ChunkID: "chunk_3"}},
		{text: `{"status":"` + long + `"}`, want: Report{Status: long[:256]}},
		{
			text: `{"skip_reasons":{"spread":2,"atr":null,"vol":NaN,"w":3.0},"drop_reasons":{"a":-1}}`,
			want: Report{
				Footer: footer.Footer{SkipReasons: footer.Counts{"spread": 2, "w": 3}}, Given: given("skip_reasons"),
				Nonfinite: []string{"skip_reasons"},
			},
			raw: `{"skip_reasons":{"spread":2,"atr":null,"vol":null,"w":3.0},"drop_reasons":{"a":-1}}`,
		},
		{text: `{"skip_reasons":{"` + long + `":2}}`, want: Report{}},
		{text: `{ "bars\u005fprocessed" : 1 , "n_signals"	:2,"x":[{"a":"]}"},[]],"total_bars":3}`, want: Report{Footer: footer.Footer{BarsProcessed: 1, NSignals: 2, TotalBars: 3}, Given: given("bars_processed", "n_signals", "total_bars")}},
		{ // the last counts
			text: `{"n_signals":1,"n_signals":NaN,"trades_open":NaN,"trades_open":2,"total_bars":1,"total_bars":"x","bars_processed":"x","bars_processed":4,"error":"a","error":null}`,
			want: Report{
				Footer: footer.Footer{TradesOpen: 2, BarsProcessed: 4}, Given: given("trades_open", "bars_processed"),
				Nonfinite: []string{"n_signals"},
			},
			raw: `{"n_signals":1,"n_signals":null,"trades_open":null,"trades_open":2,"total_bars":1,"total_bars":"x","bars_processed":"x","bars_processed":4,"error":"a","error":null}`,
		},
		{text: "{\"error\":\"a\xff\xfeb\"}", want: Report{Footer: footer.Footer{Error: "a\uFFFDb"}, Given: given("error")}, raw: "{\"error\":\"a\uFFFDb\"}"},
	} {
		got, err := ParseReport([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if c.raw == "" {
			c.raw = c.text
		}
		if c.want.Raw = []byte(c.raw); c.want.Given == nil {
			c.want.Given = given()
		}
		if !reflect.DeepEqual(emptyIsNil(got), c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.text, got, c.want)
		}
	}
}

func emptyIsNil(r Report) Report {
	if len(r.Nonfinite) == 0 {
		r.Nonfinite = nil
	}
	return r
}

func TestParseReport_Refused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "it is empty",
		"null":                            "it begins with something else",
		"NaN":                             "it begins with something else",
		"[]":                              "it begins with something else",
		"12":                              "it begins with something else",
		"hello":                           "it begins with something else",
		`{"a":1`:                          "unexpected end of JSON input",
		`{"a":`:                           "unexpected end of JSON input",
		`{"a`:                             "unexpected end of JSON input",
		`{"a":"\`:                         "is no JSON object: invalid character",
		`{"a":1}{}`:                       `invalid character '{' after top-level value`,
		`{"a":1} x`:                       `invalid character 'x' after top-level value`,
		`{"a":1,}`:                        "invalid character",
		`{NaN:1}`:                         "invalid character",
		`{"a":NaNNaN}`:                    "invalid character",
		`{"a":xNaN}`:                      "invalid character",
		`{"a":` + strings.Repeat("[", 64): "nested deeper than 64 levels",
		`{"a":"` + strings.Repeat(" ", 1<<20) + `"}`: "a report of 1048584 bytes (at most 1048576)",
	} {
		if _, err := ParseReport([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: error %v, want %q", text, err, want)
		}
	}
}

func TestParseReport_Bounds(t *testing.T) {
	r := mustParse(t, `{"bars_processed":1,"x":"`+strings.Repeat("x", 64<<10)+`"}`)
	if r.Raw != nil || r.Footer.BarsProcessed != 1 {
		t.Errorf("a large object: %d bytes are kept, %d bars", len(r.Raw), r.Footer.BarsProcessed)
	}
	mustParse(t, `{"a":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)+`}`)
	many := []string{}
	for i := range footer.MaxReasons + 1 {
		many = append(many, fmt.Sprintf(`"r%d":1`, i))
	}
	if r := mustParse(t, `{"skip_reasons":{`+strings.Join(many, ",")+`}}`); r.Given["skip_reasons"] {
		t.Errorf("%d reasons: given %v", len(many), r.Given)
	}
	if r := mustParse(t, `{"skip_reasons":{`+strings.Join(many[1:], ",")+`}}`); len(r.Footer.SkipReasons) != footer.MaxReasons {
		t.Errorf("%d reasons: given %v", len(many)-1, r.Given)
	}
}

// checkReport holds what is true of every report.
func checkReport(t *testing.T, r Report) {
	t.Helper()
	if r.Raw != nil && (!json.Valid(r.Raw) || !utf8.Valid(r.Raw) || len(r.Raw) > maxRawBytes || r.Raw[0] != '{') {
		t.Fatalf("kept: %q", r.Raw)
	}
	if len(r.Status) > maxStatus || len(r.ChunkID) > maxChunkID {
		t.Fatalf("status %q, chunk_id %q", r.Status, r.ChunkID)
	}
	for _, d := range reported {
		zero := false
		switch p := d.Of(&r.Footer).(type) {
		case *int64:
			if zero = *p == 0; *p < 0 || *p > 1<<53 {
				t.Fatalf("%s is %d", d.Name, *p)
			}
		case *float64:
			if zero = *p == 0; math.IsNaN(*p) || math.Abs(*p) > 1<<53 || *p < 0 && !strings.HasSuffix(d.Name, "pnl_bps") {
				t.Fatalf("%s is %v", d.Name, *p)
			}
		case *string:
			if zero = *p == ""; !utf8.ValidString(*p) {
				t.Fatalf("%s is %q", d.Name, *p)
			}
		case *footer.Counts:
			zero = *p == nil
			for name, n := range *p {
				if n < 0 || n > 1<<53 || len(name) > footer.MaxReasonLen || !utf8.ValidString(name) {
					t.Fatalf("%s: %q is %d", d.Name, name, n)
				}
			}
			if len(*p) > footer.MaxReasons {
				t.Fatalf("%s has %d reasons", d.Name, len(*p))
			}
		}
		if !zero && !r.Given[d.Name] {
			t.Fatalf("%s has a value and was not given", d.Name)
		}
	}
	if _, err := r.Footer.Encode(); err != nil && len(r.Footer.Error)+len(r.Footer.ErrorTraceback) < 1<<16 {
		t.Fatalf("no footer: %v", err)
	}
}

func FuzzParseReport(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"bars_processed": 12.0, "pnl_bps": NaN, "skip_reasons": {"a": 1, "b": -Infinity}}`,
		`{"n_signals":1,"n_signals":-nan,"chunk_id":3,"final":true,"status":"ok","phase":"replay"}`,
		"{\"error\":\"\xff\\u0000\\ud800\"}", `{"a":[[[["\"]]]]}`, `{"total_bars":1e999,"cpu_user_sec":1e-999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReport(b)
		if err != nil {
			if !reflect.DeepEqual(r, Report{}) {
				t.Fatalf("%+v beside the error %v", r, err)
			}
			return
		}
		checkReport(t, r)
		if r.Raw == nil {
			return
		}
		again, err := ParseReport(r.Raw)
		if err != nil {
			t.Fatalf("what was kept does not parse: %v", err)
		}
		if !reflect.DeepEqual(again.Footer, r.Footer) || !reflect.DeepEqual(again.Given, r.Given) {
			t.Fatalf("got  %+v\nwant %+v", again, r)
		}
		// Whoever reads the kept object by other means sees the same numbers.
		var any map[string]json.RawMessage
		if err := json.Unmarshal(r.Raw, &any); err != nil {
			t.Fatal(err)
		}
		if bars, ok := parseCounter(string(any["bars_processed"])); r.Given["bars_processed"] != ok || bars != r.Footer.BarsProcessed {
			t.Fatalf("bars_processed %s became %d", any["bars_processed"], r.Footer.BarsProcessed)
		}
	})
}
