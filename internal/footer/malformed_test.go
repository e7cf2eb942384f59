package footer

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// field is a footer of one field, whose value is given as raw bytes.
func field(name string, value ...byte) []byte {
	b := append([]byte{0x81, 0xd9, byte(len(name))}, name...)
	return append(b, value...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// named is a text as a name in a map.
func named(name string, value ...byte) []byte {
	return append(append([]byte{0xa0 | byte(len(name))}, name...), value...)
}

func TestDecodeRefuses(t *testing.T) {
	good := mustEncode(t, soundFooter())
	for _, tc := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "unexpected EOF"},
		{"null", []byte{0xc0}, "it is null (want a map)"},
		{"a list", []byte{0x90}, "decoding a footer"},
		{"a number", []byte{0x07}, "decoding a footer"},
		{"cut", good[:len(good)-1], "unexpected EOF"},
		{"a byte too many", append(bytes.Clone(good), 0), "1 bytes follow its end"},
		{"two footers", append(bytes.Clone(good), good...), "follow its end"},
		{"oversize", make([]byte, MaxEncodedBytes+1), fmt.Sprintf("footer has %d bytes (at most %d)", MaxEncodedBytes+1, MaxEncodedBytes)},

		{"name is null", []byte{0x81, 0xc0, 0x01}, "a field's name: null is not a text"},
		{"name is a number", []byte{0x81, 0x01, 0x01}, "a field's name"},
		{"field twice", join([]byte{0x82}, named("seq", 1), named("seq", 2)), "field seq appears twice"},
		{"reason twice", field("skip_reasons", join([]byte{0x82}, named("a", 1), named("a", 2))...), `name "a" appears twice`},

		{"text for a number", field("seq", 0xa1, '7'), "field seq"},
		{"map for a number", field("seq", 0x80), "field seq"},
		{"true for a number", field("seq", 0xc3), "field seq"},
		{"extension for a number", field("seq", 0xd4, 0x01, 0x05), "field seq"},
		{"fraction for an integer", packed(t, map[string]any{"seq": 1.5}), "field seq: 1.5 is not an integer"},
		{"huge float for an integer", packed(t, map[string]any{"seq": 1e18}), "field seq: 1e+18 is not an integer"},
		{"too large for an integer", packed(t, map[string]any{"seq": uint64(math.MaxUint64)}), "out of range"},
		{"negative claim", packed(t, map[string]any{"claim": -1}), "field claim: -1 is negative"},
		{"negative float claim", packed(t, map[string]any{"claim": -1.0}), "field claim: -1 is negative"},
		{"fraction for a claim", packed(t, map[string]any{"claim": 0.5}), "field claim: 0.5 is not an integer"},
		{"number for a text", field("host", 0x05), "field host: code 0x5 is not a text"},
		{"bytes for a text", field("host", 0xc4, 0x01, 'a'), "field host: code 0xc4 is not a text"},
		{"time for a text", packed(t, map[string]any{"timestamp": time.Unix(0, 1)}), "field timestamp"},
		{"number for a status", field("status", 0x05), "field status"},
		{"number for a truth value", field("final", 0x01), "field final"},
		{"number for child", field("child", 0x01), "field child"},
		{"list for a map", field("skip_reasons", 0x90), "field skip_reasons"},
		{"map for a list", field("artifacts", 0x80), "field artifacts"},
		{"short checkpoint", field("checkpoints", 0x91, 0x94, 1, 2, 3, 4), "checkpoint 0: 4 numbers (want 7)"},
		{"long checkpoint", field("checkpoints", 0x91, 0x96, 1, 2, 3, 4, 5, 6), "checkpoint 0: 6 numbers (want 7)"},
		{"null checkpoint", field("checkpoints", 0x91, 0xc0), "checkpoint 0"},
		{"null in a checkpoint", field("checkpoints", 0x91, 0x95, 1, 2, 0xc0, 4, 5), "null is not a number"},
		{"null artifact", field("artifacts", 0x91, 0xc0), "artifact 0"},
		{"null in an artifact", field("artifacts", join([]byte{0x91, 0x81}, named("name", 0xc0))...), "null is not a text"},
		{"artifact of another kind", field("artifacts", 0x91, 0x01), "artifact 0"},
		{"null reason", field("drop_reasons", 0x81, 0xc0, 0x01), "null is not a text"},
		{"null count", field("drop_reasons", join([]byte{0x81}, named("a", 0xc0))...), "null is not a number"},
		{"null in a list of names", field("unreported", 0x91, 0xc0), "null is not a text"},

		{"too many reasons", packed(t, map[string]any{"skip_reasons": manyCounts(MaxReasons + 1)}), "65 entries"},
		{"long reason", packed(t, map[string]any{"skip_reasons": Counts{strings.Repeat("x", MaxReasonLen+1): 1}}), "has 65 bytes (at most 64)"},
		{"reason that grows too long", packed(t, map[string]any{"skip_reasons": Counts{strings.Repeat("\xff.", MaxReasonLen/2): 1}}), "bytes (at most 64)"},
		{"too many names", packed(t, map[string]any{"unreported": make([]string, maxNames+1)}), "257 entries"},
		{"too many artifacts", packed(t, map[string]any{"artifacts": make([]Artifact, maxArtifacts+1)}), "4097 entries"},
		{"too many checkpoints", packed(t, map[string]any{"checkpoints": make([]Checkpoint, MaxCheckpoints+1)}), "4097 entries"},
	} {
		f, err := Decode(tc.in)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
		if !reflect.DeepEqual(f, Footer{}) {
			t.Errorf("%s: a footer beside the error", tc.name)
		}
	}
}

func manyCounts(n int) Counts {
	c := Counts{}
	for i := range n {
		c[fmt.Sprint(i)] = 1
	}
	return c
}

