package footer

import (
	"reflect"
	"testing"
)

// A field's pointer is to that field, with its type, as reflect has it.
func TestPointersAreToTheFields(t *testing.T) {
	f := fullFooter()
	v := reflect.ValueOf(&f).Elem()
	if v.NumField() != len(fields) {
		t.Fatalf("%d fields are listed of %d", len(fields), v.NumField())
	}
	for i, d := range fields {
		if got, want := d.Of(&f), v.Field(i).Addr().Interface(); got != want {
			t.Errorf("%s: pointer %T %[2]p (want %T %[3]p)", d.Name, got, want)
		}
	}
}

// A field whose type has no pointer stops the program at its start.
func TestPointerForUnknownType(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a field of type complex128 was accepted")
		}
	}()
	pointerFor("x", reflect.TypeFor[complex128]())
}
