package dataset

import (
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/run"
)

func encoded(t testing.TB, ix index) []byte {
	t.Helper()
	b, err := msgpack.Marshal(ix)
	must(t, err)
	return b
}

func TestAnIndexThatContradictsTheManifestIsRefused(t *testing.T) {
	sha := strings.Repeat("0a", 32)
	d := run.Data{SHA256: sha, Bars: 10, SliceBars: 5}
	good := index{Schema: run.Schema, Bars: 10, SliceBars: 5, Slices: []string{sha, sha}}
	if _, err := decodeIndex(encoded(t, good), d); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*index)
		want   string // in the error
	}{
		"schema":          {func(ix *index) { ix.Schema = 2 }, "schema 2"},
		"more bars":       {func(ix *index) { ix.Bars = 11 }, "11 bars"},
		"no bars":         {func(ix *index) { ix.Bars = 0 }, "0 bars"},
		"negative bars":   {func(ix *index) { ix.Bars = -10 }, "-10 bars"},
		"other slices":    {func(ix *index) { ix.SliceBars = 4 }, "slices of 4"},
		"slices of none":  {func(ix *index) { ix.SliceBars = 0 }, "slices of 0"},
		"a slice missing": {func(ix *index) { ix.Slices = ix.Slices[:1] }, "1 slices"},
		"a slice more":    {func(ix *index) { ix.Slices = append(ix.Slices, sha) }, "3 slices"},
		"no digest":       {func(ix *index) { ix.Slices = []string{sha, "x"} }, "slice 1 is named"},
		"a path":          {func(ix *index) { ix.Slices = []string{"../../x", sha} }, "slice 0 is named"},
		"half a digest":   {func(ix *index) { ix.Slices = []string{sha[:32], sha} }, "slice 0 is named"},
	} {
		ix := good
		ix.Slices = append([]string{}, good.Slices...)
		c.change(&ix)
		if _, err := decodeIndex(encoded(t, ix), d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (want %q in it)", name, err, c.want)
		}
	}
	// A manifest that says nonsense matches no index.
	for _, d := range []run.Data{{}, {Bars: 0, SliceBars: 5}, {Bars: 10}, {Bars: -1, SliceBars: -1}} {
		ix := index{Schema: run.Schema, Bars: d.Bars, SliceBars: d.SliceBars, Slices: []string{sha}}
		if _, err := decodeIndex(encoded(t, ix), d); err == nil {
			t.Errorf("%+v was taken", d)
		}
	}
	whole := encoded(t, good)
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "null": {0xc0}, "truncated": whole[:len(whole)-1],
		"bytes follow": append(append([]byte{}, whole...), 0), "a huge list": {0xdd, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := decodeIndex(data, d); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzDecodeIndex(f *testing.F) {
	sha := strings.Repeat("0a", 32)
	d := run.Data{SHA256: sha, Bars: 10, SliceBars: 5}
	good := encoded(f, index{Schema: run.Schema, Bars: 10, SliceBars: 5, Slices: []string{sha, sha}})
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("\x81\xa6slices\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ix, err := decodeIndex(data, d)
		if err != nil {
			return
		}
		// What is taken is safe to use as it is.
		if ix.Bars != 10 || ix.SliceBars != 5 || len(ix.Slices) != 2 {
			t.Errorf("%+v was taken", ix)
		}
		for _, s := range ix.Slices {
			if len(s) != 64 || strings.ContainsAny(s, "./\\") {
				t.Errorf("slice %q was taken", s)
			}
		}
	})
}
