package bars

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// CanonicalFormat names the canonical content of a data set, whatever file
// it came from: BarBytes a bar, nothing before or between. A bar is its time
// as int64 UTC nanoseconds, then bid open, high, low, close, ask open, high,
// low, close and volume as float64, all little-endian, -0 written as 0.
const CanonicalFormat = "gx1-bars-v1"

// BarBytes is the canonical size of a bar.
const BarBytes = 8 + 9*8

// AppendCanonical appends the canonical content of bars to dst.
func AppendCanonical(dst []byte, bars []Bar) []byte {
	n := len(dst)
	dst = append(dst, make([]byte, len(bars)*BarBytes)...)
	for i := range bars {
		b := &bars[i]
		rec := (*[BarBytes]byte)(dst[n+i*BarBytes:])
		binary.LittleEndian.PutUint64(rec[0:], uint64(b.TimeNS))
		for j, v := range [9]float64{
			b.BidOpen, b.BidHigh, b.BidLow, b.BidClose,
			b.AskOpen, b.AskHigh, b.AskLow, b.AskClose, b.Volume,
		} {
			if v == 0 {
				v = 0 // -0 too
			}
			binary.LittleEndian.PutUint64(rec[8+8*j:], math.Float64bits(v))
		}
	}
	return dst
}

// ParseCanonical reads what AppendCanonical wrote; no bytes are no bars. The
// length must be a multiple of BarBytes. Values are taken as they are: what
// came over a bus is judged by its digest, a data set by Validate.
func ParseCanonical(content []byte) ([]Bar, error) {
	if len(content)%BarBytes != 0 {
		return nil, fmt.Errorf("reading canonical bars: %d bytes (want a multiple of %d)", len(content), BarBytes)
	}
	bars := make([]Bar, len(content)/BarBytes)
	for i := range bars {
		rec := (*[BarBytes]byte)(content[i*BarBytes:])
		at := func(j int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(rec[8+8*j:])) }
		bars[i] = Bar{
			TimeNS:  int64(binary.LittleEndian.Uint64(rec[0:])),
			BidOpen: at(0), BidHigh: at(1), BidLow: at(2), BidClose: at(3),
			AskOpen: at(4), AskHigh: at(5), AskLow: at(6), AskClose: at(7),
			Volume: at(8),
		}
	}
	return bars, nil
}

// Digest is the SHA-256 (hex) of the bars' canonical content: of the records
// alone, without a header, so that the digest of a data set is that of its
// slices' contents one after the other.
func Digest(bars []Bar) string {
	const block = 4096 // bars hashed at a time: 320 kB stays in the cache
	h := sha256.New()
	var buf []byte
	for len(bars) > 0 {
		n := min(block, len(bars))
		buf = AppendCanonical(buf[:0], bars[:n])
		h.Write(buf)
		bars = bars[n:]
	}
	return hex.EncodeToString(h.Sum(nil))
}
