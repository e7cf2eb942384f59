//go:build linux

package execrun

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// Judge judges all that a run of the engine exec has left that ended by
// itself, and what it should not have. An empty report: there is no file.
func Judge(r *drive.Run, o check.Options) (rep *check.Report, wrong []string) {
	if left := r.Processes(); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("processes are left: %v", left))
	}
	if left := r.Leftovers(); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("files are left: %v", left))
	}
	o.Artifacts = filepath.Join(r.Out, r.RunID)
	rep, bad := JudgeFile(r, o)
	return rep, append(wrong, bad...)
}

// NoLog is the bar log of commands that keep none.
const NoLog = "none"

// JudgeFile judges the run's file alone, as it is after a kill.
func JudgeFile(r *drive.Run, o check.Options) (rep *check.Report, wrong []string) {
	o.RunID = r.RunID
	switch o.BarLog {
	case "":
		o.BarLog = r.BarLog()
	case NoLog:
		o.BarLog = ""
	}
	rep, err := check.File(r.Perf(), o)
	if err != nil {
		return &check.Report{}, []string{err.Error()}
	}
	return rep, slices.Clone(rep.Violations)
}

// Errors lists the errors in a run's log: none if nothing went wrong.
func Errors(r *drive.Run) (lines []string) {
	b, err := os.ReadFile(r.Log())
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(b)) {
		// Of two runs that want the default port one takes another.
		if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "address already in use") {
			lines = append(lines, "its log says: "+strings.TrimSpace(line))
		}
	}
	return lines
}

// Below lists the processes that descend from pid, itself left out, as they
// are now.
func Below(r *drive.Run, pid int) (list []drive.Process) {
	all := r.Processes()
	parents := map[int]bool{pid: true}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if parents[p.Parent] && !parents[p.PID] {
				parents[p.PID], grown = true, true
				list = append(list, p)
			}
		}
	}
	return list
}

// Commands lists what lives of the commands themselves, not of the program.
func Commands(r *drive.Run) []drive.Process {
	return slices.DeleteFunc(r.Alive(), func(p drive.Process) bool {
		return len(p.Args) > 0 && p.Args[0] == r.Binary || slices.Contains(p.Args, "exec-guard")
	})
}

// StillThere lists which of the processes in list live.
func StillThere(r *drive.Run, list []drive.Process) []drive.Process {
	alive := r.Alive()
	return slices.DeleteFunc(slices.Clone(list), func(p drive.Process) bool {
		return !slices.ContainsFunc(alive, func(q drive.Process) bool { return q.PID == p.PID && slices.Equal(q.Args, p.Args) })
	})
}
