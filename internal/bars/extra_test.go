package bars

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// someColumns has a column of each kind with n rows: borders of its values,
// and one more with nulls in every third row.
func someColumns(n int) []Column {
	floats := []float64{0, math.Copysign(0, -1), 1.1, math.NaN(), math.Inf(1), math.Inf(-1), 5e-324, math.MaxFloat64, 1e300, -2.5}
	texts := []string{"", "plain", "a,b", `say "no"`, "two\nlines", " space ", "æøå ☃", "007", "NaN", "x;y"}
	var list []Column
	add := func(c Column, value func(c *Column, i int)) {
		nulls := strings.HasSuffix(c.Name, "nulls")
		for i := range n {
			if nulls && i%3 == 1 {
				if c.Kind == String {
					c.Texts = append(c.Texts, "")
				} else {
					c.Bits = append(c.Bits, 0)
				}
				c.sawRow(true)
				continue
			}
			value(&c, i)
			c.sawRow(false)
		}
		list = append(list, c)
	}
	for _, twice := range []string{"", " with nulls"} {
		for _, k := range []ColumnKind{Float64, Float32} {
			add(Column{Shape: Shape{Name: string(k) + twice, Kind: k}}, func(c *Column, i int) {
				if v := floats[i%len(floats)]; k == Float32 {
					c.Bits = append(c.Bits, bitsOf(float32(v))...)
				} else {
					c.Bits = append(c.Bits, bitsOf(v)...)
				}
			})
		}
		for _, k := range []ColumnKind{Int64, Int32, Int16, Int8} {
			bits := 8 * k.Width()
			add(Column{Shape: Shape{Name: string(k) + twice, Kind: k}}, func(c *Column, i int) {
				c.Bits = append(c.Bits, bitsOf([]int64{0, -1, 1<<(bits-1) - 1, -1 << (bits - 1), 1<<53 + 1, 42}[i%6]<<(64-bits)>>(64-bits))...)
			})
		}
		for _, k := range []ColumnKind{Uint64, Uint32, Uint16, Uint8} {
			bits := 8 * k.Width()
			add(Column{Shape: Shape{Name: string(k) + twice, Kind: k}}, func(c *Column, i int) {
				c.Bits = append(c.Bits, []uint64{0, 1, math.MaxUint64, 7}[i%4]<<(64-bits)>>(64-bits))
			})
		}
		add(Column{Shape: Shape{Name: "bool" + twice, Kind: Bool}}, func(c *Column, i int) { c.Bits = append(c.Bits, bitsOf(i%5 < 2)...) })
		add(Column{Shape: Shape{Name: "text, quoted" + twice, Kind: String}}, func(c *Column, i int) { c.Texts = append(c.Texts, texts[i%len(texts)]) })
		for _, unit := range []time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond} {
			for _, zone := range []string{"", "UTC", "Europe/Oslo"} {
				add(Column{Shape: Shape{Name: fmt.Sprint("time ", unit, zone, twice), Kind: Time, Unit: unit, Zone: zone}}, func(c *Column, i int) {
					c.Bits = append(c.Bits, uint64((1767366245123456789+int64(i))/int64(unit)))
				})
			}
		}
		add(Column{Shape: Shape{Name: "filler" + twice, Kind: Int64, Pandas: "Int64"}}, func(c *Column, i int) { c.Bits = append(c.Bits, uint64(i)) })
	}
	add(Column{Shape: Shape{Name: "flags", Kind: Bool, Pandas: "boolean"}}, func(c *Column, i int) { c.Bits = append(c.Bits, bitsOf(i%2 == 0)...) })
	return list
}

// bitsOf are values as Column.Bits has them.
func bitsOf[T bool | int64 | float32 | float64](values ...T) []uint64 {
	list := make([]uint64, len(values))
	for i, v := range values {
		switch v := any(v).(type) {
		case bool:
			if v {
				list[i] = 1
			}
		case int64:
			list[i] = uint64(v)
		case float32:
			list[i] = uint64(math.Float32bits(v))
		case float64:
			list[i] = math.Float64bits(v)
		}
	}
	return list
}

// differ names the first difference of two lists of columns, to the last bit;
// empty: there is none.
func differ(got, want []Column) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d columns (want %d)", len(got), len(want))
	}
	for i := range want {
		g, w := &got[i], &want[i]
		if g.Shape != w.Shape {
			return fmt.Sprintf("column %+v (want %+v)", g.Shape, w.Shape)
		}
		if g.Len() != w.Len() {
			return fmt.Sprintf("column %s of %d rows (want %d)", w.Name, g.Len(), w.Len())
		}
		for k := range w.Len() {
			a, b := cellOf(g, k), cellOf(w, k)
			if a != b {
				return fmt.Sprintf("column %s, row %d: %s (want %s)", w.Name, k+1, a, b)
			}
		}
	}
	return ""
}

func cellOf(c *Column, i int) string {
	switch {
	case c.Null(i):
		return "null"
	case c.Kind == Float64 || c.Kind == Float32:
		return fmt.Sprintf("%x", math.Float64bits(c.float(i)))
	case c.Kind == Bool:
		return fmt.Sprint(c.Bits[i] == 1)
	case c.Kind == String:
		return fmt.Sprintf("%q", c.Texts[i])
	}
	return fmt.Sprint(int64(c.Bits[i]))
}

func TestCheckColumns(t *testing.T) {
	good := func() Column { return Column{Shape: Shape{Name: "x", Kind: Int64}, Bits: bitsOf[int64](1, 2)} }
	many := make([]Column, MaxExtraColumns+1)
	for i := range many {
		many[i] = good()
		many[i].Name = fmt.Sprint("x", i)
	}
	if err := CheckColumns(many[1:], 2); err != nil {
		t.Error(err)
	}
	if err := CheckColumns(many, 2); err == nil {
		t.Errorf("%d columns were taken", len(many))
	}
	for want, change := range map[string]func(*Column){
		"no name":                     func(c *Column) { c.Name = "" },
		"a name of 257 bytes":         func(c *Column) { c.Name = strings.Repeat("n", 257) },
		"not UTF-8":                   func(c *Column) { c.Name = "\xff" },
		"a zero byte":                 func(c *Column) { c.Name = "a\x00" },
		"a bar's own":                 func(c *Column) { c.Name = "bid_low" },
		"kind \"decimal\" is unknown": func(c *Column) { c.Kind = "decimal" },
		"3 values":                    func(c *Column) { c.Bits = bitsOf[int64](1, 2, 3) },
		"marks of 1 nulls":            func(c *Column) { c.Nulls = []bool{true} },
		"units of 0s":                 func(c *Column) { c.Kind = Time },
		"units of 1m0s":               func(c *Column) { c.Kind, c.Unit = Time, time.Minute },
		"time zone":                   func(c *Column) { c.Zone = "UTC" },
		"type \"Float64\" of pandas":  func(c *Column) { c.Pandas = "Float64" },
		"appears twice":               func(c *Column) { c.Name = "y" },
	} {
		c, y := good(), good()
		y.Name = "y"
		change(&c)
		err := CheckColumns([]Column{y, c}, 2)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
		if writeParquetExtra(new(bytes.Buffer), Generate(2, 1), []Column{y, c}) == nil || writeCSVExtra(new(bytes.Buffer), Generate(2, 1), []Column{y, c}) == nil {
			t.Errorf("a file with it was written: %s", want)
		}
	}
}
