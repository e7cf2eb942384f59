package execengine

import (
	"strconv"
	"time"
)

// Time formats of the run (--exec-ts-format).
const (
	TSRFC3339 = "rfc3339"  // 2026-01-02T15:04:05+00:00: older Pythons refuse Z
	TSNaive   = "naive"    // 2026-01-02T15:04:05, in UTC
	TSEpochMS = "epoch_ms" // 1767366245000
)

// Time is a bar's opening time as the command gets it: quoted in JSON, unless
// it is a number.
type Time struct {
	text   string
	number bool
}

func newTime(ns int64, format string) Time {
	t := time.Unix(0, ns).UTC()
	switch format {
	case TSEpochMS:
		return Time{strconv.FormatInt(t.UnixMilli(), 10), true}
	case TSNaive:
		return Time{t.Format("2006-01-02T15:04:05.999999999"), false}
	}
	return Time{t.Format("2006-01-02T15:04:05.999999999") + "+00:00", false}
}

func (t Time) String() string { return t.text }

// MarshalJSON writes t as JSON.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.number {
		return []byte(t.text), nil
	}
	return strconv.AppendQuote(nil, t.text), nil
}
