package trade

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"

	"pgregory.net/rapid"
)

// artifactOf lists parts as an honest sender would.
func artifactOf(parts ...[]byte) footer.Artifact {
	whole := bytes.Join(parts, nil)
	sum := sha256.Sum256(whole)
	return footer.Artifact{Name: "signals", Bytes: int64(len(whole)), SHA256: hex.EncodeToString(sum[:]), Parts: len(parts)}
}

func encode(t testing.TB, signals []Signal) (footer.Artifact, [][]byte) {
	t.Helper()
	a, parts, err := EncodeSignals("signals", signals)
	if err != nil {
		t.Fatal(err)
	}
	return a, parts
}

// What a follower left, in any state, comes back as it was, and is valid.
func TestSignalsSurviveCoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, x := drawRules(t), drawBars(t)
		signals := followEach(&r, x, drawSides(t, len(x)), rapid.IntRange(0, 12).Draw(t, "most"))
		if err := ValidateSignals(signals, run.BarRange{End: int64(len(x))}, int64(len(x))); err != nil {
			t.Fatal(err)
		}
		a, parts, err := EncodeSignals("signals", signals)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeSignals(a, parts)
		if err != nil {
			t.Fatal(err)
		}
		if len(back) != len(signals) || len(back) > 0 && !reflect.DeepEqual(back, signals) {
			t.Fatalf("came back as %+v\nwere %+v", back, signals)
		}
		if _, again, err := EncodeSignals("signals", back); err != nil || !reflect.DeepEqual(again, parts) {
			t.Fatalf("encoded anew they differ (%v)", err)
		}
	})
}

func TestSignalsGolden(t *testing.T) {
	_, parts := encode(t, fixture())
	if len(parts) != 1 {
		t.Fatalf("%d parts", len(parts))
	}
	golden(t, "signals.hex", []byte(hex.Dump(parts[0])))
}

// Floats keep their bits, extreme numbers their value.
func TestSignalsKeepExactBits(t *testing.T) {
	s := fixture()[0]
	s.Score, s.MAEBps, s.MAEBars = math.SmallestNonzeroFloat64, math.Copysign(0, -1), 0
	s.EntryPrice, s.ExitPrice = math.Nextafter(1, 2), math.Nextafter(1, 0)
	s.TimeNS, s.EntryTimeNS, s.ExitTimeNS = math.MinInt64, math.MinInt64, math.MaxInt64
	a, parts := encode(t, []Signal{s})
	back, err := DecodeSignals(a, parts)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back[0], s) || !math.Signbit(back[0].MAEBps) {
		t.Errorf("got %+v, want %+v", back[0], s)
	}
}

// manySignals is enough for three parts.
func manySignals() []Signal {
	out := make([]Signal, 0, 20_000)
	for i := range int64(cap(out)) {
		s := closed(2*i, 7, Long, 5, -3, 5, ExitTarget)
		if i%3 == 0 {
			s.ExitReason = "REPLAY_EOF"
		}
		out = append(out, s)
	}
	return out
}

func TestSignalsInParts(t *testing.T) {
	signals := manySignals()
	a, parts := encode(t, signals)
	if len(parts) < 3 || a.Parts != len(parts) {
		t.Fatalf("%d parts, %d listed (want at least 3)", len(parts), a.Parts)
	}
	for i, p := range parts {
		if len(p) > MaxPartBytes || i < len(parts)-1 && len(p) < MaxPartBytes-512 {
			t.Errorf("part %d has %d bytes", i, len(p))
		}
	}
	if a != artifactOf(parts...) {
		t.Errorf("artifact %+v, want %+v", a, artifactOf(parts...))
	}
	t.Logf("%.1f bytes a closed signal", float64(a.Bytes)/float64(len(signals)))
	back, err := DecodeSignals(a, parts)
	if err != nil || !reflect.DeepEqual(back, signals) {
		t.Fatalf("%d came back of %d: %v", len(back), len(signals), err)
	}

	swapped := [][]byte{parts[1], parts[0], parts[2]}
	changed := slices.Clone(parts)
	changed[1] = bytes.Clone(parts[1])
	changed[1][100] ^= 1
	longer := a
	longer.Bytes++
	if back, err := DecodeSignals(a, [][]byte{slices.Concat(parts...)}); err != nil || !reflect.DeepEqual(back, signals) {
		t.Fatalf("in one piece %d came back of %d: %v", len(back), len(signals), err)
	}
	// One part of two: what the second's first record counts from 0 is then
	// counted from the last of the first, which is as good.
	count := func(p []byte) uint32 { return binary.LittleEndian.Uint32(p[partHeader-4:]) }
	large := slices.Concat(parts[0], parts[1][partHeader:])
	binary.LittleEndian.PutUint32(large[partHeader-4:], count(parts[0])+count(parts[1]))
	for _, c := range []struct {
		name  string
		a     footer.Artifact
		parts [][]byte
		want  string
	}{
		{"one is missing", a, parts[:2], "2 parts are there, 3 are listed"},
		{"one too many", a, append(slices.Clone(parts), parts[0]), "4 parts are there, 3 are listed"},
		{"none", footer.Artifact{}, nil, "0 parts are there"},
		{"a wrong size", longer, parts, "the footer lists"},
		{"out of place", a, swapped, "SHA-256"},
		{"a bit changed", a, changed, "SHA-256"},
		{"out of place and listed so", artifactOf(swapped...), swapped, "want rising bars"},
		{"too large", artifactOf(large), [][]byte{large}, "at most 524288"},
	} {
		if _, err := DecodeSignals(c.a, c.parts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v (want one with %q)", c.name, err, c.want)
		}
	}
}

