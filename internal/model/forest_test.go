package model

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func indexOf(t testing.TB, file []byte, text string) int {
	t.Helper()
	i := bytes.Index(file, []byte(text))
	if i < 0 {
		t.Fatalf("the file has no %q", text)
	}
	return i
}

// awkward are numbers at which a comparison can go wrong.
var awkward = []float64{
	0, math.Copysign(0, -1), 1, -1, math.Nextafter(1, 2), math.Nextafter(1, 0), float64(math.Nextafter32(1, 2)),
	1e-35, -1e-35, lgbZero, -lgbZero, math.Nextafter(lgbZero, 1), 1e-36, 5e-324, -5e-324,
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
	math.MaxFloat32, -math.MaxFloat32, 1e300, -math.MaxFloat64,
}

func drawValue(t *rapid.T, label string) float64 {
	return rapid.OneOf(
		rapid.SampledFrom(append([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64}, awkward...)),
		rapid.Float64(),
	).Draw(t, label)
}

// drawn is a split or a leaf as the libraries see it.
type drawn struct {
	leaf        bool
	value       float64
	feature     int
	threshold   float64
	kind        missing
	defaultLeft bool
	left, right int
}

func drawTree(t *rapid.T, features int) []drawn {
	tree := []drawn{{leaf: true}}
	for range rapid.IntRange(0, 12).Draw(t, "splits") {
		at := rapid.IntRange(0, len(tree)-1).Draw(t, "at")
		if !tree[at].leaf {
			continue
		}
		tree[at] = drawn{
			feature:     rapid.IntRange(0, features-1).Draw(t, "feature"),
			threshold:   rapid.SampledFrom(append([]float64{math.Inf(1)}, awkward...)).Draw(t, "threshold"),
			kind:        rapid.SampledFrom([]missing{missingNaN, missingNone, missingZero}).Draw(t, "missing"),
			defaultLeft: rapid.Bool().Draw(t, "default left"),
			left:        len(tree), right: len(tree) + 1,
		}
		tree = append(tree, drawn{leaf: true}, drawn{leaf: true})
	}
	for i := range tree {
		tree[i].value = rapid.Float64Range(-3, 3).Draw(t, "value")
	}
	return tree
}

// The walk without branches goes the way of the libraries' own rules, written
// down here as their sources have them, for any tree and any number.
func TestWalkIsTheLibrarysRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		features := rapid.IntRange(1, 4).Draw(t, "features")
		x := make([]float64, features)
		for i := range x {
			x[i] = drawValue(t, "x")
		}
		xgb := &XGBoost{base: 0.25}
		lgb := &LightGBM{sigmoid: 1}
		wantXGB, wantLGB := xgb.base, 0.0
		for range rapid.IntRange(0, 9).Draw(t, "trees") {
			d := drawTree(t, features)
			var a tree[float32]
			var b tree[float64]
			for _, n := range d {
				if n.leaf {
					a = append(a, treeNode[float32]{leaf: true, value: float32(n.value)})
					b = append(b, treeNode[float64]{leaf: true, value: n.value})
					continue
				}
				a = append(a, xgbNode(n.feature, clip32(n.threshold), n.left, n.right, n.defaultLeft))
				b = append(b, lgbNode(n.feature, n.threshold, n.left, n.right, n.kind, n.defaultLeft))
			}
			if err := xgb.forest.add(a); err != nil {
				t.Fatal(err)
			}
			if err := lgb.forest.add(b); err != nil {
				t.Fatal(err)
			}
			wantXGB += float32(follow(d, x, xgbLeft))
			wantLGB += follow(d, x, lgbLeft)
		}
		if got := xgb.Margin(x); got != wantXGB {
			t.Errorf("XGBoost %v (want %v)", got, wantXGB)
		}
		if got := lgb.Margin(x); got != wantLGB {
			t.Errorf("LightGBM %v (want %v)", got, wantLGB)
		}
	})
}

func clip32(v float64) float32 {
	return float32(max(-math.MaxFloat32, min(math.MaxFloat32, v)))
}

func follow(tree []drawn, x []float64, goesLeft func(n drawn, v float64) bool) float64 {
	n := tree[0]
	for !n.leaf {
		if goesLeft(n, x[n.feature]) {
			n = tree[n.left]
		} else {
			n = tree[n.right]
		}
	}
	return n.value
}

// src/predictor/predict_fn.h, GetNextNode
func xgbLeft(n drawn, v float64) bool {
	f := float32(v)
	if f != f {
		return n.defaultLeft
	}
	return f < clip32(n.threshold)
}

// include/LightGBM/tree.h, NumericalDecision, after src/c_api.cpp has dropped
// values within kZeroThreshold of 0
func lgbLeft(n drawn, v float64) bool {
	const kZeroThreshold = float64(float32(1e-35))
	if math.Abs(v) <= kZeroThreshold {
		v = 0
	}
	if v != v && n.kind != missingNaN {
		v = 0
	}
	if n.kind == missingZero && math.Abs(v) <= kZeroThreshold || n.kind == missingNaN && v != v {
		return n.defaultLeft
	}
	return v <= n.threshold
}

