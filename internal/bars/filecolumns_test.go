package bars

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// The file's own mid prices are kept where they are not ours, and stand in
// place of ours in what we write.
func TestOwnMidPrices(t *testing.T) {
	bars := Generate(50, 2)
	other := Column{Shape: Shape{Name: "close", Kind: Float32}}
	same := Column{Shape: Shape{Name: "high", Kind: Float64}}
	for i := range bars {
		other.Bits = append(other.Bits, bitsOf(float32(bars[i].MidClose()))...)
		same.Bits = append(same.Bits, bitsOf(bars[i].MidHigh())...)
	}
	gap := Column{Shape: Shape{Name: "low", Kind: Float64}, Nulls: make([]bool, len(bars))}
	for i := range bars {
		gap.Bits = append(gap.Bits, bitsOf(bars[i].MidLow())...)
	}
	gap.Nulls[7], gap.Bits[7] = true, 0
	for format, write := range map[string]func(*bytes.Buffer) (Set, error){
		"parquet": func(b *bytes.Buffer) (Set, error) {
			if err := writeParquetExtra(b, bars, []Column{same, other, gap}); err != nil {
				return Set{}, err
			}
			return decodeParquet(bytes.NewReader(b.Bytes()), int64(b.Len()), ReadOptions{Extra: true}, &form{})
		},
		"CSV": func(b *bytes.Buffer) (Set, error) {
			if err := writeCSVExtra(b, bars, []Column{same, other, gap}); err != nil {
				return Set{}, err
			}
			if n := bytes.Count(b.Bytes()[:bytes.IndexByte(b.Bytes(), '\n')], []byte(",")); n != 13 {
				return Set{}, fmt.Errorf("%d commas in the header", n)
			}
			return readCSV(bytes.NewReader(b.Bytes()), ReadOptions{Extra: true})
		},
	} {
		set, err := write(new(bytes.Buffer))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range set.Extra {
			names = append(names, c.Name)
		}
		// In a file's order, high, which is ours, left out.
		if !slices.Equal(names, []string{"low", "close"}) {
			t.Errorf("%s: columns %v", format, names)
			continue
		}
		if d := differ(set.Extra[:1], []Column{gap}); d != "" {
			t.Errorf("%s: %s", format, d)
		}
		if format == "parquet" {
			if d := differ(set.Extra[1:], []Column{other}); d != "" {
				t.Errorf("%s: %s", format, d)
			}
		}
	}
}
