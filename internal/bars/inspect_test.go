package bars

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inspectText inspects a file of that content.
func inspectText(t *testing.T, text string) Inspection {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bars.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(path, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (in *Inspection) find(k Kind) *Finding {
	i := slices.IndexFunc(in.Findings, func(f Finding) bool { return f.Kind == k })
	if i < 0 {
		return &Finding{}
	}
	return &in.Findings[i]
}

// Rows that cannot be read are counted, and if all of them are of that kind.
func TestInspectUnreadable(t *testing.T) {
	const head = "time,open,high,low,close\n"
	in := inspectText(t, head+"x,1,1,1,1\ny,1,1,1,1\n")
	if f := in.find(KindUnreadable); in.OK || in.Bars != 0 || f.Count != 2 || !strings.HasPrefix(f.First[1], `line 3 (bar 2): time: "y"`) {
		t.Errorf("%+v", in)
	}
	in = inspectText(t, head+"2024-01-02,1,1,1,1\n2024-01-03,1,1,1\nThe end\n2024-01-04,1,1,1,1\n")
	if f := in.find(KindUnreadable); in.OK || in.Bars != 2 || f.Count != 2 || f.First[0] != "line 3 (bar 2): 4 fields (want 5 as in the header)" || !strings.HasPrefix(f.First[1], "line 4 (bar 3): 1 fields") {
		t.Errorf("%+v", in)
	}
}

// A check of a directory sees every file, and says of each place in which it is.
func TestInspectDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("time,open,high,low,close\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inspect := func() Inspection {
		t.Helper()
		in, err := Inspect(dir, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(dir, ReadOptions{}); (err == nil) != in.OK {
			t.Errorf("a run says %v, the check %+v", err, in)
		}
		return in
	}
	write("a.csv", "2024-01-02,1,1,1,1\n2024-01-03,1,1,1,1\n")
	write("b.csv", "2024-01-04,1,1,1,1\n2024-01-05,1,1,1,1\n")
	if in := inspect(); !in.OK || in.Bars != 4 {
		t.Errorf("two that are good: %+v", in)
	}
	write("b.csv", "2024-01-04,1,1,1,1\n2024-01-05,3,1,1,1\nx,1,1,1,1\n")
	in := inspect()
	if f := in.find(KindHighLow); in.OK || in.Bars != 4 || f.Count != 1 || f.First[0] != "b.csv line 3" || f.LargestAt != "b.csv line 3" {
		t.Errorf("a high that is none: %+v", in)
	}
	if f := in.find(KindUnreadable); f.Count != 1 || !strings.HasPrefix(f.First[0], "b.csv: line 4 (bar 3): time:") {
		t.Errorf("no time: %+v", f)
	}
	write("b.csv", "2024-01-03,1,1,1,1\n2024-01-05,1,1,1,1\n")
	if in := inspect(); in.OK || !strings.Contains(in.Error, "b.csv begins at 2024-01-03") || in.find(KindDuplicate).Repair != "" {
		t.Errorf("two that overlap: %+v", in)
	}
	write("b.csv", "x,1,1,1,1\n")
	if in := inspect(); in.OK || in.Bars != 2 || in.find(KindUnreadable).Count != 1 {
		t.Errorf("one without a bar: %+v", in)
	}
	if err := os.Remove(filepath.Join(dir, "b.csv")); err != nil {
		t.Fatal(err)
	}
	good := bids(20, 24*time.Hour)
	for name, part := range map[string][]Bar{"c.parquet": good[:10], "d.parquet": good[10:]} {
		if err := WriteFile(filepath.Join(dir, name), part); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "a.csv")); err != nil {
		t.Fatal(err)
	}
	if in := inspect(); !in.OK || in.Bars != 20 {
		t.Errorf("parquet: %+v", in)
	}
}

// A few prices with the dust of arithmetic do not hide the point, so what is
// off by a point is told from what is off by more.
func TestInspectPoint(t *testing.T) {
	var text strings.Builder
	text.WriteString("time,open,high,low,close\n")
	row := func(day int, open, high, low, closing string) {
		text.WriteString(time.Date(2024, 1, day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly) + "," + strings.Join([]string{open, high, low, closing}, ",") + "\n")
	}
	for day := 1; day <= 100; day++ {
		price := 1.1 + float64(day)/1e5
		p := strconv.FormatFloat(price, 'f', 5, 64)
		switch day {
		case 50: // a high below its open by one unit in the last place
			row(day, "1.1005", "1.1004999999999998", "1.1004", "1.1004")
		case 60: // by a point
			row(day, "1.1006", "1.10059", "1.1004", "1.1004")
		case 70: // by two
			row(day, "1.1007", "1.10068", "1.1004", "1.1004")
		default:
			row(day, p, p, p, p)
		}
	}
	in := inspectText(t, text.String())
	if in.Point != 1e-5 || in.find(KindULP).Count != 1 || in.find(KindPoint).Count != 1 || in.find(KindPoint).First[0] != "line 61" || in.find(KindHighLow).Count != 1 {
		t.Errorf("point %v: %+v", in.Point, in.Findings)
	}
	// Where many have more places there is none.
	in = inspectText(t, "time,open,high,low,close\n2024-01-01,1.1,1.1,1.1,1.1\n2024-01-02,1.1000000000000003,1.1000000000000003,1.1000000000000003,1.1000000000000003\n")
	if in.Point != 0 {
		t.Errorf("point %v", in.Point)
	}
}
