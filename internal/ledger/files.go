package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// ReadFile reads and verifies the perf JSON of run id at path, which may be a
// perf file or a footer backup, and returns it with its SHA-256 (hex). False
// without an error means that there is none. A file that is damaged, of another
// schema or of another run is an error that contains what is wrong with it.
func ReadFile(path string, id run.ID) (f perf.File, sha string, ok bool, err error) {
	b, err := safefile.Read(path, perf.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return f, "", false, nil
	}
	if err != nil {
		return f, "", false, err
	}
	if f, err = perf.ParseVerified(b); err != nil {
		return perf.File{}, "", false, fmt.Errorf("%s: %w", path, err)
	}
	if f.Report.RunID != id {
		return perf.File{}, "", false, fmt.Errorf("%s is of run %s: %w", path, f.Report.RunID, perf.ErrOtherRun)
	}
	sum := sha256.Sum256(b)
	return f, hex.EncodeToString(sum[:]), true, nil
}

// AddFile adds the perf JSON at path; one that is not there is no error, and
// nothing is added.
func (l *Ledger) AddFile(from Source, path string) error {
	f, _, ok, err := ReadFile(path, l.id)
	if err != nil {
		return fmt.Errorf("reading the %s of run %s: %w", from, l.id, err)
	}
	if !ok {
		return nil
	}
	return l.Add(Account{From: from, File: f})
}
