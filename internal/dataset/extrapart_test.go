package dataset

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
)

func encodedExtra(t testing.TB, ix extraIndex) []byte {
	t.Helper()
	b, err := msgpack.Marshal(ix)
	must(t, err)
	return b
}

func encodedPart(t testing.TB, columns []bars.Column) []byte {
	t.Helper()
	var part []byte
	for i := range columns {
		var err error
		part, err = appendColumn(part, &columns[i])
		must(t, err)
	}
	return part
}

// The bytes are a format: others stand under digests of it.
func TestPartGolden(t *testing.T) {
	columns := []bars.Column{
		{Shape: bars.Shape{Name: "a", Kind: bars.Float32}, Bits: []uint64{0x3fc00000, 0xc0000000, 0}, Nulls: []bool{false, true, false}},
		{Shape: bars.Shape{Name: "b", Kind: bars.Int16}, Bits: []uint64{1<<64 - 2, 258, 0}},
		{Shape: bars.Shape{Name: "c", Kind: bars.String}, Texts: []string{"xy", "", "z"}, Nulls: []bool{false, false, true}},
		{Shape: bars.Shape{Name: "d", Kind: bars.Bool}, Bits: []uint64{1, 0, 1}},
	}
	const want = "01" + "02" + "0000c03f" + "00000000" + "00000000" +
		"00" + "feff" + "0201" + "0000" +
		"01" + "04" + "02000000" + "00000000" + "00000000" + "7879" +
		"00" + "010001"
	part := encodedPart(t, columns)
	if got := hex.EncodeToString(part); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	back, err := decodePart(part, bars.ShapesOf(columns), 3)
	must(t, err)
	columns[0].Bits[1], columns[2].Texts[2] = 0, ""
	if text(back) != text(columns) {
		t.Errorf("%s\nwant\n%s", text(back), text(columns))
	}
}

func TestPartsThatAreNone(t *testing.T) {
	columns := someExtra(6)
	part := encodedPart(t, columns)
	for name, data := range map[string][]byte{
		"empty": nil, "cut": part[:len(part)-1], "half": part[:len(part)/2], "longer": append(bytes.Clone(part), 0),
		"a mark of 2": append([]byte{2}, part[1:]...),
	} {
		if _, err := decodePart(data, bars.ShapesOf(columns), 6); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	texts := []bars.Column{{Shape: bars.Shape{Name: "s", Kind: bars.String}}}
	for name, data := range map[string]string{
		"long":     "\x00\x01\x00\x01\x00" + strings.Repeat("x", bars.MaxText+1),
		"promised": "\x00\xff\x00\x00\x00x",
	} {
		if _, err := decodePart([]byte(data), bars.ShapesOf(texts), 1); err == nil {
			t.Errorf("a text that is %s was taken", name)
		}
	}
	// A part of more rows than its bytes can be, and none of it is believed.
	if _, err := decodePart([]byte{0, 1, 2}, bars.ShapesOf(texts), 1<<40); err == nil {
		t.Error("2^40 rows of 3 bytes were taken")
	}
}

func FuzzDecodePart(f *testing.F) {
	columns := someExtra(6)
	f.Add(encodedPart(f, columns), 6)
	f.Add([]byte{1, 0xff}, 8)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 1 || n > 1<<20 {
			return
		}
		got, err := decodePart(data, bars.ShapesOf(columns), n)
		if err != nil {
			return
		}
		if err := bars.CheckColumns(got, n); err != nil {
			t.Fatalf("taken, but not sound: %v", err)
		}
		again, err := decodePart(encodedPart(t, got), bars.ShapesOf(columns), n)
		if err != nil || text(again) != text(got) {
			t.Fatalf("encoded and decoded again: %v", err)
		}
	})
}

func FuzzDecodeExtraIndex(f *testing.F) {
	store := newMemory()
	d := smallExtra(f, store, someExtra(10), 10, 5)
	whole := store.objects[extraObjects().indexName(d.Extra)]
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("\x81\xa6slices\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ix, err := decodeExtraIndex(data, d)
		if err != nil {
			return
		}
		// What is taken is safe to use as it is.
		if ix.Bars != 10 || ix.SliceBars != 5 || len(ix.Slices) != 2 || len(ix.Columns) == 0 {
			t.Errorf("%+v was taken", ix)
		}
		if parts := partsOf(ix.Columns); parts[len(parts)-1] != (run.BarRange{First: parts[len(parts)-1].First, End: int64(len(ix.Columns))}) {
			t.Errorf("parts %v of %d columns", parts, len(ix.Columns))
		}
		for _, list := range ix.Slices {
			if len(list) != len(partsOf(ix.Columns)) {
				t.Errorf("%d parts", len(list))
			}
			for _, s := range list {
				if len(s) != 64 || strings.ContainsAny(s, "./\\") {
					t.Errorf("part %q was taken", s)
				}
			}
		}
	})
}
