package trade

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"gx1replay/internal/footer"
)

// minRecordBytes is the least a record can have: an expired signal. It bounds
// what a declared count may allocate.
const minRecordBytes = 1 + 1 + 1 + 8

// minClosedBytes is the least that a closed signal can have.
const minClosedBytes = minRecordBytes + 1 + 8 + 1 + 8 + 8 + 1 + 1 + 1 + 1 + 8 + 1

var (
	errPartCut   = errors.New("it ends within a record")
	errVarint    = errors.New("a varint is not in its shortest form or has more than 63 bits")
	errReason    = errors.New("an unknown reason, or one written out that has a code")
	errLeftFlags = errors.New("unknown flags of a left state")
)

// DecodeSignals joins the parts that artifact a, from a validated footer,
// lists, and gives the signals back, bit for bit as they were. All parts may
// also come in one piece, as in a file. Parts that are missing, too many, changed, or
// not what EncodeSignals makes are an error. It never panics, and allocates at
// most a multiple of the parts.
//
// The signals are sound and in order; whether they lie in their chunk is
// ValidateSignals' to say.
func DecodeSignals(a footer.Artifact, parts [][]byte) ([]Signal, error) {
	signals, err := decodeSignals(a, parts)
	if err != nil {
		return nil, fmt.Errorf("decoding the signals of artifact %.80q: %w", a.Name, err)
	}
	return signals, nil
}

func decodeSignals(a footer.Artifact, parts [][]byte) (signals []Signal, err error) {
	err = signalsForm.read(a, parts, func(b []byte) (rest []byte, err error) {
		signals, rest, err = decodePart(signals, b)
		return rest, err
	})
	if err != nil {
		return nil, err
	}
	return signals, nil
}

// decodePart appends the records of the part that b begins with, which follow
// those of signals, and returns what comes after it.
func decodePart(signals []Signal, b []byte) (all []Signal, rest []byte, err error) {
	n, err := signalsForm.count(b)
	if err != nil {
		return nil, nil, err
	}
	// Closed signals, the usual ones, are no more than this.
	signals = slices.Grow(signals, min(n, len(b)/minClosedBytes+1))
	d := partDecoder{b: b[partHeader:]}
	for range n {
		s := d.record()
		err := d.err
		if err == nil {
			err = s.check()
		}
		if err == nil && len(signals) > 0 {
			err = s.after(&signals[len(signals)-1])
		}
		if err != nil {
			return nil, nil, fmt.Errorf("signal %d: %w", len(signals), err)
		}
		d.bar, d.time = s.Bar, s.TimeNS
		signals = append(signals, s)
	}
	return signals, d.b, nil
}

// partDecoder reads records. After an error, which it keeps, it reads zeros.
type partDecoder struct {
	b    []byte
	err  error
	bar  int64
	time int64
}

func (d *partDecoder) record() Signal {
	s := Signal{EntryBar: NoBar, ExitBar: NoBar, MarkBar: NoBar, Side: Long}
	flags := d.byte()
	state := flags & flagState
	entered := state == stateOpen || state == stateClosed
	if flags >= flagSameBar<<1 || flags&flagSameBar != 0 && !entered {
		d.fail(fmt.Errorf("flags are %#x", flags))
	}
	if flags&flagShort != 0 {
		s.Side = Short
	}
	s.Expired, s.Open = state == stateExpired, state == stateOpen
	s.Bar = d.add(d.bar)
	s.TimeNS = d.time + d.signed()
	s.Score = d.float()
	if entered {
		s.EntryBar = s.Bar + 1
		if flags&flagSameBar != 0 {
			s.EntryBar = s.Bar
		}
		s.EntryTimeNS = s.TimeNS + d.signed()
		s.EntryPrice = d.float()
		s.BarsHeld = d.unsigned()
		s.MAEBps, s.MFEBps = d.float(), d.float()
		s.MAEBars, s.MFEBars = d.unsigned(), d.unsigned()
	}
	switch state {
	case stateClosed:
		s.ExitBar = d.add(s.EntryBar)
		s.ExitTimeNS = s.EntryTimeNS + d.signed()
		s.ExitPrice = d.float()
		s.ExitReason = d.reason()
	case stateOpen:
		s.MarkBar, s.MarkPrice = d.add(s.EntryBar), d.float()
	}
	if (state == stateOpen || state == statePending) && d.err == nil {
		s.Left = d.left()
	}
	return s
}

func (d *partDecoder) left() *State {
	l := &State{}
	bits, numbers, reasons := l.fields()
	flags := d.byte()
	if flags >= 1<<len(bits) {
		d.fail(errLeftFlags)
	}
	for i, on := range bits {
		*on = flags&(1<<i) != 0
	}
	for _, v := range numbers {
		*v = d.float()
	}
	for _, text := range reasons {
		*text = d.reason()
	}
	return l
}

func (d *partDecoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

// take is the next n bytes, or nil after a failure.
func (d *partDecoder) take(n int) []byte {
	if len(d.b) < n {
		d.fail(errPartCut)
		return nil
	}
	x := d.b[:n]
	d.b = d.b[n:]
	return x
}

func (d *partDecoder) byte() byte {
	if x := d.take(1); x != nil {
		return x[0]
	}
	return 0
}

func (d *partDecoder) float() float64 {
	if x := d.take(8); x != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(x))
	}
	return 0
}

func (d *partDecoder) unsigned() int64 {
	v, n := binary.Uvarint(d.b)
	d.varint(n, v > math.MaxInt64)
	return int64(v)
}

func (d *partDecoder) signed() int64 {
	v, n := binary.Varint(d.b)
	d.varint(n, false)
	return v
}

// varint passes over a varint of n bytes, as encoding/binary counts them.
func (d *partDecoder) varint(n int, tooLarge bool) {
	switch {
	case n == 0:
		d.fail(errPartCut)
	case n < 0 || tooLarge || n > 1 && d.b[n-1] == 0:
		d.fail(errVarint)
	default:
		d.b = d.b[n:]
	}
}

// add is a bar that is given by its distance from base.
func (d *partDecoder) add(base int64) int64 {
	v := d.unsigned()
	if v >= maxBar {
		d.fail(fmt.Errorf("a bar is %d after another (want less than 2^48)", v))
		return 0
	}
	return base + v
}

func (d *partDecoder) reason() string {
	code := d.byte()
	if int(code) < len(reasonCodes) {
		return reasonCodes[code]
	}
	if code != reasonText {
		d.fail(errReason)
		return ""
	}
	text := string(d.take(int(d.byte())))
	if slices.Contains(reasonCodes[:], text) {
		d.fail(errReason)
	}
	return text
}
