package export

import (
	"fmt"
	"os"
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// sources is what exports and backups have left, and what a bus holds.
type sources struct {
	file, backup       perf.File
	hasFile, hasBackup bool
	heardAt            time.Time // by the bus; zero: there is none
}

// addFound takes what the bus holds as a later word than the backup's. It was
// read just now, but what it says is as old as the last that the bus heard.
func (s *sources) addFound(f perf.File) error {
	s.heardAt = f.Report.Timestamp
	if n := len(f.Report.Sessions); n > 0 && !f.Report.Sessions[n-1].EndedAt.IsZero() {
		s.heardAt = f.Report.Sessions[n-1].EndedAt
	}
	if s.hasBackup {
		all, err := perf.MergeFiles(s.backup, f)
		if err != nil {
			return fmt.Errorf("the footer backup and the bus: %w", err)
		}
		f = all
	}
	s.backup, s.hasBackup = f, true
	return nil
}

// known is what all say, and when the latest of them was heard.
func (s sources) known() (f perf.File, at time.Time, err error) {
	at = s.backup.Report.Timestamp
	if !s.heardAt.IsZero() {
		at = s.heardAt
	}
	switch {
	case !s.hasFile && !s.hasBackup:
		return perf.File{}, time.Time{}, nil
	case !s.hasFile:
		return s.backup, at, nil
	case !s.hasBackup:
		return s.file, s.file.Report.Timestamp, nil
	}
	if s.file.Report.Timestamp.After(at) {
		at = s.file.Report.Timestamp
	}
	if f, err = perf.MergeFiles(s.backup, s.file); err != nil {
		return perf.File{}, time.Time{}, fmt.Errorf("the footer backup and the perf file: %w", err)
	}
	return f, at, nil
}

// report makes of r, what was known, the report of the recovery. A run that
// was given up stays so; failed chunks say it by themselves.
func (rec *recovery) report(r perf.Report, chunks []perf.Chunk) perf.Report {
	r.RunID, r.WriterPID, r.Timestamp, r.Mode = rec.Target.RunID, os.Getpid(), time.Now().UTC(), perf.ModeRecovered
	if r.Outcome != perf.OutcomeFailed || rec.failedChunks() {
		r.Outcome = perf.OutcomeStopped
	}
	if r.Env == (perf.EnvInfo{}) {
		r.Env = rec.Env
	}
	r.Partial = false
	workers, redeliveries := map[string]bool{}, int64(0)
	hosts := slices.Clone(r.Hosts)
	for _, c := range chunks {
		r.Partial = r.Partial || c.Status == footer.StatusUnresponsive
		if c.Line.IsZero() {
			continue
		}
		f := c.Line.Footer()
		workers[f.WorkerID] = true
		hosts = append(hosts, f.Host)
		redeliveries += f.Attempt - 1
		if r.Data.SHA256 == "" {
			r.Env.Engine = f.Engine
			r.PregateEnabled = r.PregateEnabled || f.PregateSkips+f.PregatePasses > 0
		}
	}
	slices.Sort(hosts)
	r.Hosts = slices.Compact(hosts)
	// Footers speak of the best attempts only; what was counted may be more.
	r.WorkersSeen, r.Redeliveries = max(r.WorkersSeen, len(workers)), max(r.Redeliveries, redeliveries)
	if sessions := rec.endSessions(r.Sessions); len(sessions) > 0 {
		r.Sessions, r.Wall = sessions, perf.WallOf(sessions)
	}
	return r
}

// failedChunks reports whether an account says failed because of a chunk.
func (s sources) failedChunks() bool {
	return s.file.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks+s.backup.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks > 0
}

// endSessions ends what has no end: the session that died when it did, any
// other when it was last heard of.
func (rec *recovery) endSessions(all []run.SessionTimes) []run.SessionTimes {
	dead := rec.Session
	if dead.Session > 0 {
		all = perf.MergeSessions(all, []run.SessionTimes{{Session: dead.Session, StartedAt: dead.StartedAt}})
	} else if n := len(all); n > 0 && !rec.Died.IsZero() && (all[n-1].EndedAt.IsZero() || rec.openInBackup(all[n-1].Session)) {
		dead = all[n-1]
	}
	for _, s := range all {
		switch {
		case s.Session == dead.Session && !rec.Died.IsZero():
			all = perf.EndSession(all, s.Session, rec.Died)
		case s.EndedAt.IsZero():
			all = perf.EndSession(all, s.Session, rec.lastHeard(s.Session))
		}
	}
	return all
}

// openInBackup reports whether session n was alive at the last backup. An
// export during its drain may have given it an end that was not its last.
func (s sources) openInBackup(n int) bool {
	all := s.backup.Report.Sessions
	return len(all) > 0 && all[len(all)-1].Session == n && all[len(all)-1].EndedAt.IsZero()
}

// lastHeard is when session n last wrote anything.
func (s sources) lastHeard(n int) time.Time {
	var at time.Time
	for _, r := range []perf.Report{s.file.Report, s.backup.Report} {
		if k := len(r.Sessions); k > 0 && r.Sessions[k-1].Session == n && r.Timestamp.After(at) {
			at = r.Timestamp
		}
	}
	return at
}
