package footer

import (
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Field is what the tags of a Footer's field say of it.
type Field struct {
	Name string // in files and on the bus
	// Reported: a command may report it. Measured: and if it does not, nobody
	// has measured it, and the name stands in unreported.
	Reported, Measured bool
	// Exact: it follows from bars, policy and models alone.
	Exact bool
	// Signed: a number that may be negative.
	Signed bool

	index   int
	offset  uintptr
	pointer func(*Footer, uintptr) any
	key     string // the name as a key of JSON, colon included
}

// fields lists the fields of a Footer in the order of the struct, which is
// that of files. Whatever goes over all fields goes over this list.
var fields = fieldsOf(reflect.TypeFor[Footer]())

func fieldsOf(t reflect.Type) []Field {
	list := make([]Field, t.NumField())
	for i := range list {
		field := t.Field(i)
		name := field.Tag.Get("json")
		is := strings.Fields(field.Tag.Get("footer"))
		list[i] = Field{
			Name:     name,
			Reported: slices.Contains(is, "reported") || slices.Contains(is, "measured"),
			Measured: slices.Contains(is, "measured"),
			Exact:    slices.Contains(is, "exact"),
			Signed:   slices.Contains(is, "signed"),
			index:    i,
			offset:   field.Offset,
			pointer:  pointerFor(name, field.Type),
			key:      strconv.Quote(name) + ":",
		}
	}
	return list
}

// Fields lists the fields that is accepts, in the order of files.
func Fields(is func(Field) bool) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(d Field) bool { return !is(d) })
}

// all gives each field with a pointer to it in f.
func (f *Footer) all() iter.Seq2[*Field, any] {
	return func(yield func(*Field, any) bool) {
		for i := range fields {
			d := &fields[i]
			if !yield(d, d.pointer(f, d.offset)) {
				return
			}
		}
	}
}

// Of points at the field in f.
func (d Field) Of(f *Footer) any { return d.pointer(f, d.offset) }

// Value is what the field holds in f.
func (d Field) Value(f *Footer) any { return d.value(f).Interface() }

// Copy sets the field in to as it is in from, with which it then shares
// memory.
func (d Field) Copy(to, from *Footer) { d.value(to).Set(d.value(from)) }

func (d Field) value(f *Footer) reflect.Value { return reflect.ValueOf(f).Elem().Field(d.index) }
