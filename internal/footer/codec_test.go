package footer

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every field has a name of its own, and its tag holds known words.
func TestFieldsAreTheStructs(t *testing.T) {
	of := reflect.TypeFor[Footer]()
	if len(fields) != of.NumField() {
		t.Fatalf("%d fields of %d", len(fields), of.NumField())
	}
	var f Footer
	seen := map[string]bool{}
	for i, d := range fields {
		field := of.Field(i)
		if d.Name == "" || d.Name != field.Tag.Get("json") || seen[d.Name] {
			t.Errorf("%s: name %q is empty, appears twice or is not the tag's", field.Name, d.Name)
		}
		seen[d.Name] = true
		if d.Of(&f) != reflect.ValueOf(&f).Elem().Field(i).Addr().Interface() {
			t.Errorf("%s: Of points elsewhere", d.Name)
		}
		for word := range strings.FieldsSeq(field.Tag.Get("footer")) {
			if !slices.Contains([]string{"reported", "measured", "exact", "signed"}, word) {
				t.Errorf("%s: %q is no word of a footer's tag", d.Name, word)
			}
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "v1", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed; if old readers still read it, run the test with -update\ngot  %q\nwant %q", name, got, want)
	}
}

func TestGolden(t *testing.T) {
	for name, f := range map[string]Footer{"full": fullFooter(), "zero": {}} {
		golden(t, name+".msgpack", mustEncode(t, f))
		golden(t, name+".json", append(mustJSON(t, f), '\n'))
	}
}

// Footers of versions without incarnations are read: they are of runs that have
// none.
func TestEarlierFootersAreRead(t *testing.T) {
	want := fullFooter().Normalize()
	want.Incarnation, want.WorkerBuild, want.EngineVersion, want.ChunksTotal, want.DataBars = "", "", 0, 0, 0
	want.Slots, want.StartedAt, want.EndedAt, want.NFeaturesBuilt, want.TFeatureUpkeepSec = 0, "", "", 0, 0
	for i := range want.Checkpoints {
		want.Checkpoints[i][CheckpointFeatures], want.Checkpoints[i][CheckpointWarmup] = 0, 0
	}
	for ext, decode := range map[string]func([]byte) (Footer, error){".msgpack": Decode, ".json": DecodeJSON} {
		b, err := os.ReadFile(filepath.Join("testdata", "earlier", "full"+ext))
		if err != nil {
			t.Fatal(err)
		}
		f, err := decode(b)
		f.Child, want.Child = compacted(t, f.Child), compacted(t, want.Child)
		if err != nil || !reflect.DeepEqual(f, want) {
			t.Errorf("full%s: %+v, %v", ext, f, err)
		}
	}
}

func TestCheckpointsOfOtherLengthsAreRefused(t *testing.T) {
	for _, row := range []string{"[]", "[1,2,3,4]", "[1,2,3,4,5,6]", "[1,2,3,4,5,6,7,8]"} {
		if f, err := DecodeJSON([]byte(`{"checkpoints":[` + row + `]}`)); err == nil {
			t.Errorf("%s is read as %v", row, f.Checkpoints)
		}
	}
}

// What stands in the golden files is read to the same values.
func TestGoldenIsRead(t *testing.T) {
	for name, f := range map[string]Footer{"full": fullFooter(), "zero": {}} {
		for ext, decode := range map[string]func([]byte) (Footer, error){".msgpack": Decode, ".json": DecodeJSON} {
			b, err := os.ReadFile(filepath.Join("testdata", "v1", name+ext))
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode(b)
			if err != nil {
				t.Fatalf("%s%s: %v", name, ext, err)
			}
			want := f.Normalize()
			if ext == ".json" { // JSON is compacted on its way
				got.Child, want.Child = compacted(t, got.Child), compacted(t, want.Child)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s%s:\ngot  %+v\nwant %+v", name, ext, got, want)
			}
		}
	}
}

func compacted(t *testing.T, b []byte) json.RawMessage {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The full footer of the golden files leaves no field at its zero value.
func TestFullFooterIsFull(t *testing.T) {
	v := reflect.ValueOf(fullFooter())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is zero", v.Type().Field(i).Name)
		}
	}
}

var nonfinite = map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1)}

