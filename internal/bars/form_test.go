package bars

import (
	"slices"
	"strings"
	"testing"
)

// What flags say of a file overrules its content.
func TestForm(t *testing.T) {
	want := twoBars(t, 5)
	const plain = "time,open,high,low,close,volume\n2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\n2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5\n"
	histdata := "20240102 120000;1.1;1.25;1.05;1.2;5\n20240102 120500;1.2;1.3;1.15;1.25;5\n"
	for _, test := range []struct {
		name, text string
		form       Form
	}{
		{"columns by name", "When,A,B,C,D,E\n2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\n2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5\n",
			Form{Columns: "time=when,open=A,high=B,low=C,close=D,volume=E"}},
		{"columns by number, no header", "X,2024-01-02 17:00:00,1.1,1.25,1.05,1.2,5\nX,2024-01-02 17:05:00,1.2,1.3,1.15,1.25,5\n",
			Form{Columns: "time=2,open=3,high=4,low=5,close=6,volume=7"}},
		{"a clock of its own", "day,hour,open,high,low,close,volume\n2024-01-02,17:00,1.1,1.25,1.05,1.2,5\n2024-01-02,17:05,1.2,1.3,1.15,1.25,5\n", Form{Columns: "time=day+hour"}},
		{"close of another column", "time,open,high,low,close,Last,volume\n2024-01-02 17:00:00,1.1,1.25,1.05,9,1.2,5\n2024-01-02 17:05:00,1.2,1.3,1.15,9,1.25,5\n", Form{Columns: "close=Last"}},
		{"day first", strings.ReplaceAll(plain, "2024-01-02", "02/01/2024"), Form{TimeFormat: "%d/%m/%Y %H:%M:%S"}},
		{"month first", strings.ReplaceAll(plain, "2024-01-02", "01/02/2024"), Form{TimeFormat: "%m/%d/%Y %T"}},
		{"a month by name", strings.NewReplacer("2024-01-02 17:00:00", "2-Jan-24 5:00 PM", "2024-01-02 17:05:00", "2-January-24 5:05 pm").Replace(plain), Form{TimeFormat: "%d-%b-%y %I:%M %p"}},
		{"seconds", strings.NewReplacer("2024-01-02 17:00:00", "1704214800", "2024-01-02 17:05:00", "1704215100").Replace(plain), Form{TimeFormat: "s"}},
		{"HistData", histdata, Form{TZ: "EST"}},
		{"HistData by offset", histdata, Form{TZ: "-05:00"}},
		{"New York", histdata, Form{TZ: "America/New_York"}},
		{"a broker's server", strings.ReplaceAll(plain, "02 17:", "02 19:"), Form{TZ: "America/New_York+7"}},
		{"offsets", strings.NewReplacer(":00,", ":00-05:00,", "02 17:", "02 12:").Replace(plain), Form{TZ: "UTC"}},
		{"a separator", strings.ReplaceAll(plain, ",", "^"), Form{Sep: "^"}},
		{"tabs", strings.ReplaceAll(plain, ",", "\t"), Form{Sep: "tab"}},
		{"columns that differ in case", "t,T,open,high,low,close,volume\n2024-01-02 17:00:00,2024-01-02 17:05:00,1.1,1.25,1.05,1.2,5\n2024-01-02 17:05:00,2024-01-02 17:10:00,1.2,1.3,1.15,1.25,5\n", Form{Columns: "time=t"}},
		{"decimal commas in quotes", "time,open,high,low,close,volume\n2024-01-02 17:00:00,\"1,1\",\"1,25\",\"1,05\",\"1,2\",5\n2024-01-02 17:05:00,\"1,2\",\"1,3\",\"1,15\",\"1,25\",5\n", Form{Decimal: ","}},
		{"copy_rates by its server's clock", "time,open,high,low,close,tick_volume,spread,real_volume\n1704222000,1.1,1.25,1.05,1.2,5,3,0\n1704222300,1.2,1.3,1.15,1.25,5,3,0\n", Form{TZ: "Europe/Helsinki"}},
		{"Dukascopy's local time", "Local time,Open,High,Low,Close,Volume\n02.01.2024 18:00:00.000,1.1,1.25,1.05,1.2,5\n02.01.2024 18:05:00.000,1.2,1.3,1.15,1.25,5\n", Form{TZ: "Europe/Zurich"}},
		{"Dukascopy's Time (CET)", "Time (CET),Open,High,Low,Close,Volume\n02.01.2024 18:00:00,1.1,1.25,1.05,1.2,5\n02.01.2024 18:05:00,1.2,1.3,1.15,1.25,5\n", Form{TZ: "CET"}},
		{"decimal commas", "time;open;high;low;close;volume\n2024-01-02 17:00:00;1,100;1,250;1,050;1,200;5\n2024-01-02 17:05:00;1,200;1,300;1,150;1,250;5\n", Form{Decimal: ","}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := mustOpenText(t, test.text, test.form)
			if !slices.Equal(set.Bars, want) {
				t.Errorf("got\n%v, want\n%v", set.Bars, want)
			}
			if set.Read.Form != test.form {
				t.Errorf("form %+v, want %+v", set.Read.Form, test.form)
			}
		})
	}
}

// A column of spreads in points makes the asks, if it is asked for.
func TestPoint(t *testing.T) {
	const text = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.01.02\t17:00:00\t1.1\t1.25\t1.05\t1.2\t5\t0\t3\n"
	set := mustOpenText(t, text, Form{Point: "0.00001"})
	spread := 3 * 0.00001
	want := Bar{at(t, "2024-01-02 17:00:00"), 1.1, 1.25, 1.05, 1.2, 1.1 + spread, 1.25 + spread, 1.05 + spread, 1.2 + spread, 5}
	if !slices.Equal(set.Bars, []Bar{want}) || set.SpreadBps != 0 {
		t.Errorf("%v with spread %v, want %v", set.Bars, set.SpreadBps, want)
	}
	set = mustOpenText(t, text, Form{})
	if set.SpreadBps != DefaultSpreadBps || !strings.Contains(strings.Join(set.Read.Notes, "; "), "<SPREAD> is not used") {
		t.Errorf("spread %v, notes %q", set.SpreadBps, set.Read.Notes)
	}
}

// Flags and FormOf are each other's way back.
func TestFormFlags(t *testing.T) {
	f := Form{Columns: "time=a,open=b,high=c,low=d,close=e", TimeFormat: "s", TZ: "EST", Sep: ";", Decimal: ",", Point: "0.1", Repair: "sort", From: "2024-01-01", To: "2024-02-01", Warmup: "7"}
	m := f.Flags()
	if len(m) != len(formFields()) {
		t.Errorf("flags %v", m)
	}
	if back, err := FormOf(m); err != nil || back != f {
		t.Errorf("%+v, %v", back, err)
	}
	if m := (Form{}).Flags(); m != nil {
		t.Errorf("flags of the zero form %v", m)
	}
	for _, m := range []map[string]string{{"tz": "nowhere"}, {"another": "x"}, {"columns": "a"}} {
		if f, err := FormOf(m); err == nil {
			t.Errorf("%v: %+v", m, f)
		}
	}
}
