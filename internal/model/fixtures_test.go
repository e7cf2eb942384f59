package model

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"gx1replay/internal/policy"
)

// The fixtures' features, in the order of their columns; models without names
// take them by place.
var fixtureFeatures = []string{"atr14", "body_pct", "ema20_slope", "roc20", "session_id", "spread_bps"}

// fixture is a model file in testdata with rows that its library predicted;
// scripts/fixtures/models.py makes them.
type fixture struct {
	file, rows, kind string
	named            bool
}

var fixtures = []fixture{
	{"xgb_named.json", "xgb_named.csv", policy.KindXGBoost, true},
	{"xgb_named.ubj", "xgb_named.csv", policy.KindXGBoost, true},
	{"xgb_base.json", "xgb_base.csv", policy.KindXGBoost, false},
	{"xgb_hist.json", "xgb_hist.csv", policy.KindXGBoost, true},
	{"lgb_nan.txt", "lgb_nan.csv", policy.KindLightGBM, true},
	{"lgb_zero.txt", "lgb_zero.csv", policy.KindLightGBM, false},
	{"lgb_none.txt", "lgb_none.csv", policy.KindLightGBM, true},
}

// fixtureRow is a row of features, and the library's margin and probability.
type fixtureRow struct {
	x                   []float64
	margin, probability float64
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readRows(t testing.TB, name string) []fixtureRow {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []fixtureRow
	for _, record := range records[1:] {
		var v []float64
		for _, text := range record {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			v = append(v, n)
		}
		n := len(fixtureFeatures)
		rows = append(rows, fixtureRow{v[:n], v[n], v[n+1]})
	}
	if len(rows) < 100 {
		t.Fatalf("%s: %d rows (want 100 at least)", name, len(rows))
	}
	return rows
}

// margin is a model's own margin, in float64.
func margin(s Scorer, x []float64) float64 {
	switch m := s.(type) {
	case *XGBoost:
		return float64(m.Margin(x))
	case *LightGBM:
		return m.Margin(x)
	}
	panic("no model of trees")
}

func TestLibrariesToTheBit(t *testing.T) {
	for _, c := range fixtures {
		t.Run(c.file, func(t *testing.T) {
			m, err := readers[c.kind](c.file, readFile(t, c.file), fixtureFeatures, false)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[float64]bool{}
			for i, row := range readRows(t, c.rows) {
				got := margin(m, row.x)
				if math.Float64bits(got) != math.Float64bits(row.margin) {
					t.Errorf("row %d, %v: margin %x (want %x)", i, row.x, got, row.margin)
				}
				seen[got] = true
				long, short := m.Score(row.x)
				if short != -long {
					t.Errorf("row %d: scores %v and %v (want one the negative of the other)", i, long, short)
				}
				if d := ulps32(Sigmoid(long), row.probability); d > 2 {
					t.Errorf("row %d: probability %v (want %v, %d float32 ulp)", i, Sigmoid(long), row.probability, d)
				}
				if c.kind == policy.KindLightGBM && ulps(Sigmoid(long), row.probability) > 8 {
					t.Errorf("row %d: probability %v (want %v)", i, Sigmoid(long), row.probability)
				}
			}
			if len(seen) < 30 {
				t.Errorf("%d different margins (want 30 at least)", len(seen))
			}
		})
	}
}

// ulps32 is how many float32 apart two positive numbers are.
func ulps32(a, b float64) int64 {
	d := int64(math.Float32bits(float32(a))) - int64(math.Float32bits(float32(b)))
	return max(d, -d)
}

// Named features are found wherever the policy lists them, and others are not
// read.
func TestFeaturesAreFoundByName(t *testing.T) {
	order := append([]string{"other"}, fixtureFeatures...)
	slices.Reverse(order)
	for _, c := range fixtures {
		if !c.named {
			continue
		}
		m, err := readers[c.kind](c.file, readFile(t, c.file), order, false)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range readRows(t, c.rows) {
			x := append([]float64{1e9}, row.x...)
			slices.Reverse(x)
			if got := margin(m, x); got != row.margin {
				t.Errorf("%s row %d: margin %v (want %v)", c.file, i, got, row.margin)
			}
		}
	}
}

func TestTreesAllocateNothing(t *testing.T) {
	for _, c := range fixtures {
		m, err := readers[c.kind](c.file, readFile(t, c.file), fixtureFeatures, false)
		if err != nil {
			t.Fatal(err)
		}
		x := readRows(t, c.rows)[0].x
		if n := testing.AllocsPerRun(100, func() { m.Score(x) }); n != 0 {
			t.Errorf("%s: %v allocations a call (want 0)", c.file, n)
		}
	}
}

// A file that was cut off anywhere is an error.
func TestTruncatedFiles(t *testing.T) {
	for _, c := range fixtures {
		file := readFile(t, c.file)
		whole := len(file)
		if c.kind == policy.KindLightGBM { // what follows its trees is not read
			whole = len(file) - len(file[indexOf(t, file, "end of trees"):])
		}
		for n := 0; n < whole; n += 37 {
			if _, err := readers[c.kind](c.file, file[:n], fixtureFeatures, false); err == nil {
				t.Errorf("%s: no error for its first %d bytes", c.file, n)
			}
		}
	}
}
