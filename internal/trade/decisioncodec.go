package trade

import (
	"encoding/binary"
	"fmt"
	"math"

	"gx1replay/internal/footer"
)

// DecisionsName is the name under which a chunk's footer lists its decisions.
const DecisionsName = "decisions"

// The form of decisions is one record a bar, in order, without a gap:
//
//	record  code[1] score?
//	code    bits 0-6: the Decision; bit 7: its side is short
//	score   where the decision has one: a float64 of 0 to 1, its bits
//	        little-endian
var decisionsForm = partForm{word: "gx1d", version: 1, record: "decision", least: 1}

// EncodeDecisions returns the parts that hold d, at least one and each of at
// most MaxPartBytes, and the artifact that a footer lists for them, as
// EncodeSignals does. A decision that there is not, or a score that is no
// probability, is an error.
func EncodeDecisions(name string, d *Decisions) (footer.Artifact, [][]byte, error) {
	var parts [][]byte
	var n uint32
	room := len(d.codes) + 8*len(d.scores)
	b := decisionsForm.header(room)
	scores := d.scores
	for i, code := range d.codes {
		err := checkCode(code)
		if err == nil && Decision(code&^codeShort).HasScore() {
			err = checkScore(scores[0])
		}
		if err != nil {
			return footer.Artifact{}, nil, fmt.Errorf("encoding decision %d: %w", i, err)
		}
		if len(b)+1+8 > MaxPartBytes {
			setCount(b, n)
			parts = append(parts, b)
			b, n = decisionsForm.header(room), 0
		}
		b = append(b, code)
		if Decision(code &^ codeShort).HasScore() {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(scores[0]))
			scores = scores[1:]
		}
		n++
	}
	setCount(b, n)
	parts = append(parts, b)
	a, err := decisionsForm.list(name, parts)
	if err != nil {
		return footer.Artifact{}, nil, fmt.Errorf("encoding %d decisions: %w", d.Len(), err)
	}
	return a, parts, nil
}

// DecodeDecisions joins the parts that artifact a, from a validated footer,
// lists, and gives the decisions back, bit for bit as they were. All parts may
// also come in one piece, as in a file. Parts that are missing, too many,
// changed, or not what EncodeDecisions makes are an error. It never panics, and
// allocates at most a multiple of the parts.
//
// Whether they are what their footer counts is Check's to say.
func DecodeDecisions(a footer.Artifact, parts [][]byte) (Decisions, error) {
	var d Decisions
	if err := decisionsForm.read(a, parts, d.decodePart); err != nil {
		return Decisions{}, fmt.Errorf("decoding the decisions of artifact %.80q: %w", a.Name, err)
	}
	return d, nil
}

// decodePart appends the records of the part that b begins with and returns
// what comes after it.
func (d *Decisions) decodePart(b []byte) (rest []byte, err error) {
	n, err := decisionsForm.count(b)
	if err != nil {
		return nil, err
	}
	b = b[partHeader:]
	for range n {
		if len(b) == 0 {
			return nil, errPartCut
		}
		code := b[0]
		b = b[1:]
		if err := checkCode(code); err != nil {
			return nil, fmt.Errorf("decision %d: %w", d.Len(), err)
		}
		if Decision(code &^ codeShort).HasScore() {
			if len(b) < 8 {
				return nil, errPartCut
			}
			score := math.Float64frombits(binary.LittleEndian.Uint64(b))
			if err := checkScore(score); err != nil {
				return nil, fmt.Errorf("decision %d: %w", d.Len(), err)
			}
			d.scores = append(d.scores, score)
			b = b[8:]
		}
		d.codes = append(d.codes, code)
	}
	return b, nil
}

func checkCode(code byte) error {
	d := Decision(code &^ codeShort)
	if d >= decisions || code&codeShort != 0 && !d.HasSide() {
		return fmt.Errorf("its code is %#x (want 0 to %d, and a side only where there is one)", code, decisions-1)
	}
	return nil
}

func checkScore(score float64) error {
	if !(score >= 0 && score <= 1) {
		return fmt.Errorf("its score is %v (want a probability)", score)
	}
	return nil
}
