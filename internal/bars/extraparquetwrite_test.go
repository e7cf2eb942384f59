package bars

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"gx1replay/test/testsize"
)

func readExtraParquet(t testing.TB, content []byte) Set {
	t.Helper()
	set, err := decodeParquet(bytes.NewReader(content), int64(len(content)), ReadOptions{Extra: true}, &form{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestExtraParquetRoundTrip(t *testing.T) {
	const n = 1000
	bars, extra := Generate(n, 3), someColumns(n)
	var out bytes.Buffer
	if err := writeParquetExtra(&out, bars, extra); err != nil {
		t.Fatal(err)
	}
	set := readExtraParquet(t, out.Bytes())
	if !slices.Equal(set.Bars, bars) {
		t.Error("the bars are others")
	}
	if d := differ(set.Extra, extra); d != "" || len(set.ExtraSkipped) != 0 {
		t.Errorf("%s; left out: %v", d, set.ExtraSkipped)
	}
	// Who does not ask for them gets the same bars.
	if back, err := readParquet(out.Bytes()); err != nil || Digest(back) != Digest(bars) {
		t.Errorf("read without extra columns: %d bars, %v", len(back), err)
	}
}

// Blocks of any size make the same file.
func TestExtraParquetInBlocks(t *testing.T) {
	testsize.All(t)
	const n = rowGroupBars + 3000
	bars := Generate(n, 3)
	extra := []Column{{Shape: Shape{Name: "x", Kind: Int64}}, {Shape: Shape{Name: "s", Kind: String}}}
	for i := range n {
		extra[0].Bits = append(extra[0].Bits, uint64(i))
		extra[0].sawRow(i == n-5) // the first null is far behind
		extra[1].Texts = append(extra[1].Texts, fmt.Sprint(strings.Repeat("x", i%7), i*i))
	}
	var whole, pieces bytes.Buffer
	if err := writeParquetExtra(&whole, bars, extra); err != nil {
		t.Fatal(err)
	}
	pw, err := NewParquetWriter(&pieces, ShapesOf(extra))
	if err != nil {
		t.Fatal(err)
	}
	for at, end := 0, 0; at < n; at = end {
		end = min(at+20_011, n)
		var rows []Column
		for i := range extra {
			rows = append(rows, extra[i].Slice(at, end))
		}
		if err := pw.Write(bars[at:end], rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"whole": whole.Bytes(), "in blocks": pieces.Bytes()} {
		set := readExtraParquet(t, content)
		if d := differ(set.Extra, extra); d != "" || !slices.Equal(set.Bars, bars) {
			t.Errorf("%s: %d bars; %s", name, len(set.Bars), d)
		}
	}
	if err := pw.Write(bars[:2], []Column{extra[0].Slice(0, 2)}); err == nil {
		t.Error("a block without a column was taken")
	}
	if err := pw.Write(bars[:2], []Column{extra[0].Slice(0, 1), extra[1].Slice(0, 2)}); err == nil {
		t.Error("a block with a row too few was taken")
	}
}

// writeParquetExtra writes a whole file by a ParquetWriter, writeCSVExtra one by a
// CSVWriter.
func writeParquetExtra(w io.Writer, bars []Bar, extra []Column) error {
	if err := CheckColumns(extra, len(bars)); err != nil {
		return err
	}
	pw, err := NewParquetWriter(w, ShapesOf(extra))
	if err != nil {
		return err
	}
	if err := pw.Write(bars, extra); err != nil {
		return err
	}
	return pw.Close()
}