// No field may be null.
func TestDecodeRefusesNullInEveryField(t *testing.T) {
	for _, d := range fields {
		_, err := Decode(field(d.Name, 0xc0))
		if err == nil || !strings.Contains(err.Error(), "field "+d.Name+": ") {
			t.Errorf("%s: error %v, want one that names it", d.Name, err)
		}
	}
}

// A later version's fields are passed over, of whatever kind they are.
func TestDecodePassesOverUnknownFields(t *testing.T) {
	for name, value := range map[string]any{
		"null": nil, "list": []any{1, "a", nil}, "map": map[string]any{"a": map[string]any{"b": 1}},
		"time": time.Unix(1, 1), "bytes": make([]byte, 300), "number": 1.5,
	} {
		f, err := Decode(packed(t, map[string]any{"later": value, "seq": 7}))
		if err != nil || f.Seq != 7 {
			t.Errorf("%s: seq %d, %v", name, f.Seq, err)
		}
	}
}

// The fields may come in any order, and whole numbers in any kind that holds
// them: other programs' encoders choose others.
func TestDecodeTakesAnyOrderAndKindOfNumber(t *testing.T) {
	want := Footer{Seq: 7, Claim: 8, PnlBps: 3, Host: "h"}.Normalize()
	for _, m := range []map[string]any{
		{"host": "h", "pnl_bps": 3, "claim": 8, "seq": 7},
		{"host": "h", "pnl_bps": uint64(3), "claim": uint64(8), "seq": uint64(7)},
		{"host": "h", "pnl_bps": float32(3), "claim": 8.0, "seq": float32(7)},
		{"host": "h", "pnl_bps": int8(3), "claim": int16(8), "seq": uint8(7)},
	} {
		for range len(m) { // a map's order is another each time
			got, err := Decode(packed(t, maps.Clone(m)))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%v: %+v, %v", m, got, err)
			}
		}
	}
}

// cost is the bytes of heap and new stack that f takes.
func cost(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	// The stacks may also have shrunk meanwhile.
	return int64(after.TotalAlloc-before.TotalAlloc) + max(0, int64(after.StackSys)-int64(before.StackSys))
}

// What a footer says of its own lengths and depth costs nothing before the
// bytes that it promises are there.
func TestInvariant4_DecodeIsBounded(t *testing.T) {
	most := MaxEncodedBytes - 100
	for name, in := range map[string][]byte{
		"map of 2^32":         {0xdf, 0xff, 0xff, 0xff, 0xff},
		"text of 2^32":        field("error", 0xdb, 0xff, 0xff, 0xff, 0xff),
		"child of 2^32":       field("child", 0xc6, 0xff, 0xff, 0xff, 0xff),
		"child of 1 MiB":      field("child", 0xc6, 0x00, 0x10, 0x00, 0x00),
		"counts of 2^32":      field("skip_reasons", 0xdf, 0xff, 0xff, 0xff, 0xff),
		"names of 2^32":       field("unreported", 0xdd, 0xff, 0xff, 0xff, 0xff),
		"artifacts of 2^32":   field("artifacts", 0xdd, 0xff, 0xff, 0xff, 0xff),
		"checkpoints of 2^32": field("checkpoints", 0xdd, 0xff, 0xff, 0xff, 0xff),
		"unknown ext of 2^32": field("later", 0xc9, 0xff, 0xff, 0xff, 0xff, 0x01),
		"lists in lists":      field("later", append(bytes.Repeat([]byte{0x91}, most), 0xc0)...),
		"maps in maps":        field("later", bytes.Repeat([]byte{0x81, 0xa0}, most/2)...),
		"in an artifact":      field("artifacts", join([]byte{0x91, 0x81}, named("later"), bytes.Repeat([]byte{0x91}, most), []byte{0xc0})...),
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used := cost(func() { _, err = Decode(in) })
			if err == nil {
				t.Error("it is accepted")
			}
			if used > 256<<10 {
				t.Errorf("%d bytes of input cost %d", len(in), used)
			}
		})
	}
}

// What Decode would refuse for its size, Encode does not let out.
func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	for _, tc := range []struct {
		want string
		f    Footer
	}{
		{"skip_reasons has 65 entries (at most 64)", Footer{SkipReasons: manyCounts(65)}},
		{"drop_reasons has 65 entries", Footer{DropReasons: manyCounts(65)}},
		{"has 65 bytes (at most 64)", Footer{DropReasons: Counts{strings.Repeat("x", 65): 1}}},
		{"unreported has 257 entries", Footer{Unreported: distinct(257)}},
		{"artifacts has 4097 entries", Footer{Artifacts: make([]Artifact, 4097)}},
		{"checkpoints has 4097 entries", Footer{Checkpoints: make([]Checkpoint, 4097)}},
		{"bytes (at most 393216)", Footer{Host: strings.Repeat("x", MaxEncodedBytes)}},
	} {
		if _, err := tc.f.Encode(); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "chunk 0") {
			t.Errorf("error %v, want one with %q", err, tc.want)
		}
	}
}

// distinct is n different names.
func distinct(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return names
}

func TestDecodeJSONRefuses(t *testing.T) {
	for _, in := range []string{
		"", "null", " null ", "[]", "1", `"a"`, "{", `{"seq":1.5}`, `{"seq":"1"}`, `{"claim":-1}`, `{"pnl_bps":1e999}`, `{"pnl_bps":NaN}`,
		`{"status":1}`, `{"checkpoints":[1]}`, `{} {}`, strings.Repeat(" ", 4*MaxEncodedBytes) + "{}",
	} {
		if _, err := DecodeJSON([]byte(in)); err == nil {
			t.Errorf("%.40q is accepted", in)
		}
	}
}