// A number that is none, forced into each float in turn.
func TestInvariant3_NonfiniteIsWrittenAsZeroAndNamed(t *testing.T) {
	floats := 0
	for _, d := range fields {
		for text, bad := range nonfinite {
			f := soundFooter()
			p, ok := d.Of(&f).(*float64)
			if !ok {
				continue
			}
			floats++
			*p = bad
			for ext, decode := range map[string]func() (Footer, error){
				"msgpack": func() (Footer, error) { return Decode(mustEncode(t, f)) },
				"json":    func() (Footer, error) { return DecodeJSON(mustJSON(t, f)) },
			} {
				got, err := decode()
				if err != nil {
					t.Fatalf("%s %s in %s: %v", text, d.Name, ext, err)
				}
				if v := *d.Of(&got).(*float64); v != 0 {
					t.Errorf("%s %s in %s became %v", text, d.Name, ext, v)
				}
				if len(got.NonfiniteFields) != 1 || got.NonfiniteFields[0] != d.Name {
					t.Errorf("%s %s in %s: nonfinite_fields %v", text, d.Name, ext, got.NonfiniteFields)
				}
				if err := got.Check(fixtureManifest()); err != nil {
					t.Errorf("%s %s in %s: refused: %v", text, d.Name, ext, err)
				}
			}
		}
	}
	if floats < 3*10 {
		t.Errorf("only %d were tried", floats)
	}
}

// The same on the wire, where a float may also stand in the place of an
// integer, and inside of lists and maps.
func TestDecodeTakesNonfiniteNumbersAnywhereAsZero(t *testing.T) {
	type kase struct {
		name  string
		value any
	}
	for text, bad := range nonfinite {
		var cases []kase
		for _, d := range fields {
			switch d.Of(&Footer{}).(type) {
			case *int64, *uint64, *float64:
				cases = append(cases, kase{d.Name, bad}, kase{d.Name, float32(bad)})
			}
		}
		cases = append(cases,
			kase{"skip_reasons", map[string]any{"a": bad}},
			kase{"drop_reasons", map[string]any{"a": bad}},
			kase{"artifacts", []any{map[string]any{"bytes": bad}}},
			kase{"artifacts", []any{map[string]any{"parts": bad, "name": "x"}}},
			kase{"checkpoints", []any{[]any{bad, 1, 2, 3, 4}}})
		for _, c := range cases {
			f, err := Decode(packed(t, map[string]any{c.name: c.value}))
			if err != nil {
				t.Errorf("%s in %s: %v", text, c.name, err)
				continue
			}
			if len(f.NonfiniteFields) != 1 || f.NonfiniteFields[0] != c.name {
				t.Errorf("%s in %s: nonfinite_fields %v", text, c.name, f.NonfiniteFields)
			}
			f.NonfiniteFields = nil
			f.SkipReasons, f.DropReasons, f.Artifacts, f.Checkpoints = nil, nil, nil, nil
			if !reflect.DeepEqual(f.Normalize(), Footer{}.Normalize()) {
				t.Errorf("%s in %s changed another field: %+v", text, c.name, f)
			}
		}
	}
}

// No field is null, whatever was nil; a command's own footer is its own word.
func TestInvariant3_NoNull(t *testing.T) {
	for name, f := range map[string]Footer{
		"zero":       {},
		"null child": {Child: json.RawMessage("null")},
		"no child":   {Child: json.RawMessage(`[1]`)},
		"nil counts": {SkipReasons: Counts(nil), Artifacts: []Artifact{{}}, Checkpoints: []Checkpoint{{}}},
	} {
		if b := mustJSON(t, f); bytes.Contains(b, []byte("null")) {
			t.Errorf("%s: %s", name, b)
		}
		var m map[string]any
		if err := msgpack.Unmarshal(mustEncode(t, f), &m); err != nil {
			t.Fatal(err)
		}
		for field, v := range m {
			if v == nil {
				t.Errorf("%s: %s is nil", name, field)
			}
		}
	}
}

