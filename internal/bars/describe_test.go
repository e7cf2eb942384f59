package bars

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// described is a data set over a New Year with three gaps and known spreads.
func described() []Bar {
	start := time.Date(2023, 12, 31, 23, 40, 0, 0, time.UTC).UnixNano()
	minutes := []int64{0, 5, 10, 20, 25, 85, 90, 95, 105, 110} // three gaps: 5, 55 and 5 minutes
	bars := make([]Bar, len(minutes))
	for i, m := range minutes {
		bid := 100 + float64(i)
		bars[i] = flat(start+m*60e9, bid, bid+bid*float64(i)/1e4) // i bps
	}
	return bars
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
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
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestDescribe(t *testing.T) {
	info := Describe(described())
	if info.Bars != 10 || info.BarLengthSec != 300 {
		t.Errorf("%d bars of %v s, want 10 of 300", info.Bars, info.BarLengthSec)
	}
	if info.Gaps.Count != 3 || info.Gaps.TotalSec != 3900 || info.Gaps.LongestSec != 3300 || len(info.Gaps.List) != 3 {
		t.Errorf("gaps %+v, want 3 of 3,900 s, the longest 3,300", info.Gaps)
	}
	if info.PriceMin != 100 || info.PriceMax < 109 {
		t.Errorf("prices %v to %v", info.PriceMin, info.PriceMax)
	}
	near := func(got, want float64) bool { return got > want-1e-6 && got < want+1e-6 }
	if q := info.SpreadBps; !near(q.Min, 0) || !near(q.Median, 4) || !near(q.P95, 9) || !near(q.Max, 9) {
		t.Errorf("spread %+v, want 0, 4, 9, 9 bps", q)
	}
	if len(info.Years) != 2 || info.Years[0] != (YearBars{2023, 3}) || info.Years[1] != (YearBars{2024, 7}) {
		t.Errorf("years %v", info.Years)
	}
}

func TestDescribeGolden(t *testing.T) {
	info := Set{Bars: described(), Source: "bars.csv", SpreadBps: 2, SpreadAssumed: true}.Describe()
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "info.json", append(text, '\n'))
	var people bytes.Buffer
	if err := info.WriteText(&people); err != nil {
		t.Fatal(err)
	}
	golden(t, "info.txt", people.Bytes())
}

// People see ten gaps at most, the longest; JSON has all.
func TestDescribeManyGaps(t *testing.T) {
	info := Describe(Generate(20_000, 1))
	if n := int64(len(info.Gaps.List)); n != info.Gaps.Count || n < 50 {
		t.Errorf("%d gaps listed of %d, want all of some 70", n, info.Gaps.Count)
	}
	var text bytes.Buffer
	if err := info.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), "  to  "); n != 10 {
		t.Errorf("%d gaps shown, want 10", n)
	}
	if n := strings.Count(text.String(), "2d 1h0m0s\n"); n != 11 { // ten week-ends, and the longest
		t.Errorf("%d times a week-end, want 11:\n%s", n, text.String())
	}
}

func TestDescribeFewBars(t *testing.T) {
	for n := range 2 {
		info := Describe(described()[:n])
		if info.Bars != int64(n) || info.BarLengthSec != 0 || info.Gaps.Count != 0 {
			t.Errorf("%d bars: %+v", n, info)
		}
		text, err := json.Marshal(info)
		if err != nil || strings.Contains(string(text), "null") {
			t.Errorf("%d bars: %s, %v", n, text, err)
		}
		if err := info.WriteText(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("the disk is gone")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWritersReportErrors(t *testing.T) {
	bars := described()
	for name, err := range map[string]error{
		"text":    Describe(bars).WriteText(brokenWriter{}),
		"csv":     WriteCSV(brokenWriter{}, bars),
		"parquet": WriteParquet(brokenWriter{}, bars),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: error %v, want the writer's", name, err)
		}
	}
}
