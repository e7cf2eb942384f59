package footer

import (
	"bytes"
	"crypto/sha256"
)

// IsOK reports whether f is the final footer of a chunk that was done.
func (f Footer) IsOK() bool { return f.Final && f.Status == StatusOK }

// Pick returns the one of a and b that speaks for their chunk: an ok footer
// first; else the one with more bars processed, then the higher attempt, then
// the higher seq, then the smaller SHA-256 of the encoded bytes. So any order
// and any repetition of footers gives the same one.
func Pick(a, b Footer) Footer {
	if Outranks(b, a) {
		return b
	}
	return a
}

// Outranks reports whether Pick prefers a to b, whatever their order. Equal
// footers do not outrank each other.
func Outranks(a, b Footer) bool {
	switch {
	case a.IsOK() != b.IsOK():
		return a.IsOK()
	case a.BarsProcessed != b.BarsProcessed:
		return a.BarsProcessed > b.BarsProcessed
	case a.Attempt != b.Attempt:
		return a.Attempt > b.Attempt
	case a.Seq != b.Seq:
		return a.Seq > b.Seq
	}
	da, db := a.digest(), b.digest()
	return bytes.Compare(da[:], db[:]) < 0
}

// digest is over the encoded bytes, also of a footer too large for Encode, so
// that Pick is total. The zero digest stands for one that msgpack cannot
// write, of which there is none.
func (f Footer) digest() [sha256.Size]byte {
	b, err := f.Normalize().pack()
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(b)
}
