package execengine

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// cell is one value of a table that a command has left.
type cell struct {
	kind cellKind
	text string
	n    int64   // integer, boolean (0 or 1), instant (ns since 1970 UTC)
	f    float64 // float
	bits int     // of the float as it is stored: 32 or 64
}

type cellKind uint8

const (
	cellNone cellKind = iota // null, empty, or a column that is not there
	cellText
	cellInteger
	cellBoolean
	cellInstant
	cellFloat
)

// textCell is a field of a CSV file.
func textCell(field string) cell {
	if field = strings.TrimSpace(field); field == "" {
		return cell{}
	}
	return cell{kind: cellText, text: field}
}

// String is the value as CSV has it.
func (c cell) String() string {
	switch c.kind {
	case cellText:
		return c.text
	case cellInteger:
		return strconv.FormatInt(c.n, 10)
	case cellBoolean:
		return strconv.FormatBool(c.n != 0)
	case cellInstant:
		return stamp(c.n)
	case cellFloat:
		return strconv.FormatFloat(c.f, 'g', -1, c.bits)
	}
	return ""
}

// stamp writes a time as errors and files have it.
func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

// time is the value as ns since 1970 UTC.
func (c cell) time() (ns int64, ok bool) {
	switch c.kind {
	case cellText:
		return ParseTime(c.text)
	case cellInteger:
		return epochTime(c.n)
	case cellInstant:
		return c.n, true
	}
	return 0, false
}

// number is the value as a float; NaN where there is none.
func (c cell) number() (x float64, ok bool) {
	switch c.kind {
	case cellNone:
		return math.NaN(), true
	case cellText:
		x, err := strconv.ParseFloat(c.text, 64)
		return x, err == nil
	case cellInteger:
		return float64(c.n), true
	case cellFloat:
		return c.f, true
	}
	return 0, false
}
