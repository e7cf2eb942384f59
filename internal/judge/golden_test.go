package judge

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file")

// TestInvariant1_GoldenBytes: results are the same bits on every processor. .ci/run
// runs it for amd64 (v1 and v3) and for arm64.
func TestInvariant1_GoldenBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 1)) // Float64 divides integers: exact
	var b strings.Builder
	line := func(name string, n int, value func() []float64) {
		sum := sha256.New()
		var first []float64
		for i := range n {
			v := value()
			if i == 0 {
				first = v
			}
			for _, x := range v {
				fmt.Fprintf(sum, "%016x\n", math.Float64bits(x))
			}
		}
		fmt.Fprintf(&b, "%s %d %x first %x\n", name, n, sum.Sum(nil)[:8], first)
	}
	between := func(low, high float64) float64 { return low + float64((high-low)*random.Float64()) }
	line("exp", 5000, func() []float64 { return []float64{exp(between(-740, 700)), exp(between(-2, 2))} })
	line("ln", 5000, func() []float64 { return []float64{ln(between(0, 1e6)), ln(between(0.5, 2)), ln1p(between(0, 0.1))} })
	line("cosQuarters", 5000, func() []float64 {
		return []float64{cosQuarters(int64(random.IntN(100_000)), int64(1+random.IntN(5000)))}
	})
	line("TTail", 1000, func() []float64 {
		return []float64{TTail(between(-10, 10), between(0.5, 300)), normalTail(between(-9, 9))}
	})
	line("TQuantile", 300, func() []float64 {
		return []float64{TQuantile(between(0.001, 0.999), between(0.5, 300)), TQuantile(between(0.001, 0.999), math.Inf(1))}
	})
	line("multiplier", 1000, func() []float64 { nu := between(2, 300); return []float64{multiplier(nu, nu*tuning(0.05), 0.05)} })
	of := func(i Interval) []float64 { return []float64{i.Estimate, i.Low, i.High} }
	line("Daily", 10, func() []float64 {
		list := make([]float64, 60+random.IntN(300))
		for i := range list {
			list[i] = between(-9, 10)
		}
		mean, se, _ := cosines(list)
		return append(of(second2(Daily(list, 0.05)).Interval), mean, se)
	})
	line("Hull", 50, func() []float64 {
		list := gated()
		for i := range list {
			for _, s := range []*Side{&list[i].A, &list[i].B} {
				s.Seconds = float64(s.Seconds * between(0.95, 1.05))
				for j := range s.Phases {
					s.Phases[j].Seconds = float64(s.Phases[j].Seconds * between(0.95, 1.05))
				}
			}
		}
		s := second2(Hull(list, 0.05))
		return append(of(s.Interval), s.core[0], s.core[1])
	})
	line("Sequential", 50, func() []float64 {
		list := make([]Pair, 12+random.IntN(80))
		for i := range list {
			list[i] = Pair{between(1, 2), between(1, 2), random.IntN(2) == 0}
		}
		c := second2(Sequential(list, 0.05))
		return append(of(c.Interval), c.e, c.se, c.Kish)
	})
	line("Estimate", 50, func() []float64 {
		list := make([]Member, 40+random.IntN(80))
		for i := range list {
			list[i] = Member{between(1, 9), between(0, 2)}
		}
		w := second2(Estimate(list, 400, Count, 0.05))
		return of(w.Interval)
	})

	path := filepath.Join("testdata", "v1", "bytes.txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("on %s:\n%swant, as in %s:\n%s", runtime.GOARCH, b.String(), path, want)
	}
}
