package trade

import (
	"encoding/binary"
	"fmt"
	"math"

	"gx1replay/internal/footer"
)

const (
	// ArtifactName is the name under which a chunk's footer lists its signals.
	ArtifactName = "signals"
	// OwnTradesName is that of the trades that a user's command has made by
	// itself: CSV, as it wrote it.
	OwnTradesName = "trades.csv"
)

// The form of signals is binary and our own, because there may be millions: a
// closed signal takes about 70 bytes (as msgpack with names 330), floats keep
// their bits, what a state does not have has no place, and equal signals are
// equal bytes. Numbers in brackets are bytes; u is an unsigned, z a signed
// varint (encoding/binary), in their shortest form; f is a float64, its bits
// little-endian.
//
//	part    "gx1s" version[1] count[4, little-endian] record…
//	record  flags[1] bar(u) time(z) score(f) entry? exit? mark? left?
//	        bar and time are distances to the record before in the part; the
//	        first one's are to 0
//	flags   bits 0-1: 0 pending, 1 expired, 2 open, 3 closed; bit 2: short;
//	        bit 3: the entry bar is the signal's (else the next); no others
//	entry   open, closed: time(z, from the signal's) price(f) bars_held(u)
//	        mae_bps(f) mfe_bps(f) mae_bars(u) mfe_bars(u)
//	exit    closed: bar(u, from the entry's) time(z, from the entry's)
//	        price(f) reason
//	mark    open: bar(u, from the entry's) price(f)
//	left    pending, open: flags[1] (bit 0: trailing on, bit 1: RULE A on)
//	        close_price(f) stop(f) best(f) rule_a_best(f) stop_reason exit
//	reason  index[1] into reasonCodes; or 255, length[1] and text
var signalsForm = partForm{word: "gx1s", version: 1, record: "signal", least: minRecordBytes}

const (
	flagState   = 3
	flagShort   = 1 << 2
	flagSameBar = 1 << 3

	statePending = 0
	stateExpired = 1
	stateOpen    = 2
	stateClosed  = 3

	reasonText = 255
)

// EncodeSignals returns the parts that hold signals, at least one and each of
// at most MaxPartBytes, and the artifact that a footer lists for them: name,
// the size and SHA-256 of all parts in order, their number. Signals that are
// not sound, or not in rising order of bars, are an error.
func EncodeSignals(name string, signals []Signal) (footer.Artifact, [][]byte, error) {
	var parts [][]byte
	e := newPart(len(signals))
	for i := range signals {
		s := &signals[i]
		err := s.check()
		if err == nil && i > 0 {
			err = s.after(&signals[i-1])
		}
		if err != nil {
			return footer.Artifact{}, nil, fmt.Errorf("encoding signal %d (bar %d): %w", i, s.Bar, err)
		}
		size := len(e.b)
		e.record(s)
		if len(e.b) > MaxPartBytes {
			e.b = e.b[:size]
			parts = append(parts, e.b)
			e = newPart(len(signals) - i)
			e.record(s)
		}
		e.end(s)
	}
	parts = append(parts, e.b)
	a, err := signalsForm.list(name, parts)
	if err != nil {
		return footer.Artifact{}, nil, fmt.Errorf("encoding %d signals: %w", len(signals), err)
	}
	return a, parts, nil
}

// partEncoder builds one part.
type partEncoder struct {
	b    []byte
	n    uint32
	bar  int64 // of the record before
	time int64
}

func newPart(signals int) partEncoder { return partEncoder{b: signalsForm.header(96 * signals)} }

// end counts the record of s, once it stays in the part.
func (e *partEncoder) end(s *Signal) {
	e.bar, e.time = s.Bar, s.TimeNS
	e.n++
	setCount(e.b, e.n)
}

func (e *partEncoder) record(s *Signal) {
	var flags byte
	switch {
	case s.Expired:
		flags = stateExpired
	case s.Open:
		flags = stateOpen
	case s.Closed():
		flags = stateClosed
	}
	if s.Side == Short {
		flags |= flagShort
	}
	if s.EntryBar == s.Bar {
		flags |= flagSameBar
	}
	e.b = append(e.b, flags)
	e.unsigned(s.Bar - e.bar)
	e.signed(s.TimeNS - e.time) // may wrap, and wraps back
	e.float(s.Score)
	if s.Open || s.Closed() {
		e.signed(s.EntryTimeNS - s.TimeNS)
		e.float(s.EntryPrice)
		e.unsigned(s.BarsHeld)
		e.float(s.MAEBps)
		e.float(s.MFEBps)
		e.unsigned(s.MAEBars)
		e.unsigned(s.MFEBars)
	}
	if s.Closed() {
		e.unsigned(s.ExitBar - s.EntryBar)
		e.signed(s.ExitTimeNS - s.EntryTimeNS)
		e.float(s.ExitPrice)
		e.reason(s.ExitReason)
	}
	if s.Open {
		e.unsigned(s.MarkBar - s.EntryBar)
		e.float(s.MarkPrice)
	}
	if s.Left != nil {
		e.left(s.Left)
	}
}

func (e *partEncoder) left(l *State) {
	bits, numbers, reasons := l.fields()
	var flags byte
	for i, on := range bits {
		if *on {
			flags |= 1 << i
		}
	}
	e.b = append(e.b, flags)
	for _, v := range numbers {
		e.float(*v)
	}
	for _, text := range reasons {
		e.reason(*text)
	}
}

func (e *partEncoder) unsigned(v int64) { e.b = binary.AppendUvarint(e.b, uint64(v)) }
func (e *partEncoder) signed(v int64)   { e.b = binary.AppendVarint(e.b, v) }
func (e *partEncoder) float(v float64) {
	e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(v))
}

func (e *partEncoder) reason(text string) {
	for code, known := range reasonCodes {
		if text == known {
			e.b = append(e.b, byte(code))
			return
		}
	}
	e.b = append(e.b, reasonText, byte(len(text)))
	e.b = append(e.b, text...)
}
