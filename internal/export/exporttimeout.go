package export

import (
	"time"

	"gx1replay/internal/perf"
)

// slowDisk is how many bytes a second of a large export are waited for. A busy
// machine writes, syncs and reads back more.
const slowDisk = 8 << 20

// exportPatience is how long an export of chunks may take because of its size,
// from its first byte on; 0 if it is not large.
func exportPatience(chunks []perf.Chunk) time.Duration {
	bytes := perf.SizeOf(chunks)
	if bytes < largeExport {
		return 0
	}
	return time.Duration(bytes/slowDisk) * time.Second
}

// diskTime is what the disk gets for an export that has been under way for some
// time: patience, or more if the export is large, or if an earlier one of the
// run took long.
func (s *watch) diskTime(patience, underWay time.Duration) time.Duration {
	_, chunks := s.cfg.Snapshot()
	return max(patience, diskPatience*s.took, exportPatience(chunks)-underWay)
}
