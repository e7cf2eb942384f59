package bars

import (
	"bytes"
	"io"
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