// anyFooter has odd texts, numbers and sizes in every field that may be odd.
func anyFooter() *rapid.Generator[Footer] {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\xff", "a\xffb\xfe", "null", "<&>", "\u2028", "é\xc3"}))
	float := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}))
	counts := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "\xff", "\xfe", "", "\uFFFD"}), rapid.Int64Range(-9, 9), 0, 5)
	return rapid.Custom(func(t *rapid.T) Footer {
		var f Footer
		for _, d := range fields {
			switch p := d.Of(&f).(type) {
			case *int64:
				*p = rapid.Int64().Draw(t, d.Name)
			case *uint64:
				*p = rapid.Uint64().Draw(t, d.Name)
			case *float64:
				*p = float.Draw(t, d.Name)
			case *string:
				*p = text.Draw(t, d.Name)
			case *Status:
				*p = Status(text.Draw(t, d.Name))
			case *Phase:
				*p = Phase(text.Draw(t, d.Name))
			case *bool:
				*p = rapid.Bool().Draw(t, d.Name)
			case *Counts:
				*p = counts.Draw(t, d.Name)
			case *[]string:
				*p = rapid.SliceOfN(text, 0, 4).Draw(t, d.Name)
			}
		}
		f.Child = rapid.SampledFrom([]json.RawMessage{nil, {}, []byte("null"), []byte(`{"a":null}`), []byte(` { "a" : "\u00e9<" } `), []byte("{\"a\":\"\xff\"}"), []byte("{")}).Draw(t, "child")
		f.Artifacts = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Artifact {
			return Artifact{Name: text.Draw(t, "name"), SHA256: text.Draw(t, "sha256"), Bytes: rapid.Int64().Draw(t, "bytes"), Parts: rapid.Int().Draw(t, "parts")}
		}), 0, 3).Draw(t, "artifacts")
		f.Checkpoints = rapid.SliceOfN(rapid.Just(Checkpoint{math.MinInt64, -1, 0, 1, math.MaxInt64}), 0, 3).Draw(t, "checkpoints")
		return f
	})
}

// What is written is read back as it was normalized, from either format, and
// written again in the same bytes; normalizing twice changes nothing.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFooter().Draw(t, "footer")
		norm := f.Normalize()
		if !reflect.DeepEqual(norm.Normalize(), norm) {
			t.Fatalf("normalized again: %+v, want %+v", norm.Normalize(), norm)
		}
		b, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, norm) {
			t.Fatalf("msgpack: %+v, %v, want %+v", got, err, norm)
		}
		if again, err := got.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("encoded again: %x, %v, want %x", again, err, b)
		}
		j, err := f.AppendJSON([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		j, ok := bytes.CutPrefix(j, []byte("before"))
		if !ok || !utf8.Valid(j) || bytes.ContainsAny(j, "\r\n") {
			t.Fatalf("JSON is not one line of UTF-8 after what stood there: %q", j)
		}
		if want, err := json.Marshal(norm); err != nil || !bytes.Equal(j, want) {
			t.Fatalf("JSON %s, %v, want %s", j, err, want)
		}
		fromJSON, err := DecodeJSON(j)
		if err != nil {
			t.Fatalf("JSON: %v", err)
		}
		if again, err := fromJSON.AppendJSON(nil); err != nil || !bytes.Equal(again, j) {
			t.Fatalf("JSON again: %s, %v, want %s", again, err, j)
		}
		fromJSON.Child, norm.Child = nil, nil // compacted on its way
		if !reflect.DeepEqual(fromJSON, norm) {
			t.Fatalf("JSON: %+v, want %+v", fromJSON, norm)
		}
	})
}

// Holes are where the values stand, whatever is in the values before them.
func TestHolesAreTheValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFooter().Draw(t, "footer")
		var names []string
		for _, d := range fields {
			if rapid.Bool().Draw(t, d.Name+" is cut") {
				names = append(names, d.Name)
			}
		}
		j, holes, err := f.JSON(names...)
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]json.RawMessage
		if err := json.Unmarshal(j, &values); err != nil {
			t.Fatal(err)
		}
		if len(holes) != len(names) {
			t.Fatalf("%d holes for %v", len(holes), names)
		}
		for i, h := range holes {
			if h.Field != names[i] || !bytes.Equal(j[h.From:h.To], values[h.Field]) {
				t.Fatalf("hole %s holds %s, want %s: %s", h.Field, j[h.From:h.To], names[i], values[names[i]])
			}
		}
	})
}

