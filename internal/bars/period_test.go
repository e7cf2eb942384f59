package bars

import (
	"slices"
	"testing"
	"time"
)

func TestPeriod(t *testing.T) {
	all := Generate(1000, 1)
	open := func(f Form) Set {
		t.Helper()
		set, err := Open("synthetic:1000", ReadOptions{Form: f})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	stampOf := func(i int) string { return time.Unix(0, all[i].TimeNS).UTC().Format("2006-01-02T15:04:05Z") }
	if set := open(Form{From: stampOf(300), To: stampOf(400)}); !slices.Equal(set.Bars, all[300:400]) || set.Before != 0 {
		t.Errorf("%d bars, %d before", len(set.Bars), set.Before)
	}
	if set := open(Form{From: stampOf(300), Warmup: "50"}); !slices.Equal(set.Bars, all[250:]) || set.Before != 50 {
		t.Errorf("%d bars, %d before", len(set.Bars), set.Before)
	}
	if set := open(Form{From: stampOf(30), Warmup: "50"}); !slices.Equal(set.Bars, all) || set.Before != 30 {
		t.Errorf("%d bars, %d before", len(set.Bars), set.Before)
	}
	for _, f := range []Form{{From: "2030-01-01"}, {From: "x"}, {To: "2018-13-01"}, {From: "2018-02-01", To: "2018-01-01"}, {Warmup: "5"}, {From: "2018-01-01", Warmup: "-1"}, {TZ: "EST"}} {
		if set, err := Open("synthetic:1000", ReadOptions{Form: f}); err == nil {
			t.Errorf("%+v: %d bars", f, len(set.Bars))
		}
	}
}
