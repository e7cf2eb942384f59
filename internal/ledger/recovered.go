package ledger

import (
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// Recovery names the process that writes a run's report in place of its coordinator.
type Recovery struct {
	PID int
	Now time.Time
	// Died is when the run's coordinator is known to have died; zero: unknown.
	Died time.Time
	// Session is the session that died then, by its number and start; zero: the
	// last one that is known.
	Session run.SessionTimes
	// Env goes into the report where no account has the coordinator's.
	Env perf.EnvInfo
}

// Recovered is the report of a run whose coordinator is gone. A run that has
// failed as a whole stays so; failed chunks report it themselves.
func (l *Ledger) Recovered(by Recovery) perf.Report {
	r := l.file.Report
	r.RunID, r.WriterPID, r.Timestamp, r.Mode = l.id, by.PID, by.Now.UTC(), perf.ModeRecovered
	if r.Outcome != perf.OutcomeFailed || l.failedChunks() {
		r.Outcome = perf.OutcomeStopped
	}
	if r.Env == (perf.EnvInfo{}) {
		r.Env = by.Env
	}
	r.Partial = false
	workers, redeliveries := map[string]bool{}, int64(0)
	hosts := slices.Clone(r.Hosts)
	for _, c := range l.file.Chunks {
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
	// The footers are those of the best attempts only; the counts may be more.
	r.WorkersSeen, r.Redeliveries = max(r.WorkersSeen, len(workers)), max(r.Redeliveries, redeliveries)
	r.FootersRefused = max(r.FootersRefused, int64(l.refused)) // the same ones each time
	if sessions := l.endSessions(by); len(sessions) > 0 {
		r.Sessions, r.Wall = sessions, perf.WallOf(sessions)
	}
	return r
}

// endSessions ends what has no end: the session that died when it did, any
// other when it last wrote.
func (l *Ledger) endSessions(by Recovery) []run.SessionTimes {
	all, dead := l.file.Report.Sessions, by.Session
	if dead.Session > 0 {
		all = perf.MergeSessions(all, []run.SessionTimes{{Session: dead.Session, StartedAt: dead.StartedAt}})
	} else if n := len(all); n > 0 && !by.Died.IsZero() && (all[n-1].EndedAt.IsZero() || l.openInBackup(all[n-1].Session)) {
		dead = all[n-1]
	}
	for _, s := range all {
		switch {
		case s.Session == dead.Session && !by.Died.IsZero():
			all = perf.EndSession(all, s.Session, by.Died)
		case s.EndedAt.IsZero():
			all = perf.EndSession(all, s.Session, l.lastWritten(s.Session))
		}
	}
	return all
}

// openInBackup reports whether session n was alive at the last backup. An
// export during its drain may have given it an end that was not its last.
func (l *Ledger) openInBackup(n int) bool {
	all := l.accounts[Backup].Report.Sessions
	return len(all) > 0 && all[len(all)-1].Session == n && all[len(all)-1].EndedAt.IsZero()
}

// lastWritten is when session n last wrote an account.
func (l *Ledger) lastWritten(n int) time.Time {
	var at time.Time
	for _, f := range l.accounts {
		r := f.Report
		if k := len(r.Sessions); k > 0 && r.Sessions[k-1].Session == n && r.Timestamp.After(at) {
			at = r.Timestamp
		}
	}
	return at
}