// Maps are written in the order of their names, so equal footers are equal
// bytes.
func TestEncodeIsDeterministic(t *testing.T) {
	f := soundFooter()
	f.SkipReasons = Counts{}
	for c := 'a'; c <= 'z'; c++ {
		f.SkipReasons[string(c)] = int64(c)
	}
	first, firstJSON := mustEncode(t, f), mustJSON(t, f)
	for range 50 {
		g := f
		g.SkipReasons = Counts{}
		for name, n := range f.SkipReasons {
			g.SkipReasons[name] = n
		}
		if !bytes.Equal(mustEncode(t, g), first) || !bytes.Equal(mustJSON(t, g), firstJSON) {
			t.Fatal("the same footer has other bytes")
		}
	}
}

// Neither encoding writes into what the caller still holds.
func TestEncodeLeavesTheFooterAlone(t *testing.T) {
	f, before := fullFooter(), fullFooter()
	f.PnlBps, f.Artifacts[0].Name, f.NonfiniteFields[0] = math.Inf(1), "\xff", "\xff"
	before.PnlBps, before.Artifacts[0].Name, before.NonfiniteFields[0] = math.Inf(1), "\xff", "\xff"
	mustEncode(t, f)
	mustJSON(t, f)
	if !reflect.DeepEqual(f, before) {
		t.Errorf("it became %+v", f)
	}
}

func TestErrorTextsAreBoundedInCharacters(t *testing.T) {
	for _, tc := range []struct{ name, in, wantError, wantTrace string }{
		{"short", "abc", "abc", "abc"},
		{"exact", strings.Repeat("é", MaxTraceLen), strings.Repeat("é", MaxTraceLen), strings.Repeat("é", MaxTraceLen)},
		{"one more", "x" + strings.Repeat("é", MaxTraceLen), "x" + strings.Repeat("é", MaxTraceLen-1), strings.Repeat("é", MaxTraceLen)},
		{"four bytes each", strings.Repeat("😀", MaxTraceLen) + "z", strings.Repeat("😀", MaxTraceLen), strings.Repeat("😀", MaxTraceLen-1) + "z"},
		{"not UTF-8", strings.Repeat("\xff.", MaxTraceLen), strings.Repeat("\uFFFD.", MaxTraceLen/2), strings.Repeat("\uFFFD.", MaxTraceLen/2)},
	} {
		f := Footer{Error: tc.in, ErrorTraceback: tc.in}.Normalize()
		if f.Error != tc.wantError {
			t.Errorf("%s: error has %d characters: %.20q…", tc.name, utf8.RuneCountInString(f.Error), f.Error)
		}
		if f.ErrorTraceback != tc.wantTrace {
			t.Errorf("%s: error_traceback has %d characters: %.20q…", tc.name, utf8.RuneCountInString(f.ErrorTraceback), f.ErrorTraceback)
		}
	}
}

// What a codec writes by hand is what the libraries make of the struct, so that
// a shortcut for a type changes no byte.
func TestShortcutsWriteWhatTheLibrariesWrite(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := fullFooter()
		f.Error = rapid.String().Draw(r, "error")
		f.Status = Status(rapid.StringMatching(`[ -~]*`).Draw(r, "status"))
		f.PnlBps = rapid.Float64().Draw(r, "pnl")
		f.Seq = rapid.Int64().Draw(r, "seq")
		f.Claim = rapid.Uint64().Draw(r, "claim")
		f.SkipReasons = rapid.MapOf(rapid.StringN(0, 8, MaxReasonLen), rapid.Int64()).Draw(r, "skips")
		f.Unreported = rapid.SliceOf(rapid.String()).Draw(r, "unreported")
		f.Checkpoints = rapid.SliceOf(rapid.Map(rapid.SliceOfN(rapid.Int64(), checkpointColumns, checkpointColumns), func(n []int64) Checkpoint { return Checkpoint(n) })).Draw(r, "checkpoints")
		f = f.Normalize()
		want, err := json.Marshal(f)
		if err != nil {
			r.Fatal(err)
		}
		if got := mustJSON(t, f); !bytes.Equal(got, want) {
			r.Fatalf("JSON\n%s\nwant\n%s", got, want)
		}
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		e.SetCustomStructTag("json")
		if err := e.Encode(f); err != nil {
			r.Fatal(err)
		}
		if got := mustEncode(t, f); !bytes.Equal(got, b.Bytes()) {
			r.Fatalf("msgpack\n% x\nwant\n% x", got, b.Bytes())
		}
	})
}
