package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"gx1replay/internal/policy"
)

func ulps(a, b float64) float64 {
	return math.Abs(a-b) / (math.Nextafter(math.Abs(b), math.Inf(1)) - math.Abs(b))
}

// The standard library is the oracle here; it may not be one in a decision.
func TestSigmoidAndLogitAgainstTheLibrary(t *testing.T) {
	for i := -300_000; i <= 300_000; i++ {
		x := float64(i) / 431
		want := 1 / (1 + math.Exp(-x))
		if x < 0 {
			want = math.Exp(x) / (1 + math.Exp(x))
		}
		if got := Sigmoid(x); ulps(got, want) > 4 {
			t.Fatalf("Sigmoid(%v) = %v (want %v)", x, got, want)
		}
	}
	for i := 1; i < 200_000; i++ {
		p := float64(i) / 200_000
		want := math.Log(p / (1 - p))
		if got := Logit(p); math.Abs(got-want) > 4e-16*max(1, math.Abs(want)) {
			t.Fatalf("Logit(%v) = %v (want %v)", p, got, want)
		}
		if back := Sigmoid(Logit(p)); math.Abs(back-p) > 1e-15 {
			t.Fatalf("Sigmoid(Logit(%v)) = %v", p, back)
		}
	}
}

func TestLogOddsAtTheEdges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ x, want float64 }{
		{0, 0.5}, {inf, 1}, {-inf, 0}, {40, 1}, {-1000, 0}, {-709, 0},
	} {
		if got := Sigmoid(c.x); got != c.want {
			t.Errorf("Sigmoid(%v) = %v (want %v)", c.x, got, c.want)
		}
	}
	for _, c := range []struct{ p, want float64 }{
		{0.5, 0}, {0, -inf}, {-1, -inf}, {1, inf}, {2, inf}, {inf, inf},
	} {
		if got := Logit(c.p); got != c.want {
			t.Errorf("Logit(%v) = %v (want %v)", c.p, got, c.want)
		}
	}
	if got := Logit(5e-324); got > -744 || got < -745 {
		t.Errorf("Logit of the least number: %v", got)
	}
	if !math.IsNaN(Sigmoid(math.NaN())) || !math.IsNaN(Logit(math.NaN())) {
		t.Error("NaN does not stay NaN")
	}
}

// The same bits on every machine.
func TestGoldenBits(t *testing.T) {
	const want = "dcb96db7700dd7a5e527e007996f5a454829194dc59c4483325074dc109f7c0d"
	sum := sha256.New()
	var word [8]byte
	for i := 1; i < 20_000; i++ {
		x := float64(i-10_000) / 331
		for _, v := range []float64{Sigmoid(x), Logit(float64(i) / 20_000)} {
			binary.LittleEndian.PutUint64(word[:], math.Float64bits(v))
			sum.Write(word[:])
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("digest %s (want %s)", got, want)
	}
}

func TestLogistic(t *testing.T) {
	m := policy.Model{
		Kind:  policy.KindLogistic,
		Long:  policy.Logistic{Bias: -1, Weights: map[string]float64{"a": 2, "c": 0.5}},
		Short: policy.Logistic{Bias: 0.25, Weights: map[string]float64{"b": -4}},
	}
	s := NewLogistic(m, []string{"c", "b", "a"})
	long, short := s.Score([]float64{8, 3, 1.5})
	// long: -1 + 0.5·8 + 2·1.5 = 6; short: 0.25 - 4·3 = -11.75
	if long != 6 || short != -11.75 {
		t.Errorf("scores %v %v (want 6 -11.75)", long, short)
	}
	x := []float64{8, 3, 1.5}
	if n := testing.AllocsPerRun(100, func() { s.Score(x) }); n != 0 {
		t.Errorf("%v allocations a call (want 0)", n)
	}
}

func TestUnknownKind(t *testing.T) {
	_, err := NewSet(policy.Model{Kind: "tree"}, nil, nil, nil)
	if err == nil || !strings.Contains(err.Error(), `model.kind: "tree" is unknown (want logistic, xgboost or lightgbm)`) {
		t.Error(err)
	}
}

// A policy's kind without a reader, or the other way round, is no kind.
func TestEveryKindOfFileHasAReader(t *testing.T) {
	kinds := policy.FileKinds()
	for _, kind := range kinds {
		if readers[kind] == nil {
			t.Errorf("no reader for %s, which policies may name", kind)
		}
	}
	if len(kinds) != len(readers) {
		t.Errorf("%d kinds, %d readers", len(kinds), len(readers))
	}
}