// More inputs than the small buffer holds.
func TestManyInputs(t *testing.T) {
	const features = maxFeatures
	m := &XGBoost{}
	l := &LightGBM{sigmoid: 1}
	x := make([]float64, features)
	for i := range features {
		for _, left := range []bool{false, true} {
			x[i] = float64(i)
			err := m.forest.add(tree[float32]{xgbNode(i, float32(i), 1, 2, left), {leaf: true, value: 100}, {leaf: true, value: 1}})
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range []missing{missingNaN, missingNone, missingZero} {
				err := l.forest.add(tree[float64]{lgbNode(i, float64(i), 1, 2, kind, left), {leaf: true, value: 1}, {leaf: true, value: 100}})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if n := len(l.forest.inputs); n != maxInputs {
		t.Errorf("%d inputs (want %d)", n, maxInputs)
	}
	if got := m.Margin(x); got != 2*features { // i < i is false: right each time
		t.Errorf("XGBoost %v (want %d)", got, 2*features)
	}
	// i <= i is true: left each time, but for feature 0, which is 0: missing
	// where zeros are, and once not to the left then
	if got := l.Margin(x); got != 6*features+99 {
		t.Errorf("LightGBM %v (want %d)", got, 6*features+99)
	}
	if n := testing.AllocsPerRun(10, func() { m.Score(x); l.Score(x) }); n != 0 {
		t.Errorf("%v allocations a call (want 0)", n)
	}
}

func TestTreesThatAreNone(t *testing.T) {
	leaf := treeNode[float64]{leaf: true}
	for _, c := range []struct {
		tree tree[float64]
		want string
	}{
		{nil, "has no node (want at least one leaf)"},
		{tree[float64]{{no: 1, yes: 3}, leaf, leaf}, "node 0: child 3 is no node (want 0 to 2)"},
		{tree[float64]{{no: 1, yes: -1}, leaf, leaf}, "node 0: child -1 is no node (want 0 to 2)"},
		{tree[float64]{{no: 1, yes: 1}, leaf}, "node 0: child 1 has another parent or is the root (want a tree)"},
		{tree[float64]{{no: 1, yes: 2}, {no: 0, yes: 2}, leaf}, "node 1: child 0 has another parent or is the root (want a tree)"},
	} {
		var f forest[float64]
		if err := f.add(c.tree); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v (want %s)", c.tree, err, c.want)
		}
	}
}

// full is a model of full trees of a depth over random splits, and rows.
func full(trees, depth, features int) (*XGBoost, [][]float64) {
	r := rand.New(rand.NewPCG(1, 2))
	m := &XGBoost{}
	for range trees {
		inner := 1<<depth - 1
		var t tree[float32]
		for i := range 2*inner + 1 {
			n := treeNode[float32]{leaf: true, value: float32(r.NormFloat64())}
			if i < inner {
				n = xgbNode(r.IntN(features), float32(r.NormFloat64()), 2*i+1, 2*i+2, r.IntN(2) == 0)
			}
			t = append(t, n)
		}
		if err := m.forest.add(t); err != nil {
			panic(err)
		}
	}
	rows := make([][]float64, 4096)
	for i := range rows {
		rows[i] = make([]float64, features)
		for k := range rows[i] {
			rows[i][k] = r.NormFloat64()
		}
	}
	return m, rows
}

// A model of 300 full trees of depth 6 over 20 features; each row another.
func BenchmarkXGBoost300x6(b *testing.B) {
	benchmark(full(300, 6, 20))(b)
}

// BenchmarkXGBoostFile runs a model on rows that the library was timed on:
// scripts/fixtures/speed.py writes both into the folder that GX1R_SPEED_DIR
// names, with the library's margins, and prints the library's speed.
func BenchmarkXGBoostFile(b *testing.B) {
	folder := os.Getenv("GX1R_SPEED_DIR")
	if folder == "" {
		b.Skip("GX1R_SPEED_DIR names no folder")
	}
	read := func(name string) []byte {
		file, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			b.Fatal(err)
		}
		return file
	}
	const features = 20
	m, err := ParseXGBoost("model.json", read("model.json"), make([]string, features), false)
	if err != nil {
		b.Fatal(err)
	}
	raw, margins := read("rows.f64"), read("margins.f32")
	rows := make([][]float64, len(margins)/4)
	for i := range rows {
		rows[i] = make([]float64, features)
		if _, err := binary.Decode(raw[i*8*features:], binary.LittleEndian, rows[i]); err != nil {
			b.Fatal(err)
		}
		got, want := math.Float32bits(m.Margin(rows[i])), binary.LittleEndian.Uint32(margins[i*4:])
		if got != want {
			b.Fatalf("row %d: margin %x (want %x)", i, got, want)
		}
	}
	benchmark(m, rows)(b)
}

func benchmark(m *XGBoost, rows [][]float64) func(b *testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		start := cpuTime(b)
		for b.Loop() {
			m.Score(rows[i%len(rows)])
			i++
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		b.ReportMetric(float64(b.N)/(cpuTime(b)-start).Seconds(), "rows/cpu-s")
	}
}

// cpuTime is this process's: other work on the machine adds nothing to it.
func cpuTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
