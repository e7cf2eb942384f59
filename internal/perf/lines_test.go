package perf_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// A file means the same however it is laid out: as it was written, one chunk
// a line, it is read on another way than any other JSON.
func TestParseWhateverTheLayout(t *testing.T) {
	for _, n := range []int{0, 1, 2, 400} {
		chunks := manyChunks(t, n)
		if n > 2 {
			chunks[2] = perf.Chunk{Idx: 2, Planned: chunkBars, Status: footer.StatusFailed, Error: "a \"bad\"\nend", Trace: "  \"chunks\": ["}
		}
		written, err := perf.Append(nil, aReport(n), chunks)
		if err != nil {
			t.Fatal(err)
		}
		sameParse(t, written)
		if t.Failed() {
			t.Fatalf("with %d chunks", n)
		}
	}
}

// The same of files in which something is wrong.
func TestParseWhateverTheLayoutDamaged(t *testing.T) {
	written, err := perf.Append(nil, aReport(5), manyChunks(t, 5))
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		b := bytes.Clone(written)
		at := rnd.IntN(len(b))
		switch rnd.IntN(4) {
		case 0:
			b[at] = byte(rnd.IntN(128))
		case 1:
			b[at] = "0123456789,:{}[]\" \n"[rnd.IntN(19)]
		case 2:
			b = append(b[:at], b[at+1+rnd.IntN(min(40, len(b)-at)):]...)
		default:
			b = append(b[:at:at], append([]byte(",\n    "), b[at:]...)...)
		}
		sameParse(t, b)
		if t.Failed() {
			t.Fatalf("%s", b)
		}
	}
}

// sameParse demands that b is read as the same without its white space is.
func sameParse(t *testing.T, b []byte) {
	t.Helper()
	got, err := perf.Parse(b)
	var plain bytes.Buffer
	if errJSON := json.Compact(&plain, b); errJSON != nil {
		if err == nil {
			t.Errorf("it was read (expected %v)", errJSON)
		}
		return
	}
	want, errWant := perf.Parse(plain.Bytes())
	if (err == nil) != (errWant == nil) || err != nil && err.Error() != errWant.Error() {
		t.Errorf("the error is %v (without white space: %v)", err, errWant)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read as\n%+v\nwithout white space:\n%+v", got, want)
	}
}

// BenchmarkVerify reads a run that was stopped on its way, and one that was
// stopped before anything was measured.
func BenchmarkVerify(b *testing.B) {
	untouched := make([]perf.Chunk, 10_000)
	for i := range untouched {
		untouched[i] = aChunk(b, i, -1, footer.StatusMissing)
	}
	for _, c := range []struct {
		name   string
		chunks []perf.Chunk
	}{{"stopped", manyChunks(b, 10_000)}, {"untouched", untouched}} {
		b.Run(c.name, func(b *testing.B) {
			data, err := perf.Append(nil, aReport(len(c.chunks)), c.chunks)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := perf.Verify(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
