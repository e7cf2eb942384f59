package run

import (
	"fmt"
	"strings"
	"time"
)

// MaxIDLen is the longest run_id in bytes. It keeps subjects and file names
// within what NATS and file systems take.
const MaxIDLen = 64

// idBytes are what a run_id is made of.
const idBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// ID is a valid run_id: 1 to 64 of A-Z a-z 0-9 _ -. Such a text is safe as a
// subject token, a consumer name and a file name. Make one with ParseID or
// NewID; a converted string is not checked.
type ID string

// ParseID checks s. The error names the first offending character or the
// length.
func ParseID(s string) (ID, error) {
	if s == "" {
		return "", fmt.Errorf("run_id is empty (want 1 to %d of A-Z a-z 0-9 _ -)", MaxIDLen)
	}
	if len(s) > MaxIDLen {
		return "", fmt.Errorf("run_id %.20q… has %d bytes (want 1 to %d)", s, len(s), MaxIDLen)
	}
	for i := range len(s) {
		if strings.IndexByte(idBytes, s[i]) < 0 {
			return "", fmt.Errorf("run_id %q: byte %d (%q) is not one of A-Z a-z 0-9 _ -", s, i+1, s[i])
		}
	}
	return ID(s), nil
}

// StubSuffix ends the name of the stub that a failed export of a run writes
// beside its perf JSON, as in perf_<run_id>_FAILED_EXPORT.json.
const StubSuffix = "_FAILED_EXPORT"

// ParseNewID is ParseID for a run that is to be started. It refuses a name
// whose perf JSON would have the name of another run's stub.
func ParseNewID(s string) (ID, error) {
	id, err := ParseID(s)
	if err == nil && strings.HasSuffix(s, StubSuffix) {
		return "", fmt.Errorf("run_id %q: perf_%s.json is the name of the stub of run %q (want a run_id that does not end with %s)", s, s, strings.TrimSuffix(s, StubSuffix), StubSuffix)
	}
	return id, err
}

// NewID makes the default run_id, YYYYMMDD_HHMMSS_xxxx, from a time (used in
// UTC) and two random bytes.
func NewID(now time.Time, random [2]byte) ID {
	return ID(fmt.Sprintf("%s_%02x%02x", now.UTC().Format("20060102_150405"), random[0], random[1]))
}
