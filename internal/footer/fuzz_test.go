package footer

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"unicode/utf8"
)

// checkDecoded holds what is true of every footer that either decoder
// returns.
func checkDecoded(t *testing.T, f Footer) {
	t.Helper()
	if !reflect.DeepEqual(f.Normalize(), f) {
		t.Fatalf("%+v is not normalized", f)
	}
	for _, d := range fields {
		if p, ok := d.Of(&f).(*float64); ok && (math.IsNaN(*p) || math.IsInf(*p, 0)) {
			t.Fatalf("%s is %v", d.Name, *p)
		}
	}
	j, err := f.AppendJSON(nil)
	if err != nil {
		t.Fatalf("it cannot be written as JSON: %v", err)
	}
	if !utf8.Valid(j) || !json.Valid(j) || bytes.ContainsRune(j, '\n') {
		t.Fatalf("not one line of JSON: %q", j)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(j, &fields); err != nil {
		t.Fatal(err)
	}
	for name, v := range fields {
		if string(v) == "null" {
			t.Fatalf("%s is null", name)
		}
	}
	if err := f.Check(fixtureManifest()); err == nil && f.BarsProcessed > 25 {
		t.Fatalf("Check accepts %d bars of a chunk of 25", f.BarsProcessed)
	}
	if same(f, soundFooter()) == (Outranks(f, soundFooter()) || Outranks(soundFooter(), f)) {
		t.Fatal("Pick is not total")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(mustEncode(f, Footer{}))
	f.Add(mustEncode(f, soundFooter()))
	f.Add(mustEncode(f, fullFooter()))
	f.Add(packed(f, map[string]any{"seq": math.NaN(), "checkpoints": [][]any{{math.Inf(1), 1, 2, 3, 4}}}))
	f.Add(field("artifacts", 0x91, 0x81, 0xa4, 'n', 'a', 'm', 'e', 0xa1, 0xff))
	f.Add(field("child", 0xc4, 0x08, '{', '"', 'a', '"', ':', '1', 'e', '9'))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Decode(b)
		if err != nil {
			if !reflect.DeepEqual(got, Footer{}) {
				t.Fatalf("%+v beside the error %v", got, err)
			}
			return
		}
		checkDecoded(t, got)
		again, err := got.Encode()
		if err != nil {
			if len(b) < MaxEncodedBytes/4 { // texts and numbers may grow, by so much at most
				t.Fatalf("its own bytes are refused: %v", err)
			}
			return
		}
		if f, err := Decode(again); err != nil || !reflect.DeepEqual(f, got) {
			t.Fatalf("%+v became %+v, %v", got, f, err)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(mustJSON(f, Footer{}))
	f.Add(mustJSON(f, soundFooter()))
	f.Add(mustJSON(f, fullFooter()))
	f.Add([]byte(`{"skip_reasons":null,"child":null,"artifacts":[null],"checkpoints":[null],"unreported":[null]}`))
	f.Add([]byte(`{"child":{"a":[null,1e400,"\ud800"]},"Run_ID":"x","run_id":"y"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeJSON(b)
		if err != nil {
			return
		}
		checkDecoded(t, got)
		j := mustJSON(t, got)
		again, err := DecodeJSON(j)
		if err != nil {
			if len(b) < MaxEncodedBytes/4 {
				t.Fatalf("its own text is refused: %v", err)
			}
			return
		}
		if second := mustJSON(t, again); !bytes.Equal(j, second) {
			t.Fatalf("%s became %s", j, second)
		}
	})
}
