package bars

import (
	"bytes"
	"io"
	"math"
	"testing"
)

// benchBars are ten years of M5.
const benchBars = 700_000

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		Generate(benchBars, 1)
	}
}

func BenchmarkDigest(b *testing.B) {
	bars := Generate(benchBars, 1)
	b.SetBytes(benchBars * BarBytes)
	for b.Loop() {
		Digest(bars)
	}
}

func BenchmarkWriteParquet(b *testing.B) {
	bars := Generate(benchBars, 1)
	for b.Loop() {
		if err := WriteParquet(io.Discard, bars); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadParquet(b *testing.B) {
	content := writeParquet(b, Generate(benchBars, 1))
	for b.Loop() {
		if _, err := readParquet(content); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadCSV(b *testing.B) {
	var text bytes.Buffer
	if err := WriteCSV(&text, Generate(benchBars, 1)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := ReadCSV(bytes.NewReader(text.Bytes()), ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDescribe(b *testing.B) {
	bars := Generate(benchBars, 1)
	for b.Loop() {
		Describe(bars)
	}
}

// benchColumns are 20 features of n bars.
func benchColumns(n int) []Column {
	rng := random(3)
	list := make([]Column, 20)
	for i := range list {
		list[i] = Column{Shape: Shape{Name: "f" + string(rune('a'+i)), Kind: Float64}, Bits: make([]uint64, n)}
		for k := range list[i].Bits {
			list[i].Bits[k] = math.Float64bits(rng.normal())
		}
	}
	return list
}

// A slice as the engine exec writes it, without and with features.
func BenchmarkWriteExtra(b *testing.B) {
	bars := Generate(1<<16, 1)
	for name, extra := range map[string][]Column{"bars": nil, "20 features": benchColumns(len(bars))} {
		b.Run("parquet of "+name, func(b *testing.B) {
			for b.Loop() {
				var n counter
				if err := writeParquetExtra(&n, bars, extra); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(n), "B/file")
			}
		})
		b.Run("CSV of "+name, func(b *testing.B) {
			for b.Loop() {
				if err := writeCSVExtra(io.Discard, bars, extra); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
