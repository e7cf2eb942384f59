package coordinator

import (
	"context"
	"os"

	"gx1replay/internal/export"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
)

// readLedger reads what earlier sessions have left in files. A backup that is
// damaged, or of another run, is logged and passed over: the rest is no less true.
func (s *Session) readLedger(exporter *export.Exporter) (*ledger.Ledger, error) {
	log, l := s.cfg.Logger, ledger.New(s.cfg.RunID)
	if f, ok := exporter.Last(); ok {
		if err := l.Add(ledger.Account{From: ledger.PerfFile, File: f}); err != nil {
			return l, err
		}
	}
	if err := l.AddFile(ledger.Backup, s.target.Backup()); err != nil {
		log.Warn("footer backup ignored", "path", s.target.Backup(), "error", err)
	}
	work := s.target.WorkDir()
	if _, err := os.Stat(work); err != nil {
		return l, nil // no local worker has begun
	}
	known := l.Known()
	if err := l.AddFooters(context.Background(), []string{work}); err != nil {
		if known {
			return l, err
		}
		log.Warn("footers in work directories ignored", "error", err)
		return ledger.New(s.cfg.RunID), nil
	}
	if n := l.Refused(); n > 0 {
		log.Warn("unusable footers on disk skipped", "count", n)
	}
	if !known {
		bars := l.ReplayedBars()
		if bars == 0 {
			return ledger.New(s.cfg.RunID), nil
		}
		log.Warn("only footers in work directories are left of earlier epochs", "bars", bars)
	}
	return l, nil
}

// exported is what the perf file alone holds; the zero File if there is none.
func (s *Session) exported() perf.File {
	f, _ := s.ledger.Of(ledger.PerfFile)
	return f
}
