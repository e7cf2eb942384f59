package footer

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// same reports whether a and b are one footer to everybody who reads it.
func same(a, b Footer) bool { return a.digest() == b.digest() }

func TestInvariant1_PickIsCommutativeAssociativeIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := smallFooter().Draw(t, "a"), smallFooter().Draw(t, "b"), smallFooter().Draw(t, "c")
		if !same(Pick(a, a), a) {
			t.Fatal("Pick(a, a) is not a")
		}
		if !same(Pick(a, b), Pick(b, a)) {
			t.Fatal("Pick(a, b) is not Pick(b, a)")
		}
		if !same(Pick(Pick(a, b), c), Pick(a, Pick(b, c))) {
			t.Fatal("Pick depends on how it is grouped")
		}
		if p := Pick(a, b); !same(p, a) && !same(p, b) {
			t.Fatal("Pick made up a footer")
		}
	})
}

// Outranks is a strict total order of footers that differ.
func TestInvariant1_OutranksIsAStrictOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := smallFooter().Draw(t, "a"), smallFooter().Draw(t, "b"), smallFooter().Draw(t, "c")
		if Outranks(a, a) {
			t.Fatal("a outranks itself")
		}
		if ab, ba := Outranks(a, b), Outranks(b, a); same(a, b) == (ab || ba) || ab && ba {
			t.Fatalf("same %v, a outranks b %v, b outranks a %v", same(a, b), ab, ba)
		}
		if Outranks(a, b) && Outranks(b, c) && !Outranks(a, c) {
			t.Fatal("not transitive")
		}
	})
}

// Any order and any repetition of any footers leaves the same one.
func TestInvariant1_PickOfAnyMultiset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(smallFooter(), 1, 8).Draw(t, "footers")
		seed := rapid.Uint64().Draw(t, "seed")
		rnd := rand.New(rand.NewPCG(seed, 1))
		want := all[0]
		for _, f := range all[1:] {
			want = Pick(want, f)
		}
		for range 4 {
			heard := append([]Footer(nil), all...)
			for range rnd.IntN(4) {
				heard = append(heard, all[rnd.IntN(len(all))])
			}
			rnd.Shuffle(len(heard), func(i, j int) { heard[i], heard[j] = heard[j], heard[i] })
			got := heard[0]
			for _, f := range heard[1:] {
				got = Pick(f, got)
			}
			if !same(got, want) {
				t.Fatalf("heard in another order: %+v, want %+v", got, want)
			}
		}
	})
}

func TestPickRanks(t *testing.T) {
	base := Footer{Status: StatusPartial, BarsProcessed: 5, Attempt: 2, Seq: 7}
	with := func(change func(*Footer)) Footer {
		f := base
		change(&f)
		return f
	}
	for _, tc := range []struct {
		name        string
		wins, loses Footer
	}{
		{"ok before bars", with(func(f *Footer) { f.Status, f.Final, f.BarsProcessed = StatusOK, true, 0 }), with(func(f *Footer) { f.BarsProcessed = 100 })},
		{"ok that is not final is none", with(func(f *Footer) { f.BarsProcessed = 6 }), with(func(f *Footer) { f.Status = StatusOK })},
		{"final that is not ok is none", with(func(f *Footer) { f.BarsProcessed = 6 }), with(func(f *Footer) { f.Final = true })},
		{"bars before attempt", with(func(f *Footer) { f.BarsProcessed = 6 }), with(func(f *Footer) { f.Attempt = 9 })},
		{"attempt before seq", with(func(f *Footer) { f.Attempt = 3 }), with(func(f *Footer) { f.Seq = 99 })},
		{"seq", with(func(f *Footer) { f.Seq = 8 }), base},
		{"among ok ones, too", with(func(f *Footer) { f.Status, f.Final, f.Attempt = StatusOK, true, 3 }), with(func(f *Footer) { f.Status, f.Final = StatusOK, true })},
	} {
		if !same(Pick(tc.wins, tc.loses), tc.wins) || !same(Pick(tc.loses, tc.wins), tc.wins) {
			t.Errorf("%s: the other one speaks", tc.name)
		}
	}
}

// Where all else is equal, the smaller SHA-256 of the bytes that Encode
// writes decides.
func TestPickDigestTieBreak(t *testing.T) {
	a, b := soundFooter(), soundFooter()
	b.Host = "another"
	da, db := sha256.Sum256(mustEncode(t, a)), sha256.Sum256(mustEncode(t, b))
	want := a
	if bytes.Compare(db[:], da[:]) < 0 {
		want = b
	}
	if !same(Pick(a, b), want) || !same(Pick(b, a), want) {
		t.Errorf("the footer of host %q speaks, want %q", Pick(a, b).Host, want.Host)
	}
	if same(a, b) {
		t.Error("the two are the same; nothing was decided")
	}
}

// A footer too large for Encode still has a place of its own.
func TestPickIsTotalOverOversizeFooters(t *testing.T) {
	a := Footer{Checkpoints: make([]Checkpoint, MaxCheckpoints+1)}
	b := a
	b.Host = "another"
	if _, err := a.Encode(); err == nil {
		t.Fatal("it can be encoded")
	}
	if !same(Pick(a, b), Pick(b, a)) {
		t.Error("Pick(a, b) is not Pick(b, a)")
	}
	if same(a, b) {
		t.Error("two footers have one digest")
	}
}
