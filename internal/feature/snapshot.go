package feature

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The format of a state, little-endian, version 1:
//
//	offset  size
//	     0     4  "GX1F"
//	     4     1  version, 1
//	     5     1  parts: bit 0 EMA20, 1 EMA100, 2 EMA200, 3 H1, 4 H4
//	     6     8  bars seen, n ≥ 0
//	    14     8  opening time of bar n-1, ns since 1970 UTC
//	    22     8  mid close of bar n-1, float64
//	    30        the parts, in the order of their bits: an EMA is 8 bytes, its
//	              value at bar n-1; H1 and H4 are 24: completed bars, EMA12 and
//	              EMA26 of their closes
//
// With n = 0, and of an H1 or H4 trend without a completed bar, everything is
// 0. The bar of H1 or H4 that is forming follows from the time and the close.
const (
	stateMagic   = "GX1F"
	stateVersion = 1
	stateHead    = 30
	emaSize      = 8
	higherSize   = 24

	// MaxStateSize is the length in bytes of the longest state.
	MaxStateSize = stateHead + 3*emaSize + 2*higherSize
)

// ErrState marks bytes that are no state of the set.
var ErrState = errors.New("feature state")

// AppendState appends the state of what is recursive, after the last bar, to
// dst: at most MaxStateSize bytes, the same bytes for the same bars and
// features in whatever order these are named.
func (s *Set) AppendState(dst []byte) []byte {
	st := &s.state
	dst = append(dst, stateMagic...)
	dst = append(dst, stateVersion, st.parts())
	dst = binary.LittleEndian.AppendUint64(dst, uint64(st.seen))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(st.timeNS))
	dst = appendFloat(dst, st.close)
	for _, m := range st.emas() {
		if m.used() {
			dst = appendFloat(dst, m.y)
		}
	}
	for _, h := range st.highers() {
		if h.period != 0 {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(h.completed))
			dst = appendFloat(dst, h.fast.y)
			dst = appendFloat(dst, h.slow.y)
		}
	}
	return dst
}

// LoadState puts the set to where another set of features with the same
// recursive parts was when it appended data. The next bar to push or to skip
// is the one with the index Seen. Everything else that the set knew is
// forgotten. An error matches ErrState and leaves the set as it was. Later
// versions of the format are refused.
func (s *Set) LoadState(data []byte) error {
	next, err := s.state.decode(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	st := &s.state
	st.forget()
	s.at, st.block, st.session[0] = 0, nil, 0
	st.seen, st.timeNS, st.close = next.seen, next.timeNS, next.close
	for i, m := range st.emas() {
		*m = *next.emas()[i]
	}
	for i, h := range st.highers() {
		*h = *next.highers()[i]
	}
	return nil
}

func appendFloat(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

func (s *state) emas() [3]*ema {
	return [3]*ema{&s.ema20.ema, &s.ema100.ema, &s.ema200.ema}
}

func (s *state) highers() [2]*higher { return [2]*higher{&s.h1.higher, &s.h4.higher} }

func (s *state) parts() (mask byte) {
	for i, m := range s.emas() {
		if m.used() {
			mask |= 1 << i
		}
	}
	for i, h := range s.highers() {
		if h.period != 0 {
			mask |= 1 << (3 + i)
		}
	}
	return mask
}

// decode reads a state of the same parts as s. Of what it returns only the
// recursive part is set.
func (s *state) decode(data []byte) (next state, err error) {
	if len(data) < stateHead || string(data[:len(stateMagic)]) != stateMagic {
		return next, fmt.Errorf("%d bytes that do not start as a state does (want %q and %d or more)", len(data), stateMagic, stateHead)
	}
	if v := data[4]; v != stateVersion {
		return next, fmt.Errorf("version %d (want %d)", v, stateVersion)
	}
	if p := data[5]; p != s.parts() {
		return next, fmt.Errorf("parts %05b (want %05b: the features differ)", p, s.parts())
	}
	r := stateReader{data: data[6:]}
	next.seen = r.count("bars seen", math.MaxInt64)
	next.timeNS = int64(r.word())
	next.close = r.price("close", next.seen)
	for i, m := range s.emas() {
		if m.used() {
			to := next.emas()[i]
			*to = *m
			to.y = r.price("EMA", next.seen)
		}
	}
	for i, h := range s.highers() {
		if h.period == 0 {
			continue
		}
		to := next.highers()[i]
		*to = *h
		to.completed = r.count("completed bars", max(0, next.seen-1))
		to.fast.y = r.price("EMA of completed bars", to.completed)
		to.slow.y = r.price("EMA of completed bars", to.completed)
		to.end = 0
		if next.seen > 0 {
			to.end = periodEnd(next.timeNS, to.period)
		}
	}
	if next.seen == 0 && next.timeNS != 0 {
		r.fail("a time of %d without a bar (want 0)", next.timeNS)
	}
	if r.err == nil && len(r.data) > 0 {
		r.fail("%d bytes too many", len(r.data))
	}
	return next, r.err
}

// stateReader takes words off the front of a state. After its first error it
// gives zeros.
type stateReader struct {
	data []byte
	err  error
}

func (r *stateReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *stateReader) word() uint64 {
	if len(r.data) < 8 {
		r.fail("it ends too early")
		r.data = nil
		return 0
	}
	v := binary.LittleEndian.Uint64(r.data)
	r.data = r.data[8:]
	return v
}

func (r *stateReader) count(what string, most int64) int64 {
	v := r.word()
	if v > uint64(most) {
		r.fail("%s: %d (want 0 to %d)", what, v, most)
		return 0
	}
	return int64(v)
}

// price reads a number that is a price if it is made of bars, else 0.
func (r *stateReader) price(what string, bars int64) float64 {
	v := math.Float64frombits(r.word())
	switch {
	case bars == 0 && math.Float64bits(v) != 0:
		r.fail("%s: %v without a bar (want 0)", what, v)
	case bars > 0 && !(v > 0 && v <= math.MaxFloat64):
		r.fail("%s: %v is no price (want a finite number above 0)", what, v)
	}
	return v
}