func TestNoSignalsAreOnePart(t *testing.T) {
	a, parts := encode(t, nil)
	if len(parts) != 1 || a.Parts != 1 || a.Bytes == 0 {
		t.Fatalf("%d parts, artifact %+v", len(parts), a)
	}
	if back, err := DecodeSignals(a, parts); err != nil || len(back) != 0 {
		t.Fatalf("%v, %v", back, err)
	}
}

func TestEncodeRefusesWhatItCannotKeep(t *testing.T) {
	good := fixture()
	if _, _, err := EncodeSignals("signals", []Signal{good[1], good[0]}); err == nil || !strings.Contains(err.Error(), "want rising bars") {
		t.Errorf("out of order: %v", err)
	}
	bad := good[0]
	bad.MarkPrice = 1
	if _, _, err := EncodeSignals("signals", []Signal{bad}); err == nil || !strings.Contains(err.Error(), "encoding signal 0 (bar 10)") {
		t.Errorf("a mark on a closed trade: %v", err)
	}
}

// Each damage is listed with the digest it has: what a wrong sender could do.
func TestDecodeRefusesDamage(t *testing.T) {
	_, parts := encode(t, fixture())
	whole := parts[0]
	// The first record begins with its flags, the bar 10, the time.
	const flags, bar = 9, 10
	at := func(i int, b byte) []byte {
		x := bytes.Clone(whole)
		x[i] = b
		return x
	}
	splice := func(i int, drop int, b ...byte) []byte { return slices.Concat(whole[:i], b, whole[i+drop:]) }
	reason := bytes.Index(whole, []byte("\xff\x0fa \"own\"")) // 255, 15, text
	if reason < 0 {
		t.Fatal("the fixture's own reason is not where it was")
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "does not begin with"},
		{"other magic", at(0, 'x'), "does not begin with"},
		{"other version", at(4, 2), "its version is 2 (want 1)"},
		{"more signals than bytes", at(8, 0xff), "declares 4278190089 signals"},
		{"more signals than there are", at(5, 10), "signal 9: it ends within a record"},
		{"fewer signals than there are", at(5, 8), "bytes follow the last signal"},
		{"cut", whole[:len(whole)-1], "it ends within a record"},
		{"unknown flags", at(flags, 0x13), "flags are 0x13"},
		{"same bar without entry", at(flags, flagSameBar|stateExpired), "flags are 0x9"},
		{"a long varint", splice(bar, 1, 0x8a, 0x00), "shortest form"},
		{"a varint of 64 bits", splice(bar, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "shortest form"},
		{"a bar too far", splice(bar, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "less than 2^48"},
		{"an unknown reason", at(reason, 200), "an unknown reason"},
		{"a known reason written out", splice(reason, 17, append([]byte{255, 4}, "stop"...)...), "an unknown reason, or one written out"},
		{"unknown flags of a left state", at(len(whole)-2-4*8-1, 4), "unknown flags of a left state"},
	} {
		_, err := DecodeSignals(artifactOf(c.b), [][]byte{c.b})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v (want one with %q)", c.name, err, c.want)
		}
	}
}

func FuzzDecodeSignals(f *testing.F) {
	_, parts, err := EncodeSignals("signals", fixture())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(parts[0])
	_, parts, err = EncodeSignals("signals", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(parts[0])
	f.Add([]byte("gx1s\x01\xff\xff\xff\xff"))
	sessions := testSessions(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		signals, err := DecodeSignals(artifactOf(b), [][]byte{b})
		if err != nil {
			return
		}
		// One form for equal signals.
		_, again, err := EncodeSignals("signals", signals)
		if err != nil || len(again) != 1 || !bytes.Equal(again[0], b) {
			t.Fatalf("decoded and encoded anew it differs: %v", err)
		}
		// What passed is fit for files.
		for i := range signals {
			if s := &signals[i]; s.Closed() {
				if _, err := NewRow(s, sessions, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkEncodeSignals(b *testing.B) {
	signals := manySignals()
	for b.Loop() {
		if _, _, err := EncodeSignals("signals", signals); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(signals)), "ns/signal")
}

func BenchmarkDecodeSignals(b *testing.B) {
	a, parts := encode(b, manySignals())
	for b.Loop() {
		if _, err := DecodeSignals(a, parts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*20_000), "ns/signal")
}
