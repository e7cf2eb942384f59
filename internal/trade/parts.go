package trade

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"gx1replay/internal/footer"
)

// What a chunk leaves beside its footer travels and rests as parts, each of
// which can be read by itself. A part begins with a word of four letters, its
// version[1] and the number of its records[4, little-endian].
const (
	partWord   = 4
	partHeader = partWord + 1 + 4

	// MaxPartBytes bounds a part: half of what a NATS server takes as one
	// message by default.
	MaxPartBytes = 512 << 10
	// MaxParts bounds the parts of one artifact: 2 GiB.
	MaxParts = 4096
)

// partForm is the kind of parts that an artifact has.
type partForm struct {
	word    string // its first letters
	version byte
	record  string // what one of them is called
	least   int    // bytes of the smallest one
}

// header begins a part, for which there is room for that many bytes of
// records.
func (f partForm) header(room int) []byte {
	b := make([]byte, partHeader, min(MaxPartBytes+512, partHeader+room))
	copy(b, f.word)
	b[partWord] = f.version
	return b
}

// setCount writes the number of records of part p.
func setCount(p []byte, n uint32) { binary.LittleEndian.PutUint32(p[partHeader-4:], n) }

// count reads the header of part p, and bounds the records that it declares by
// its bytes.
func (f partForm) count(p []byte) (int, error) {
	if len(p) < partHeader || string(p[:partWord]) != f.word {
		return 0, fmt.Errorf("it does not begin with %q and a header", f.word)
	}
	if v := p[partWord]; v != f.version {
		return 0, fmt.Errorf("its version is %d (want %d)", v, f.version)
	}
	n := binary.LittleEndian.Uint32(p[partHeader-4:])
	if int64(n)*int64(f.least) > int64(len(p)-partHeader) {
		return 0, fmt.Errorf("it declares %d %ss and has %d bytes for them", n, f.record, len(p)-partHeader)
	}
	return int(n), nil
}

// list is the artifact that parts are.
func (f partForm) list(name string, parts [][]byte) (footer.Artifact, error) {
	if len(parts) > MaxParts {
		return footer.Artifact{}, fmt.Errorf("they make %d parts (at most %d)", len(parts), MaxParts)
	}
	a := footer.Artifact{Name: name, Parts: len(parts)}
	sum := sha256.New()
	for _, p := range parts {
		a.Bytes += int64(len(p))
		sum.Write(p)
	}
	a.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return a, nil
}

// read holds parts, which may have come in one piece, against artifact a, and
// gives each of them to decode, which returns the bytes that follow it.
func (f partForm) read(a footer.Artifact, parts [][]byte, decode func(b []byte) (rest []byte, err error)) error {
	onePiece := len(parts) == 1
	if len(parts) != a.Parts && !onePiece || a.Parts < 1 || a.Parts > MaxParts {
		return fmt.Errorf("%d parts are there, %d are listed (want as many, 1 to %d)", len(parts), a.Parts, MaxParts)
	}
	var size int64
	sum := sha256.New()
	for _, p := range parts {
		size += int64(len(p))
		sum.Write(p)
	}
	if size != a.Bytes {
		return fmt.Errorf("the parts have %d bytes, the footer lists %d", size, a.Bytes)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("the parts have SHA-256 %s, the footer lists %.80q", got, a.SHA256)
	}
	rest := parts[0]
	for n := range a.Parts {
		if n > 0 && !onePiece {
			rest = parts[n]
		}
		before := len(rest)
		var err error
		if rest, err = decode(rest); err == nil {
			if size := before - len(rest); size > MaxPartBytes {
				err = fmt.Errorf("it has %d bytes (at most %d)", size, MaxPartBytes)
			} else if len(rest) > 0 && (!onePiece || n == a.Parts-1) {
				err = fmt.Errorf("%d bytes follow the last %s", len(rest), f.record)
			}
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", n, err)
		}
	}
	return nil
}
