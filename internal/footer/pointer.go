package footer

import (
	"encoding/json"
	"fmt"
	"reflect"
	"unsafe"
)

// pointers has, for each type of a field, the function that points at a field
// of that type at an offset in a Footer. The codec calls it for every field of
// every footer, where a reflect.Value per field cost a fifth of the time.
var pointers = map[reflect.Type]func(*Footer, uintptr) any{
	reflect.TypeFor[int64]():           pointer[int64],
	reflect.TypeFor[uint64]():          pointer[uint64],
	reflect.TypeFor[float64]():         pointer[float64],
	reflect.TypeFor[bool]():            pointer[bool],
	reflect.TypeFor[string]():          pointer[string],
	reflect.TypeFor[Status]():          pointer[Status],
	reflect.TypeFor[Phase]():           pointer[Phase],
	reflect.TypeFor[Counts]():          pointer[Counts],
	reflect.TypeFor[json.RawMessage](): pointer[json.RawMessage],
	reflect.TypeFor[[]string]():        pointer[[]string],
	reflect.TypeFor[[]Artifact]():      pointer[[]Artifact],
	reflect.TypeFor[[]Checkpoint]():    pointer[[]Checkpoint],
}

func pointer[T any](f *Footer, offset uintptr) any {
	return (*T)(unsafe.Add(unsafe.Pointer(f), offset))
}

// pointerFor is pointers' entry for t, the type of a named field of Footer.
func pointerFor(name string, t reflect.Type) func(*Footer, uintptr) any {
	p, ok := pointers[t]
	if !ok {
		panic(fmt.Sprintf("footer: field %s has type %s, which the codec does not know", name, t))
	}
	return p
}
