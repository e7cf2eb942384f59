package run

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func TestCheckPayload(t *testing.T) {
	nested := func(n int) []byte { return append(bytes.Repeat([]byte{0x91}, n), 0xc0) }
	for _, tc := range []struct {
		name string
		in   []byte
		want string // empty: accepted
	}{
		{"as deep as allowed", nested(16), ""},
		{"deeper", nested(17), "nested deeper than 16"},
		{"nothing", nil, "unexpected EOF"},
		{"two values", []byte{0x01, 0x02}, "1 bytes follow its end"},
		{"no code", []byte{0xc1}, "code 0xc1"},
		{"time", packed(t, time.Unix(1, 5)), ""},
		{"largest extension, cut", []byte{0xc9, 0xff, 0xff, 0xff, 0xff}, "unexpected EOF"},
		{"odd map", []byte{0x81, 0x01}, "unexpected EOF"},
		{"length cut", []byte{0xdb, 0x00, 0x00}, "unexpected EOF"},
		{"every kind", packed(t, []any{nil, true, 1, -1, 300, 70000, 1 << 40, 1.5, float32(2), "s", strings.Repeat("s", 300),
			[]byte("b"), make([]byte, 70000), make([]int, 20), make([]int, 70000), map[string]int{"a": 1}}), ""},
	} {
		err := CheckPayload(tc.in)
		if tc.want == "" && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

// Where the depth is no matter, CheckPayload agrees with the library's own
// walk over a value.
func FuzzCheckPayload(f *testing.F) {
	f.Add(packed(f, fixtureManifest()))
	f.Add(packed(f, []any{time.Unix(1, 0), 1 << 40, -300, "text", []byte{1}, map[string]any{"a": 1.5}}))
	f.Add([]byte{0xc7, 0x03, 0x01, 1, 2, 3})
	f.Add([]byte{0xd8, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1000 {
			t.Skip("the library recurses as deep as the input says")
		}
		err := CheckPayload(b)
		if err != nil && strings.Contains(err.Error(), "nested deeper") {
			return
		}
		r := bytes.NewReader(b)
		skipErr := msgpack.NewDecoder(r).Skip()
		if whole := skipErr == nil && r.Len() == 0; whole != (err == nil) {
			t.Fatalf("%x: error %v; the library says %v with %d bytes left", b, err, skipErr, r.Len())
		}
	})
}
