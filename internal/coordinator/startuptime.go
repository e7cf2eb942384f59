package coordinator

import (
	"slices"

	"gx1replay/internal/footer"
)

// StartUp is how much of their time the run's commands have taken before their
// first bars, and all of it, in seconds, of the chunks that report it. A command that
// reports seldom was at work on bars before its first report: that time is
// estimated from its later pace and left out.
func (s *Session) StartUp() (start, all float64) {
	b := s.board.Load()
	if b == nil {
		return 0, 0
	}
	for i := range b.chunks {
		line := b.chunks[i].Load().line
		if line.IsZero() {
			continue
		}
		if sec, ok := startUp(line.Footer()); ok {
			start += sec
			all += line.Footer().WallClockSec
		}
	}
	return start, all
}

// startUp estimates how long a command took before its first bar; ok is false if
// that is not known.
func startUp(f footer.Footer) (sec float64, ok bool) {
	if f.Engine != footer.EngineExec || f.WallClockSec <= 0 || slices.Contains(f.Unreported, "t_startup_sec") {
		return 0, false
	}
	if len(f.Checkpoints) < 2 {
		return 0, false // the time of its only report does not show its first bar
	}
	first, last := f.Checkpoints[0], f.Checkpoints[len(f.Checkpoints)-1]
	bars, took := last[0]-first[0], float64(last[1]-first[1])/1e9
	if bars <= 0 || took < 0 {
		return 0, false
	}
	before := float64(first[1]) / 1e9
	return min(max(before-f.TWarmupSec-took*float64(first[0])/float64(bars), 0), f.TStartupSec, f.WallClockSec), true
}
