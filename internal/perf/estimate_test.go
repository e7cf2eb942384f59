package perf

import (
	"encoding/json"
	"testing"
)

func TestEstimateSurvives(t *testing.T) {
	for _, e := range []*Estimate{nil, {Order: "sample", Chunks: 7, Trades: EstimateFigure{Value: 3, Low: 1, High: 5, Members: 4}, PregateSkips: -1, Note: "n"}} {
		b, err := json.Marshal(estimateJSON{e})
		if err != nil {
			t.Fatal(err)
		}
		var got estimateJSON
		if err := json.Unmarshal(b, &got); err != nil || (got.Estimate == nil) != (e == nil) || e != nil && *got.Estimate != *e {
			t.Errorf("%s is read as %+v, %v (want %+v)", b, got.Estimate, err, e)
		}
	}
	var got estimateJSON
	for _, bad := range []string{`[]`, `7`, `{"chunks":"x"}`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}
