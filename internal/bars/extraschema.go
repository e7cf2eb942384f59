package bars

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// orderedGroup is a group whose fields keep their order; the library's are
// sorted by name.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

type orderedField struct {
	parquet.Node
	name string
}

func (f orderedField) Name() string { return f.name }

// Value is for rows made of Go values; ours are written column by column.
func (f orderedField) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// node is the column as the schema has it.
func (c *Column) node() parquet.Node {
	var node parquet.Node
	switch c.Kind {
	case Float64:
		node = parquet.Leaf(parquet.DoubleType)
	case Float32:
		node = parquet.Leaf(parquet.FloatType)
	case Bool:
		node = parquet.Leaf(parquet.BooleanType)
	case String:
		node = parquet.String()
	case Time:
		unit := parquet.Nanosecond
		switch c.Unit {
		case time.Microsecond:
			unit = parquet.Microsecond
		case time.Millisecond:
			unit = parquet.Millisecond
		}
		node = parquet.TimestampAdjusted(unit, c.Zone != "")
	case Uint64, Uint32, Uint16, Uint8:
		node = parquet.Uint(8 * c.Kind.Width())
	default:
		node = parquet.Int(8 * c.Kind.Width())
	}
	return parquet.Optional(parquet.Encoded(node, &parquet.Plain))
}

// pandasNote is pandasMetadata with the extra columns.
func (p *ParquetWriter) pandasNote() (string, error) {
	type column struct {
		Name       string            `json:"name"`
		FieldName  string            `json:"field_name"`
		PandasType string            `json:"pandas_type"`
		NumpyType  string            `json:"numpy_type"`
		Metadata   map[string]string `json:"metadata"`
	}
	var list []column
	for _, c := range p.columns {
		note := column{Name: c.name, FieldName: c.name, PandasType: string(Float64), NumpyType: string(Float64)}
		if c.of == nil {
			s := &p.shapes[c.extra]
			note.PandasType, note.NumpyType = s.pandasTypes()
			if s.Zone != "" {
				note.Metadata = map[string]string{"timezone": s.Zone}
			}
		}
		list = append(list, note)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	// The same but for the columns in between.
	plain := pandasMetadata()
	first, last := strings.Index(plain, `{"name":"open"`), strings.Index(plain, `{"name":"time"`)
	return plain[:first] + strings.Trim(string(text), "[]") + "," + plain[last:], nil
}

// pandasTypes are the types of the column for the note of pandas.
func (c *Column) pandasTypes() (pandas, numpy string) {
	pandas, numpy = string(c.Kind), string(c.Kind)
	switch c.Kind {
	case String:
		pandas, numpy = "unicode", "object"
	case Time:
		pandas, numpy = "datetime", "datetime64["+strings.ReplaceAll(strings.TrimPrefix(c.Unit.String(), "1"), "µ", "u")+"]"
		if c.Zone != "" {
			pandas = "datetimetz"
		}
	}
	if c.Pandas != "" {
		numpy = c.Pandas
	}
	return pandas, numpy
}
