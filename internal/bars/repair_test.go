package bars

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// All bars of a kind are counted, with the first ten and the largest; a repair
// that is told puts them right.
func TestRefusedWhole(t *testing.T) {
	text := "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close\n"
	for i := range 20 {
		ask := "1.2"
		if i%2 == 1 {
			ask = "1.09"
		}
		if i == 13 {
			ask = "1.05"
		}
		text += time.Unix(1704153600+int64(i)*60, 0).UTC().Format("2006-01-02 15:04:05") + ",1.1,1.1,1.1,1.1," + strings.Repeat(","+ask, 4)[1:] + "\n"
	}
	_, err := openText(t, text, Form{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Kind != KindCrossed || refused.Count != 10 || len(refused.Finding.First) != 10 || refused.LargestAt != "line 15" || !near(refused.Largest, 0.05) {
		t.Fatalf("%+v, %v", refused, err)
	}
	for _, want := range []string{"line 3 (bar 2): bid_open: 1.1 (want at most ask_open 1.09); 10 such bars (line 3, line 5", "the largest by 0.05 (line 15)", "--repair crossed puts that right"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	set := mustOpenText(t, text, Form{Repair: "crossed"})
	if len(set.Read.Repairs) != 1 || set.Read.Repairs[0].Bars != 10 || set.Bars[1].AskOpen != 1.1 || set.Bars[0].AskOpen != 1.2 {
		t.Errorf("repairs %+v, bars %v", set.Read.Repairs, set.Bars[:2])
	}
}

func near(a, b float64) bool { return a > b-1e-9 && a < b+1e-9 }

func TestRepairs(t *testing.T) {
	const head = "time,open,high,low,close,volume,note\n"
	text := head +
		"2024-01-02 00:10:00,1,1,1,1,3,c\n" +
		"2024-01-02 00:00:00,1,1,1,1,1,a\n" +
		"2024-01-02 00:05:00,1,1,1,1,2,b\n" +
		"2024-01-02 00:05:00,1,1,1,1,2,b\n" +
		"2024-01-02 00:15:00,0.30000000000000004,0.3,0.3,0.3,4,d\n"
	path := filepath.Join(t.TempDir(), "d.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := ReadFile(path, ReadOptions{Extra: true, Form: Form{Repair: "ulp,duplicates, sort"}})
	if err != nil {
		t.Fatal(err)
	}
	var volumes []float64
	for _, b := range set.Bars {
		volumes = append(volumes, b.Volume)
	}
	if !slices.Equal(volumes, []float64{1, 2, 3, 4}) || !slices.Equal(set.Extra[0].Texts, []string{"a", "b", "c", "d"}) {
		t.Errorf("volumes %v, notes %v", volumes, set.Extra[0].Texts)
	}
	var said []string
	for _, c := range set.Read.Repairs {
		said = append(said, c.Repair+" "+strings.Join(c.First, ","))
	}
	if want := []string{"sort line 3,line 4,line 5", "duplicates line 5", "ulp line 6"}; !slices.Equal(said, want) {
		t.Errorf("changes %q, want %q", said, want)
	}
	for form, want := range map[string]string{"": "--repair sort puts that right", "sort": "--repair duplicates puts that right", "sort,duplicates": "--repair ulp puts that right"} {
		if _, err := openText(t, text, Form{Repair: form}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("repair %q: error %v, want %s", form, err, want)
		}
	}
	// Two bars of one time are no duplicates: nobody knows which is right.
	if _, err := openText(t, head+"2024-01-02,1,1,1,1,1,a\n2024-01-02,1,2,1,1,1,a\n", Form{Repair: "duplicates,sort"}); err == nil || !strings.Contains(err.Error(), "want a time after the bar before") {
		t.Errorf("two bars of one time: %v", err)
	}
}
